"""One writer a folder: a lock on the folder itself, which ends with its owner."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCKS = Path("/proc/locks")
_FLOCK = re.compile(r"^\d+: FLOCK\s+\S+\s+WRITE (?P<pid>\d+) \w+:\w+:(?P<inode>\d+) ", re.MULTILINE)
"""A line of /proc/locks, see proc(5), about a lock that is held; one that waits has an arrow."""


class FolderInUse(Exception):
    """Another process writes into the folder. The message is one line with its pid."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of an existing folder, until the end of the block.

    The lock is flock(2) on the directory: nothing is written, and the kernel
    takes the lock away when its owner ends, however it ends. It is advisory:
    it keeps out only who asks for it, as every command that writes rows does.
    Raises FolderInUse where another process, or another block of this one,
    holds the folder, and OSError where it cannot be opened or locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(_refusal(folder, descriptor)) from None
        yield
    finally:
        os.close(descriptor)


def writer_of(folder: Path) -> int | None:
    """The process that writes into an existing folder; None where none does, and where the system
    does not say, as outside Linux. Nothing is locked meanwhile."""
    return _owner(folder.stat().st_ino)


def _refusal(folder: Path, descriptor: int) -> str:
    owner = _owner(os.fstat(descriptor).st_ino)
    who = "another process" if owner is None else f"process {owner}"
    return f"{who} is writing into {folder}; wait for its end, or name another place"


def _owner(inode: int) -> int | None:
    """The pid that holds a lock; None where the system does not say, as outside Linux."""
    try:
        text = _LOCKS.read_text()
    except OSError:
        return None
    return next(
        (int(held["pid"]) for held in _FLOCK.finditer(text) if int(held["inode"]) == inode), None
    )
