"""What a request waited for before it had a connection of a pool."""

from __future__ import annotations

import threading
import time
from typing import Any

from loopbench.servers.probe.durations import ThreadCounts

_clock = time.perf_counter_ns


class PoolWatch:
    """Waits (asked for → handed over, or given up), and how many waited at once.

    One watch counts all pools of a process: a load asks one of them. Any thread may use it.
    sizes: connections of each pool that was opened, by who uses it (`loop` or `threads`), as
    the pool itself says.
    """

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._waiting = 0
        self.reset()

    def reset(self) -> None:
        """Begin counting anew."""
        self._waits = ThreadCounts()
        self._most_waiting = 0

    def begin(self) -> int:
        """A connection is asked for; returns what `end` wants."""
        with self._lock:
            self._waiting += 1
            self._most_waiting = max(self._most_waiting, self._waiting)
        return _clock()

    def end(self, began: int) -> None:
        """It was handed over, or given up."""
        self._waits.add(_clock() - began)
        with self._lock:
            self._waiting -= 1

    def snapshot(self) -> dict[str, Any]:
        """Since the reset, as JSON types; `most_waiting` None where no pool was opened."""
        return {
            "sizes": dict(self.sizes),
            "most_waiting": self._most_waiting if self.sizes else None,
            "wait_us": self._waits.merged(),
        }
