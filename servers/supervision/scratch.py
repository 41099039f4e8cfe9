"""Temporary folders that do not outlive their owner for long.

A process that is killed removes nothing. Each folder is therefore locked by its owner for as long
as that lives, which the kernel ends in any case. The next start removes those that nobody holds.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "loopbench_"
_BEING_MADE_S = 60.0
"""A folder that is younger may not be locked yet."""


@contextmanager
def scratch_folder(purpose: str = "") -> Iterator[Path]:
    """A new temporary folder that only this user can enter, and that is gone afterwards.

    purpose: a word in its name.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}"))
    lock = _locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def sweep() -> list[Path]:
    """Remove this user's folders whose owner is gone; returns them."""
    swept = []
    for entry in os.scandir(tempfile.gettempdir()):
        if not entry.name.startswith(PREFIX) or not _may_be_left(entry):
            continue
        lock = _locked(Path(entry.path))
        if lock is None:
            continue
        shutil.rmtree(entry.path, ignore_errors=True)
        os.close(lock)
        swept.append(Path(entry.path))
    return swept


def _may_be_left(entry: os.DirEntry[str]) -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
        ours = entry.is_dir(follow_symlinks=False) and status.st_uid == os.geteuid()
    except FileNotFoundError:  # removed meanwhile, by its owner
        return False
    return ours and time.time() - status.st_ctime > _BEING_MADE_S


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the folder's lock; None where another process holds it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or a file system without locks: then nothing is swept there
        os.close(descriptor)
        return None
    return descriptor
