"""Pauses of the garbage collector."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LONG_NS = 1_000_000
"""A pause that is longer is kept with its instants."""

_COUNT, _TOTAL, _LONGEST = 0, 1, 2

_clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class Pause:
    """One run of the collector, perf_counter in ns."""

    began_ns: int
    ended_ns: int
    generation: int


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses of one generation of a process's collector since the reset: how many, how long in
    all, the longest."""

    generation: int
    pauses: int
    pause_total_ns: int
    pause_max_ns: int


class CollectorWatch:
    """Pauses since the reset, by generation: how many, how long in all, the longest.

    long: the last pauses of more than LONG_NS, whenever they were.
    """

    def __init__(self) -> None:
        self._began = 0
        self.long: deque[Pause] = deque(maxlen=64)
        self.failure: str | None = None
        self.reset()

    def reset(self) -> None:
        """Begin counting anew."""
        self._sums = tuple([0, 0, 0] for _ in gc.get_count())

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Watch while in the block."""
        gc.callbacks.append(self._called)
        try:
            yield
        finally:
            gc.callbacks.remove(self._called)

    def _called(self, phase: str, info: dict[str, int]) -> None:
        # The collector never runs twice at once, and its callbacks run in its thread: at whatever
        # depth of its stack, so that hardly anything may be called from here.
        if phase == "start":
            self._began = 0
        try:
            now = _clock()
            if phase == "start":
                self._began = now
            elif self._began:
                sums = self._sums[info["generation"]]
                took = now - self._began
                sums[_COUNT] += 1
                sums[_TOTAL] += took
                if took > sums[_LONGEST]:
                    sums[_LONGEST] = took
                if took > LONG_NS:
                    self.long.append(Pause(self._began, now, info["generation"]))
        except RecursionError:
            pass  # the stack is at its end: the program is about to hear of that, too
        except Exception as error:  # never the program's business; the Run gets its Warning
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    def read(self) -> tuple[Pauses, ...]:
        """Since the reset, of each generation that had any."""
        return tuple(
            Pauses(generation, *sums) for generation, sums in enumerate(self._sums) if sums[_COUNT]
        )
