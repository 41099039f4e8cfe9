"""How fast the server's CPU is right now: the time of a fixed piece of work.

A virtual machine's CPU can slow down by half without a sign in any counter of
its own. The same work timed before and after each load makes that visible.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

from loopbench.loadtests.observe.cpu_gauge import work_ns

_REPEATS = 3
_STEPS = 20_000


def calibrate(cpus: frozenset[int] | None) -> float:
    """Milliseconds that the work takes on `cpus`: the median of a few repeats.

    Call it while nothing else of the suite runs there. Takes some 15 ms.
    """
    with _on(cpus):
        return statistics.median(work_ns(_STEPS) / 1e6 for _ in range(_REPEATS))


@contextmanager
def _on(cpus: frozenset[int] | None) -> Iterator[None]:
    if cpus is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
