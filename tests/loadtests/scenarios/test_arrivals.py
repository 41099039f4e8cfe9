"""The arrivals of an open loop: Poisson, repeatable, and over in time."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from itertools import pairwise

import pytest

from loopbench.loadtests.scenarios.arrivals import Arrivals

RATE_RPS = 1000.0
SECONDS = 50
END_NS = SECONDS * 1_000_000_000


def drawn(seed: str, rate_rps: float = RATE_RPS, end_ns: int = END_NS) -> list[int]:
    arrivals = Arrivals(rate_rps, end_ns, seed)
    found = []
    while (due := arrivals.take()) is not None:
        found.append(due)
    assert arrivals.take() is None
    return found


def test_the_same_seed_gives_the_same_arrivals() -> None:
    """A schedule can be worked out again from the recorded seed; another seed gives another."""
    assert drawn("7/main") == drawn("7/main")
    assert drawn("7/main") != drawn("8/main")
    assert drawn("7/main") != drawn("7/other")


def test_arrivals_ascend_and_end() -> None:
    """Every arrival lies between the start and the end, in order."""
    found = drawn("7/main")
    assert found == sorted(found)
    assert found[0] >= 0
    assert found[-1] < END_NS


def test_gaps_are_exponential() -> None:
    """Mean and standard deviation of the gaps are one over the rate, and their distribution
    function is that of the exponential law, within sampling error."""
    found = drawn("7/main")
    gaps = [later - earlier for earlier, later in pairwise(found)]
    mean_ns = 1e9 / RATE_RPS
    error = 1 / math.sqrt(len(gaps))
    assert statistics.fmean(gaps) == pytest.approx(mean_ns, rel=4 * error)
    # The standard deviation of an exponential's sample deviation is about sqrt(2) as large.
    assert statistics.pstdev(gaps) == pytest.approx(mean_ns, rel=6 * error)
    ordered = sorted(gaps)
    distance = max(
        abs((index + 0.5) / len(ordered) - (1 - math.exp(-gap / mean_ns)))
        for index, gap in enumerate(ordered)
    )
    assert distance < 1.95 * error  # Kolmogorov's bound at one in a thousand


def test_counts_vary_as_a_poisson_process_does() -> None:
    """The number of arrivals in a slice has a variance equal to its mean."""
    slices = SECONDS * 20
    counts = Counter(due * slices // END_NS for due in drawn("7/main"))
    values = [counts[index] for index in range(slices)]
    mean = statistics.fmean(values)
    assert mean == pytest.approx(RATE_RPS / 20, rel=4 / math.sqrt(RATE_RPS * SECONDS))
    assert statistics.pvariance(values) / mean == pytest.approx(1.0, abs=4 * math.sqrt(2 / slices))


def test_neighbouring_gaps_are_independent() -> None:
    """A long gap does not foretell the next one."""
    found = drawn("7/main")
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert abs(statistics.correlation(gaps[:-1], gaps[1:])) < 4 / math.sqrt(len(gaps))


def test_a_load_too_short_for_its_rate_may_have_no_arrival() -> None:
    """One arrival an hour does not fall into the first microsecond."""
    assert drawn("7/main", rate_rps=1 / 3600, end_ns=1000) == []
