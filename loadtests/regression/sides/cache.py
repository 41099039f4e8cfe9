"""Folders that are worth keeping, by what they hold.

They lie under $XDG_CACHE_HOME, or ~/.cache where that is not set, in `loopbench/environments`. What
nobody has used for a month is removed, and so are all but the KEPT used last.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from loopbench.loadtests.errors import HarnessError

KEPT = 16
OLDEST_S = 30 * 24 * 3600.0

_LOCK, _PART, _TEXT = ".lock", ".part", ".txt"


def folder() -> Path:
    """Where they lie; the XDG Base Directory Specification says so."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return cache / "loopbench" / "environments"


def key_of(*parts: str) -> str:
    """A name for what follows from these parts alone."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@contextmanager
def kept(key: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """The folder of this key, made by `make` where there is none. Nobody removes it meanwhile.

    What `make` leaves unfinished is removed. Raises HarnessError where there is no place for it.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = (place / f"{key}{_LOCK}").open("a")
    except OSError as error:
        raise HarnessError(
            f"no environment can be kept in {place}: {error.strerror}; XDG_CACHE_HOME names "
            "another place"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not (place / key).is_dir():
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / key).is_dir():  # nobody else has made it meanwhile
                _made(place, key, make)
            fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(place / key)
        sweep(place)
        yield place / key


def _made(place: Path, key: str, make: Callable[[Path], None]) -> None:
    part = place / f"{key}{_PART}"
    shutil.rmtree(part, ignore_errors=True)  # of somebody who was killed
    try:
        make(part)
        part.rename(place / key)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remembered(key: str, find: Callable[[], str]) -> str:
    """The text of this key, found by `find` where it is not known yet."""
    path = folder() / f"{key}{_TEXT}"
    try:
        text = path.read_text(encoding="utf-8")
        os.utime(path)
        return text
    except OSError:  # not there, or not to be read: find it again
        text = find()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}{_PART}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror}") from error
    return text


def sweep(place: Path, kept_last: int = KEPT, oldest_s: float = OLDEST_S) -> None:
    """Remove what is old or too much, and what somebody who was killed left unfinished; whatever
    is in use stays."""
    known = {path.name: path for path in place.iterdir()}
    folders = sorted(
        (path for path in known.values() if path.suffix in ("", _PART) and path.is_dir()),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    whole = [path for path in folders if not path.suffix]
    for path in folders:
        old = time.time() - path.stat().st_mtime > oldest_s
        if path.suffix or old or path not in whole[:kept_last]:
            _remove_unused(path)
    for path in known.values():
        if path.suffix == _TEXT and time.time() - path.stat().st_mtime > oldest_s:
            path.unlink(missing_ok=True)


def _remove_unused(path: Path) -> None:
    lock_file = path.with_name(f"{path.stem}{_LOCK}")
    with lock_file.open("a") as lock:
        if _exclusive(lock):
            shutil.rmtree(path, ignore_errors=True)


def _exclusive(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
