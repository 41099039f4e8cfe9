"""When the requests of an open loop are to be sent. Pure: a function of rate, end and seed."""

from __future__ import annotations

import random

_SECOND_NS = 1_000_000_000


class Arrivals:
    """The intended starts of one open loop, in ns after the session's start.

    Exponential gaps, so that arrivals are Poisson. Connections take turns: an
    idle one takes the next arrival, so an arrival waits only when all are busy.
    """

    def __init__(self, rate_rps: float, end_ns: int, seed: str) -> None:
        self._random = random.Random(seed)
        self._mean_gap_ns = _SECOND_NS / rate_rps
        self._end_ns = end_ns
        self._next_ns = self._random.expovariate(1.0) * self._mean_gap_ns

    def take(self) -> int | None:
        """The next intended start, or None when the load is over."""
        due = int(self._next_ns)
        if due >= self._end_ns:
            return None
        self._next_ns += self._random.expovariate(1.0) * self._mean_gap_ns
        return due
