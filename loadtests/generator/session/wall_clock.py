"""Whether the wall clock, which stamps the bytes that arrive, was set meanwhile."""

from __future__ import annotations

import time

_TOGETHER_NS = 100_000
"""Two readings further apart than that had something else between them: they are read again."""

_ATTEMPTS = 5


def clocks_apart_ns() -> int:
    """By how much the wall clock is ahead of CLOCK_MONOTONIC. It changes when the clock is set.

    A reading between which and the next other work ran would look like a step of that length.
    """
    least_ns, apart_ns = None, 0
    for _ in range(_ATTEMPTS):
        before_ns, realtime_ns, after_ns = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        between_ns = after_ns - before_ns
        if least_ns is None or between_ns < least_ns:
            least_ns, apart_ns = between_ns, realtime_ns - before_ns
        if between_ns <= _TOGETHER_NS:
            break
    return apart_ns


class ClockWatch:
    """How far the wall clock has been set since `begin`, at most: set back again it still counts,
    since times that were stamped in between are wrong."""

    def __init__(self) -> None:
        self._begun_apart_ns = clocks_apart_ns()
        self._most_ns = 0

    def begin(self) -> None:
        """Measure from now on."""
        self._begun_apart_ns = clocks_apart_ns()
        self._most_ns = 0

    def look(self) -> int:
        """Look now; returns by how much the wall clock is ahead of CLOCK_MONOTONIC."""
        apart_ns = clocks_apart_ns()
        self._most_ns = max(self._most_ns, abs(apart_ns - self._begun_apart_ns))
        return apart_ns

    @property
    def step_ms(self) -> float:
        """The furthest that it was found from where it was."""
        return self._most_ns / 1e6
