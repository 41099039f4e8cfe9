"""Lanes: the services that they reach, held to counting late requests at single services."""

from __future__ import annotations

import numpy as np
import pytest

from loopbench.results.stats.queueing.lanes import Counts, Floats, Lanes, reach
from loopbench.results.stats.queueing.queues import Queue, replay

LIMIT_S = 0.02
GRAIN = 5e-4


def lanes(arrivals_s: Floats, sizes: Floats) -> Lanes:
    """One for each row of sizes, of which every request is counted."""
    before = np.cumsum(sizes, axis=-1) - sizes
    return Lanes(arrivals_s, before, before + sizes, arrivals_s + LIMIT_S)


def late(arrivals_s: Floats, sizes: Floats, services_s: Floats) -> Counts:
    """How many of each row take longer than the limit."""
    times_s = replay(Queue(1, 1.0), arrivals_s, sizes)(services_s[:, None])
    return np.array([np.count_nonzero(row) for row in times_s > LIMIT_S])


@pytest.mark.parametrize("seed", range(12))
def test_one_late_request_fewer_with_any_shorter_service(seed: int) -> None:
    """The services from which on so many are late, of each draw, wherever the search begins: a
    shorter one by a ten-thousandth has fewer late, a longer one has as many."""
    random = np.random.default_rng(seed)
    count = int(random.integers(60, 600))
    arrivals_s = np.sort(random.uniform(0, 1.2, count))
    sizes = random.gamma(2.0, 0.5, (8, count))
    numbers = sorted({1, int(random.integers(1, count + 1)), count})
    start_s = np.full(8, 1.2 / count * float(random.choice([0.01, 1.0, 30.0])))
    made = lanes(arrivals_s, sizes)
    for number, reached in zip(numbers, reach(made, numbers, start_s), strict=True):
        assert (late(arrivals_s, sizes, reached.services_s * (1 - 1e-4)) < number).all()
        assert (late(arrivals_s, sizes, reached.services_s * (1 + 1e-4)) >= number).all()


@pytest.mark.parametrize("number", [1, 7, 60])
def test_requests_just_beside_a_service_are_counted(number: int) -> None:
    """As many as are late with services that are shorter, or longer, by the grain."""
    random = np.random.default_rng(3)
    arrivals_s = np.sort(random.uniform(0, 1.2, 400))
    sizes = random.gamma(2.0, 0.5, (8, 400))
    (reached,) = reach(lanes(arrivals_s, sizes), [number], np.full(8, 3e-3))
    below = late(arrivals_s, sizes, reached.services_s * np.exp(-GRAIN))
    above = late(arrivals_s, sizes, reached.services_s * np.exp(GRAIN))
    assert reached.late(-GRAIN).tolist() == below.tolist()
    assert reached.late(GRAIN).tolist() == above.tolist()
    assert (below < number).all() and (above >= number).all()


def test_requests_that_are_late_together_are_told() -> None:
    """Three that never wait are all late with the same service; together with a lane beside them
    there are six, and those that are not counted are left out."""
    arrivals_s = np.array([[0.0, 1.0, 2.0]])
    alone = lanes(arrivals_s, np.ones((1, 3)))
    (reached,) = reach(alone, [2], np.array([0.5]))
    assert reached.services_s.tolist() == pytest.approx([LIMIT_S])
    assert (reached.late(-GRAIN).tolist(), reached.late(GRAIN).tolist()) == ([0], [3])
    due_s = np.array([[np.inf, 1.0, 2.0], [0.0, 1.0, 2.0]]) + LIMIT_S
    before = np.tile(alone.before, (2, 1))
    both = Lanes(np.tile(arrivals_s, (2, 1)), before, before + 1, due_s)
    (reached,) = reach(both, [5], np.array([0.5]))
    assert reached.services_s.tolist() == pytest.approx([LIMIT_S])
    assert (reached.late(-GRAIN).tolist(), reached.late(GRAIN).tolist()) == ([0], [5])
