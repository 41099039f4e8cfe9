"""How long threads were ready to run and had no CPU, which is the machine's doing, not theirs."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

_TASKS = "/proc/{pid}/task"
_LOOK_S = 0.0005


class Waits:
    """The run-queue waits of a process's threads, read anew each time (proc(5): schedstat, stat).

    pid: a process, or `self`.
    """

    def __init__(self, pid: int | str) -> None:
        self._tasks = Path(_TASKS.format(pid=pid))

    def read_ns(self) -> int:
        """Of all its living threads together, since each began.

        Together, since a thread that has no CPU may hold the lock that the others wait for.
        Raises FileNotFoundError once the process is gone.
        """
        waited = 0
        for task in self._tasks.iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # that thread ended meanwhile
                waited += int((task / "schedstat").read_text().split()[1])
        return waited

    def await_sleep(self, bound_s: float) -> None:
        """Return once none of its threads has a CPU or waits for one or a disk, or after so long.

        The kernel adds a wait to a thread's sum when it ends, so that one under way is in no
        reading. Raises FileNotFoundError as `read_ns` does.
        """
        deadline = time.monotonic() + bound_s
        while self._runnable() and time.monotonic() < deadline:
            time.sleep(_LOOK_S)

    def _runnable(self) -> bool:
        for task in self._tasks.iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # that thread ended meanwhile
                if (task / "stat").read_text().rpartition(")")[2].split()[0] in "RD":
                    return True
        return False

    def main_ran_ns(self) -> int:
        """How long its main thread has had a CPU. Raises FileNotFoundError as `read_ns` does."""
        return int((self._tasks.parent / "schedstat").read_text().split()[0])
