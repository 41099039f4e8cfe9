"""The limit of a simulated server, whose true limit is known, is found, and covered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopbench.loadtests.capacity.search import PATIENCE, Search
from loopbench.results.stats.rate_limit import Trial, crossing, ratio

SHARE = 0.01
WINDOW_S, LEAD_IN_S = 1.0, 0.2


class Queue:
    """One server with a queue, first come, first served: arrivals at random, each kept for
    service_s; limit_s is the objective. noise: of the service time, from trial to trial."""

    def __init__(self, service_s: float, limit_s: float, noise: float, seed: int) -> None:
        self.service_s, self.limit_s, self.noise = service_s, limit_s, noise
        self.random = np.random.default_rng(seed)

    def trial(self, rate_rps: float) -> Trial:
        count = self.random.poisson(rate_rps * (WINDOW_S + LEAD_IN_S))
        arrivals = np.sort(self.random.uniform(0, WINDOW_S + LEAD_IN_S, count))
        service_s = self.service_s * math.exp(self.noise * self.random.standard_normal())
        # The n-th ends at the largest, over all k before it, of arrival k and n - k services.
        numbers = np.arange(count)
        waits = np.maximum.accumulate(arrivals - service_s * numbers)
        times = service_s * (numbers + 1) + waits - arrivals
        inside = arrivals >= LEAD_IN_S
        return Trial(rate_rps, int(inside.sum()), int((times[inside] > self.limit_s).sum()))

    def true_limit(self, trials: int) -> float:
        """By bisection over many trials a rate."""
        low, high = 0.3 / self.service_s, 1.2 / self.service_s
        for _ in range(9):
            middle = math.sqrt(low * high)
            found = [self.trial(middle) for _ in range(trials)]
            slow = sum(trial.slow for trial in found) / sum(trial.offered for trial in found)
            low, high = (low, middle) if slow > SHARE else (middle, high)
        return math.sqrt(low * high)

    def sitting(self, begin_rps: float, number: int, trials: int = 48) -> Search:
        search = Search(SHARE, begin_rps, str(number))
        for _ in range(trials):
            rate = search.next_rps()
            assert rate is not None
            search.add(self.trial(rate))
        return search


@pytest.mark.parametrize(
    ("service_s", "limit_s", "noise", "sittings", "off"),
    [
        (2e-3, 0.02, 0.0, 60, 0.02),
        (2e-3, 0.02, 0.05, 60, 0.02),
        (2e-4, 0.02, 0.02, 20, 0.02),
    ],
)
def test_the_interval_covers_the_limit_of_a_queue(
    service_s: float, limit_s: float, noise: float, sittings: int, off: float
) -> None:
    """In at least 93 of 100 sittings of 48 trials; the estimate is right on the average."""
    queue = Queue(service_s, limit_s, noise, 11)
    true = queue.true_limit(1000)
    found = [queue.sitting(0.8 * true, number).limit() for number in range(sittings)]
    limits = [one for one in found if one is not None]
    assert len(limits) == sittings
    logs = [math.log(one.rate_rps / true) for one in limits]
    assert abs(np.mean(logs)) < off
    covered = [one for one in limits if one.interval is not None and true in one.interval]
    assert len(covered) >= 0.93 * sittings


def test_a_cliff_is_found_between_two_rates() -> None:
    """A server that holds 1,000 a second and nothing above: the limit is between the trials
    beside it, and the curve is steep."""
    search = Search(SHARE, 500.0, "cliff")
    for _ in range(30):
        rate = search.next_rps()
        assert rate is not None
        search.add(Trial(rate, 1000, 0 if rate <= 1000 else 900))
    found = search.limit()
    assert found is not None and found.interval is not None
    assert 980 < found.rate_rps < 1020
    assert found.slope > 60


@pytest.mark.parametrize(("slow", "ends_rps"), [(0, 500_000), (1000, 1)])
def test_a_search_that_meets_no_limit_ends(slow: int, ends_rps: float) -> None:
    """It goes up, or down, by longer and longer strides, and ends at the bounds."""
    search = Search(SHARE, 1000.0, "none")
    count = 0
    while (rate := search.next_rps()) is not None:
        search.add(Trial(rate, 1000, slow))
        count += 1
        assert count < 20
    assert search.limit() is None
    last = search.trials[-1].rate_rps
    assert max(last / ends_rps, ends_rps / last) < 4


def test_a_rate_that_the_generator_could_not_offer_is_not_offered_again() -> None:
    """It is tried three times; then the search ends there, without a limit."""
    search = Search(SHARE, 1000.0, "generator")
    search.add(Trial(1000.0, 1000, 0))
    rate = search.next_rps()
    assert rate is not None and rate > 1000
    for _ in range(PATIENCE):
        assert search.next_rps() == rate
        search.not_offered(rate)
    assert search.next_rps() is None
    assert search.limit() is None


def test_the_ratio_of_two_limits_is_wider_than_either() -> None:
    """Its interval holds the ratio of the true ones."""
    fast, slow = Queue(2e-3, 0.02, 0.0, 1), Queue(4e-3, 0.04, 0.0, 2)
    one = crossing(fast.sitting(350.0, 1).trials, SHARE)
    other = crossing(slow.sitting(150.0, 2).trials, SHARE)
    assert one is not None and other is not None
    centre, interval = ratio(one, other)
    assert interval is not None
    assert centre == one.rate_rps / other.rate_rps
    assert 2.0 in interval
    half = math.log(interval.high / interval.low) / 2
    assert one.half_width is not None and other.half_width is not None
    assert half > max(one.half_width, other.half_width)
