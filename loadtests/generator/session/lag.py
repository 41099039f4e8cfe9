"""How late the generator itself gets round to things, and a way to make it late."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent

from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.messages.reports import Buckets
from loopbench.loadtests.rows.histogram import Histogram

_TICK_NS = 10_000_000
_SPIN_EVERY_NS = 100_000_000


class LagMeter:
    """The lateness of a 10 ms timer, recorded while `recording` is entered.

    The schedule is absolute: a stop of 30 ms shows as three late ticks, not as one. each_tick: is
    called at every one.
    """

    def __init__(self, each_tick: Callable[[], object]) -> None:
        self._each_tick = each_tick
        self._recording = False
        self._lags_us: array[int] = array("q")

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record what happens meanwhile."""
        self._recording = True
        try:
            yield
        finally:
            self._recording = False

    def tick(self) -> None:
        """Run the timer until the greenlet that this is called in is killed."""
        with Timer() as timer:
            due = time.monotonic_ns()
            while True:
                due += _TICK_NS
                timer.sleep_until(due)
                if self._recording:
                    self._lags_us.append((time.monotonic_ns() - due) // 1000)
                self._each_tick()
                gevent.sleep(0)

    def buckets(self) -> Buckets:
        """What was recorded."""
        histogram = Histogram()
        histogram.record(self._lags_us)
        return histogram.pairs()


def spin(spin_ms: float) -> None:
    """Keep the generator from everything else for so long, ten times a second, until killed."""
    with Timer() as timer:
        due = time.monotonic_ns()
        while True:
            due += _SPIN_EVERY_NS
            timer.sleep_until(due)
            until = time.monotonic_ns() + int(spin_ms * 1e6)
            while time.monotonic_ns() < until:
                pass
