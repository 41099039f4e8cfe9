"""The limit of a simulated server, whose true limit is known, is found, and covered."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopbench.loadtests.capacity.search import PATIENCE, Search
from loopbench.loadtests.selfcheck.simulated import SHARE, WINDOW, Queue, true_limit
from loopbench.results.stats.censored_line import CensoredLine
from loopbench.results.stats.rate_limit import Trial, crossing, ratio
from loopbench.results.stats.single_queue import service_span

NONE_SLOW = (0.0, 1e-3)
ALL_SLOW = (2e-3, math.inf)


def trial(rate_rps: float, slow: int = 0) -> Trial:
    """Of 1,000 requests, none or all of which are slow."""
    return Trial(rate_rps, 1000, slow, *(ALL_SLOW if slow else NONE_SLOW), window=WINDOW)


@pytest.mark.parametrize(
    ("service_s", "noise", "within"), [(2e-3, 0.0, 0.03), (2e-3, 0.1, 0.25), (2e-4, 0.02, 0.05)]
)
def test_the_interval_holds_the_limit_of_a_queue(
    service_s: float, noise: float, within: float
) -> None:
    """In each of a few sittings, and it is narrow; `selfcheck capacity` has hundreds of them."""
    true = true_limit(service_s, noise, trials=300)
    for number in range(2):
        found = Queue(service_s, noise, 11 + number).sitting(number, 24).limit()
        assert found is not None and found.interval is not None and found.half_width is not None
        # The truth itself is simulated, and known to 1 %.
        assert found.interval.low < true * 1.01 and found.interval.high > true * 0.99
        assert found.half_width < within


def test_a_line_through_spans_is_the_line_that_the_values_are_about() -> None:
    """Half of the values are known to be above or below something only; the slope and the
    deviation are found from them, too."""
    random = np.random.default_rng(4)
    places = random.uniform(-1, 1, 400)
    values = 3 + 2 * places + 0.2 * random.standard_normal(400)
    bounds = 3 + 2 * places + 0.2 * random.standard_normal(400)
    known = random.random(400) < 0.5
    low = np.where(known, values - 1e-3, np.where(values > bounds, bounds, -math.inf))
    high = np.where(known, values + 1e-3, np.where(values > bounds, math.inf, bounds))
    line = CensoredLine.fitted(places, low, high)
    assert abs(float(line.value(0.0, line.parameters)) - 3) < 0.05
    assert abs(float(line.value(1.0, line.parameters)) - 5) < 0.1
    assert abs(line.deviation - 0.2) < 0.03


def test_a_cliff_is_found_between_two_rates() -> None:
    """A server that holds 1,000 a second and nothing above: the limit is between the trials
    beside it, and the curve is steep."""
    search = Search(SHARE, 500.0, "cliff")
    random = np.random.default_rng(1)
    for _ in range(30):
        rate = search.next_rps()
        assert rate is not None
        arrivals_s = np.sort(random.uniform(0, 1.2, random.poisson(rate * 1.2)))
        offered = int((arrivals_s >= WINDOW.lead_in_s).sum())
        slow = 0 if rate <= 1000 else round(0.9 * offered)
        span = service_span(arrivals_s, WINDOW, slow)
        search.add(Trial(rate, offered, slow, *span, window=WINDOW))
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
        search.add(trial(rate, slow))
        count += 1
        assert count < 20
    assert search.limit() is None
    last = search.trials[-1].rate_rps
    assert max(last / ends_rps, ends_rps / last) < 4


def test_a_rate_that_the_generator_could_not_offer_is_not_offered_again() -> None:
    """It is tried three times; then the search ends there, without a limit."""
    search = Search(SHARE, 1000.0, "generator")
    search.add(trial(1000.0))
    rate = search.next_rps()
    assert rate is not None and rate > 1000
    for _ in range(PATIENCE):
        assert search.next_rps() == rate
        search.not_offered(rate)
    assert search.next_rps() is None
    assert search.limit() is None


def test_the_ratio_of_two_limits_is_wider_than_either() -> None:
    """Its interval holds the ratio of the true ones."""
    one = crossing(Queue(2e-3, 0.05, 1).sitting(1, 16).trials, SHARE)
    other = crossing(Queue(4e-3, 0.05, 2).sitting(2, 16).trials, SHARE)
    assert one is not None and other is not None
    centre, interval = ratio(one, other)
    assert interval is not None
    assert centre == one.rate_rps / other.rate_rps
    true = true_limit(2e-3, 0.05, trials=300) / true_limit(4e-3, 0.05, trials=300)
    assert true in interval
    half = math.log(interval.high / interval.low) / 2
    assert one.half_width is not None and other.half_width is not None
    assert half > max(one.half_width, other.half_width)
