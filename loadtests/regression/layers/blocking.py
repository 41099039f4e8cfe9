"""Whether a route blocks the loop, by what several readings of the probe say.

A busy machine must not change this fact. A reading of which all may be waiting for a CPU says
nothing, and the route is asked again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopbench.results.schema.regression import UNKNOWN

WORK_MS = 100
"""What a route that takes a duration is asked for, to see whether it blocks the loop."""


@dataclass(frozen=True, slots=True)
class Limits:
    """In ms: under `free` the loop was not blocked; from `held` on it was, without the time in
    which threads of the server waited for a CPU, or where its main thread computed for `computed`
    meanwhile, which a wait cannot feign. In between, or where such waits may be all of it, one
    reading says nothing."""

    free: float
    held: float
    computed: float = math.inf


BLOCKED = {
    True: Limits(WORK_MS * 0.8, WORK_MS * 0.2, WORK_MS * 0.5),
    False: Limits(10.0, 10.0),
}
"""Where a duration was asked for, and where not. A request that does not block keeps the loop for
less than a millisecond or two, and one that does for all of the duration."""

ASKS = 5
"""How many readings that say something decide, by their majority, whether a route blocks; once as
many of them agree as make this majority, the others are not asked for."""

HELD_ASKS = 3
"""So many of them at least have to say that it does: one that says so may have met something else
that kept the loop, such as a disk, and one that does not is proof for itself."""

MOST_ASKS = 40
"""How often a route is asked for them, at most."""


@dataclass(frozen=True, slots=True)
class SeenLoop:
    """What is needed of a `servers.probe.event_loop.LoopReading`, which may be another commit's."""

    longest_stretch_ns: int | None


@dataclass(frozen=True, slots=True)
class SeenTally:
    """What is needed of a `servers.probe.readings.TallyReading`."""

    is_main_thread: bool
    is_loop_thread: bool
    loop_class: str | None


@dataclass(frozen=True, slots=True)
class LoopObservation:
    """What is needed of a `servers.probe.readings.Observation`."""

    loop: SeenLoop
    routes: dict[str, tuple[SeenTally, ...]]


@dataclass(frozen=True, slots=True)
class Watched:
    """What the probe saw of one request. waited_ms: how long threads of the server waited for a
    CPU, while the loop was away or beside it. computed_ms: how long its main thread had one."""

    observation: LoopObservation
    waited_ms: float
    computed_ms: float = 0.0

    @property
    def away_ms(self) -> float | None:
        """The longest time that the loop was away; None where the loop cannot be read."""
        longest_ns = self.observation.loop.longest_stretch_ns
        return None if longest_ns is None else longest_ns / 1e6


def enough(readings: Sequence[Watched], limits: Limits) -> bool:
    """Whether as many readings say something as are needed, or there is no use in more; a loop that
    is not read says nothing however often it is asked."""
    unread = sum(reading.away_ms is None for reading in readings)
    decisions = decided(readings, limits)
    agreeing = max(decisions.count(True), decisions.count(False))
    return unread >= ASKS or 2 * agreeing > ASKS or len(readings) >= MOST_ASKS


def decided(readings: Iterable[Watched], limits: Limits) -> list[bool]:
    """Of the readings that say something: whether the loop was blocked."""
    decisions = []
    for reading in readings:
        if reading.away_ms is not None and reading.away_ms < limits.free:
            decisions.append(False)
        elif reading.away_ms is not None and (
            reading.away_ms - reading.waited_ms >= limits.held
            or reading.computed_ms >= limits.computed
        ):
            decisions.append(True)
    return decisions


def blocked(readings: Sequence[Watched], limits: Limits) -> str:
    """By the majority of the readings that say something. Unknown where none does, as many say one
    thing as the other, or fewer than HELD_ASKS say yes and that is the majority."""
    decisions = decided(readings, limits)
    held = sum(decisions)
    if 2 * held < len(decisions):
        return "no"
    return "yes" if held >= HELD_ASKS and 2 * held > len(decisions) else UNKNOWN
