"""The processes that a process has started, and those that they have, to be ended with it.

Those that have left its process group are among them, as a helper that was started in a session of
its own. Read from /proc (proc(5)); where there is none, nothing is found, and the group is all.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


class Descendants:
    """Of processes, as they were found; each is known by a descriptor, so that no other process
    that is given its number later is taken for it."""

    def __init__(self) -> None:
        self._descriptors: dict[int, int] = {}

    def find(self, pid: int) -> None:
        """Remember those that live now. What has lost its parent is found no more."""
        for child in _children(pid):
            if child not in self._descriptors and hasattr(os, "pidfd_open"):
                with suppress(OSError):  # it has ended meanwhile
                    self._descriptors[child] = os.pidfd_open(child)
            self.find(child)

    def kill(self) -> None:
        """End those that live still, and forget all."""
        for descriptor in self._descriptors.values():
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
        self._descriptors.clear()


def _children(pid: int) -> Iterator[int]:
    """Of all its threads."""
    for file in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            yield from map(int, file.read_text().split())
