"""What a request waited for before it had a connection of a pool."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Annotated

from loopbench.servers.probe.durations import ThreadCounts
from loopbench.servers.supervision.merging import COUNTS, MOST_KNOWN, SUM_BY_NAME, Pairs

_clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class PoolReading:
    """Pools since the reset: see PoolWatch. most_waiting: at once; None where no pool was opened;
    of several processes, that of the one with the most. wait_us: pairs of us and count."""

    sizes: Annotated[dict[str, int], SUM_BY_NAME]
    most_waiting: Annotated[int | None, MOST_KNOWN]
    wait_us: Annotated[Pairs, COUNTS]


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
        """Begin counting anew. Those who wait already are waiting at once with those to come."""
        self._waits = ThreadCounts()
        with self._lock:
            self._most_waiting = self._waiting

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

    def read(self) -> PoolReading:
        """Since the reset."""
        return PoolReading(
            sizes=dict(self.sizes),
            most_waiting=self._most_waiting if self.sizes else None,
            wait_us=self._waits.merged(),
        )
