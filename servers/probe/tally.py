"""The requests of one route on one thread and loop, as the probe counts them."""

from __future__ import annotations

import os
import struct
import threading
from array import array
from dataclasses import dataclass, field

from loopbench.servers.probe.durations import Counts, rounded_us
from loopbench.servers.probe.readings import TallyReading

MOST_INSTANTS = 4_000_000
"""How many begins and ends are kept for a route and thread, 16 bytes each."""

MOST_FRESH = 10_000
"""How many instants may be fresh before they are settled, which takes half a millisecond."""

MOST_TALLIES = 64
"""How many threads and loops of a route are told apart. Where each request has its own, as in
a coroutine under Flask, the rest are counted together, lest every one of them be kept alive."""


@dataclass(slots=True)
class Tally:
    """The requests of one route on one thread and loop.

    fresh: begin and end of each request's handler in turn, perf_counter in seconds, in the order
    of the ends. Only its own thread appends, and two appends to a list are all that a request
    costs; everything else is worked out when somebody asks, or where they are many. To append to
    an array takes twice as long.
    thread: None where it is many, see MOST_TALLIES; then both are appended at once.
    kept: what was fresh once, in a third of the memory.
    skipped: how many instants were kept at the last reset of the counts.
    dropped: requests since then whose instants were given up, see MOST_INSTANTS.
    whole: whether none were since the instants themselves began anew.
    """

    thread: threading.Thread | None
    loop_thread: bool
    loop_class: str | None
    loop_number: int | None
    fresh: list[float] = field(default_factory=list)
    kept: array[float] = field(default_factory=lambda: array("d"))
    skipped: int = 0
    dropped: int = 0
    whole: bool = True

    def settle(self) -> None:
        """Move what is fresh to what is kept. One thread at a time."""
        count = len(self.fresh) // 2 * 2  # the thread may be between its two appends
        # struct packs a number in a tenth of the steps that array.append takes.
        self.kept.frombytes(struct.pack(f"{count}d", *self.fresh[:count]))
        del self.fresh[:count]
        if len(self.kept) > 2 * MOST_INSTANTS:
            dropped = self.dropped + (len(self.kept) - self.skipped) // 2
            self.forget()
            self.dropped, self.whole = dropped, False

    def skip(self) -> None:
        """Count anew from here on, but keep the instants."""
        self.skipped, self.dropped = len(self.kept), 0

    def forget(self) -> None:
        """Drop all that was settled."""
        self.kept = array("d")
        self.skipped = self.dropped = 0
        self.whole = True


@dataclass(slots=True)
class RouteWatch:
    """One route's tallies by thread and loop.

    rest: those of the threads and loops that came after the first MOST_TALLIES, by the
    loops' class.
    loop, fresh: the first loop that a coroutine of the route ran on, and what is
    fresh of its tally: the short way for nearly all requests.
    """

    name: str
    tallies: dict[tuple[threading.Thread, object], Tally] = field(default_factory=dict)
    rest: dict[str | None, Tally] = field(default_factory=dict)
    loop: object = None
    fresh: list[float] = field(default_factory=list)


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
