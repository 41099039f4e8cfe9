"""The processes that a process has started, and those that they have, to be ended with it.

Those that have left its process group are among them, as a helper that was started in a session of
its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil


def descendants_of(pid: int) -> list[psutil.Process]:
    """Those that live now; what has lost its parent is not found. Each is known by when it began,
    too, so that no other process that is given its number later is taken for it."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill(processes: Iterable[psutil.Process]) -> None:
    """End those that live still."""
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
