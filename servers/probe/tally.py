"""The requests of one route on one thread and loop, as the probe counts them."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

from loopbench.servers.probe.durations import Counts, rounded_us
from loopbench.servers.probe.readings import TallyReading

MOST_INSTANTS = 4_000_000
"""How many begins and ends are kept for a route and thread, 16 bytes each."""

MOST_TALLIES = 64
"""How many threads and loops of a route are told apart. Where each request has its own, as in
a coroutine under Flask, the rest are counted together, lest every one of them be kept alive."""


@dataclass(slots=True)
class Tally:
    """The requests of one route on one thread and loop.

    instants: begin and end of each request's handler in turn, perf_counter in seconds, in the
    order of the ends. Only its own thread appends, and two appends are all that a request costs.
    They are an array and no list: objects that stay alive between requests would scatter those
    that requests make over the heap, which costs a handler more time than the appends do.
    thread: None where it is many, see MOST_TALLIES; then both are added at once.
    skipped: how many instants there were at the last reset of the counts.
    dropped: requests since then whose instants were given up, see MOST_INSTANTS.
    whole: whether none were since the instants themselves began anew.
    """

    thread: threading.Thread | None
    loop_thread: bool
    loop_class: str | None
    loop_number: int | None
    instants: array[float] = field(default_factory=lambda: array("d"))
    skipped: int = 0
    dropped: int = 0
    whole: bool = True

    @property
    def ended(self) -> int:
        """How many instants belong to requests that have ended: an even number, as the thread may
        be between its two appends."""
        return len(self.instants) // 2 * 2

    @property
    def requests(self) -> int:
        """How many have ended since the counts were reset."""
        return (self.ended - self.skipped) // 2 + self.dropped

    @property
    def too_long(self) -> bool:
        """Whether there are more instants than are kept."""
        return len(self.instants) > 2 * MOST_INSTANTS

    def keep_within_bounds(self) -> None:
        """Give the instants up where they are too many. One thread at a time."""
        if self.too_long:
            ended = self.ended
            dropped = self.dropped + (ended - self.skipped) // 2
            self._drop(ended)
            self.dropped, self.whole = dropped, False

    def skip(self) -> None:
        """Count anew from here on, but keep the instants."""
        self.skipped, self.dropped = self.ended, 0

    def forget(self) -> None:
        """Drop the instants of all that has ended."""
        self._drop(self.ended)
        self.whole = True

    def _drop(self, count: int) -> None:
        # In place, since its thread holds the array's append.
        del self.instants[:count]
        self.skipped = self.dropped = 0


@dataclass(slots=True)
class RouteWatch:
    """One route's tallies by thread and loop.

    rest: those of the threads and loops that came after the first MOST_TALLIES, by the
    loops' class.
    loop, append: the first loop that a coroutine of the route ran on, and how
    to append to its tally: the short way for nearly all requests.
    """

    name: str
    tallies: dict[tuple[threading.Thread, object], Tally] = field(default_factory=dict)
    rest: dict[str | None, Tally] = field(default_factory=dict)
    loop: object = None
    append: Callable[[float], None] = field(default=lambda instant: None)


def tally_reading(tally: Tally, instants: array[float], dropped: int) -> TallyReading:
    """What is told of a Tally: `instants`, some that it has kept, and how many requests more."""
    counts: Counts = {}
    for began, ended in zip(instants[::2], instants[1::2], strict=True):
        us = rounded_us(int((ended - began) * 1e9))
        counts[us] = counts.get(us, 0) + 1
    return TallyReading(
        pid=os.getpid(),
        thread="others" if tally.thread is None else tally.thread.name,
        is_main_thread=tally.thread is threading.main_thread(),
        is_loop_thread=tally.loop_thread,
        alive=None if tally.thread is None else tally.thread.is_alive(),
        loop_class=tally.loop_class,
        loop_number=tally.loop_number,
        requests=len(instants) // 2 + dropped,
        handler_us=tuple(sorted(counts.items())),
    )
