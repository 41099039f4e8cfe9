"""One thread with a queue: the closed form against the queue itself, and the way back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopbench.results.stats.single_queue import (
    Window,
    late_number,
    late_share,
    response_times,
    service_span,
    told_span,
)


def poisson(rate_rps: float, length_s: float, random: np.random.Generator) -> np.ndarray:
    """Arrivals at random."""
    return np.sort(random.uniform(0, length_s, random.poisson(rate_rps * length_s)))


def test_a_request_waits_for_all_that_came_before_it() -> None:
    """The first begins at once, the second waits for it, the third finds nothing to wait for."""
    times = response_times(np.array([0.0, 1.0, 9.0]), 3.0)
    assert times.tolist() == [3.0, 5.0, 3.0]


@pytest.mark.parametrize(
    ("rate_rps", "used", "limit_s", "loads"),
    [
        (500, 0.85, 0.02, 3000),
        (300, 0.8, 0.02, 3000),
        (2000, 0.9, 0.005, 1000),
        (5000, 1.0, 0.02, 200),
    ],
)
def test_the_closed_form_is_that_of_the_queue(
    rate_rps: float, used: float, limit_s: float, loads: int
) -> None:
    """By simulation: at the same share of late arrivals, rates differ by less than 1 %, of which
    the simulation itself has a half."""
    random = np.random.default_rng(5)
    window = Window(limit_s, 0.2, 1.0)
    late = total = 0
    for _ in range(loads):
        arrivals_s = poisson(rate_rps, 1.2, random)
        late += late_number(arrivals_s, used / rate_rps, window)
        total += int((arrivals_s >= 0.2).sum())
    services_s = np.array([used / rate_rps])
    shares = [
        float(late_share(rate_rps * factor, services_s, window)[0]) for factor in (0.99, 1.01)
    ]
    assert shares[0] < late / total < shares[1]


def test_no_service_is_never_late_and_one_above_the_limit_always() -> None:
    """Nor does a service near the rate's inverse, where the formula is a quotient of zeros, give
    anything but a number; shares rise with the service."""
    window = Window(0.02, 0.2, 1.0)
    services_s = np.array([1e-9, 1e-3, 1.999e-3, 2e-3, 2.001e-3, 3e-3, 0.03, 1e3])
    shares = late_share(500.0, services_s, window)
    assert shares[0] == 0
    assert shares[-2:].tolist() == [1, 1]
    assert (np.diff(shares) >= 0).all()


def test_the_service_is_found_again() -> None:
    """From the arrivals and the number of late ones; so narrowly that the luck of the arrivals is
    out of it."""
    random = np.random.default_rng(3)
    window = Window(0.02, 0.2, 1.0)
    for rate_rps in (480.0, 500.0, 520.0):
        arrivals_s = poisson(rate_rps, 1.2, random)
        late = late_number(arrivals_s, 2e-3, window)
        assert 0 < late < int((arrivals_s >= window.lead_in_s).sum())
        least_s, most_s = service_span(arrivals_s, window, late)
        assert least_s - 1e-8 <= 2e-3 <= most_s + 1e-8
        assert most_s < 1.1 * least_s


def test_spans_are_open_where_none_or_all_are_late() -> None:
    """Then the arrivals tell only what the service is not."""
    window = Window(0.02, 0.2, 1.0)
    arrivals_s = poisson(400.0, 1.2, np.random.default_rng(3))
    every = int((arrivals_s >= 0.2).sum())
    least_s, most_s = service_span(arrivals_s, window, 0)
    assert least_s == 0 and late_number(arrivals_s, most_s * 0.999, window) == 0
    least_s, most_s = service_span(arrivals_s, window, every)
    assert math.isinf(most_s) and late_number(arrivals_s, least_s * 1.001, window) == every


def test_a_server_that_was_full_tells_its_service_by_how_late_all_were() -> None:
    """At twice the rate that fills it hardly a request keeps the limit; a longer one tells more."""
    window = Window(0.02, 0.2, 1.0)
    arrivals_s = poisson(10_000.0, 1.2, np.random.default_rng(3))
    times_s = response_times(arrivals_s, 2e-4)[arrivals_s >= window.lead_in_s]

    def late(limit_s: float) -> int:
        return int((times_s > limit_s).sum())

    assert late(window.limit_s) == len(times_s)
    assert math.isinf(service_span(arrivals_s, window, len(times_s))[1])
    least_s, most_s = told_span(arrivals_s, window, late)
    assert least_s - 1e-8 <= 2e-4 <= most_s + 1e-8
    assert most_s < 1.001 * least_s


def test_where_none_is_late_a_shorter_limit_is_not_asked() -> None:
    """A request may take long beside its queue: the span stays open downwards."""
    window = Window(0.02, 0.2, 1.0)
    arrivals_s = poisson(400.0, 1.2, np.random.default_rng(3))
    times_s = response_times(arrivals_s, 1e-4)[arrivals_s >= window.lead_in_s] + 0.01
    assert told_span(arrivals_s, window, lambda limit_s: int((times_s > limit_s).sum()))[0] == 0
