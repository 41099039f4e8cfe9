"""Histograms against the plain list of values that they stand for."""

from __future__ import annotations

import math
import random

import pytest
from hdrh.histogram import HdrHistogram

from loopbench.loadtests.rows.histogram import HIGHEST_US, Histogram, from_buckets
from loopbench.results.schema import PERCENTILES

EXACT_BELOW_US = 2048
WIDTH = 0.001


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


def some_values(count: int = 20_000, seed: int = 4) -> list[int]:
    """Times with a long tail: 60 us to minutes."""
    generator = random.Random(seed)
    return [int(generator.lognormvariate(6.0, 2.0)) + 60 for _ in range(count)]


def rank(values: list[int], percent: float) -> int:
    """The percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(percent / 100 * len(ordered), 9)) - 1)]


def test_every_microsecond_below_2048_has_its_own_bucket() -> None:
    """Nothing is merged there: the buckets are the values."""
    buckets = filled([value for value in range(EXACT_BELOW_US) for _ in range(value % 3 + 1)])
    assert buckets.buckets() == {value: value % 3 + 1 for value in range(EXACT_BELOW_US)}


def test_above_that_a_bucket_is_at_most_a_thousandth_wide() -> None:
    """A value's bucket ends at the value or above it, by less than 0.1 %."""
    for value in [2048, 2049, 4095, 4096, 99_999, 1_234_567, 59_999_999, HIGHEST_US]:
        ((upper, count),) = filled([value]).buckets().items()
        assert count == 1
        assert value <= upper <= value * (1 + WIDTH)


def test_buckets_ascend_and_none_is_empty() -> None:
    """The list of buckets is sorted, and its counts add up to the number of values."""
    buckets = filled(some_values()).buckets()
    assert list(buckets) == sorted(buckets)
    assert min(buckets.values()) >= 1
    assert sum(buckets.values()) == 20_000


def test_buckets_make_the_same_histogram_again() -> None:
    """What was written can be read back, with equal percentiles and equal buckets."""
    histogram = filled(some_values())
    again = from_buckets(histogram.buckets())
    assert again.buckets() == histogram.buckets()
    for percent in (0.0, 50.0, 90.0, 99.0, 99.9, 100.0):
        assert again.percentile_us(percent) == histogram.percentile_us(percent)
    assert again.mean_us() == pytest.approx(histogram.mean_us(), rel=WIDTH)


def test_merging_is_adding() -> None:
    """Two histograms' buckets added are the histogram of both lists of values."""
    one, two = some_values(seed=1), some_values(seed=2)
    merged = from_buckets(filled(one).buckets())
    merged.add(filled(two).buckets())
    assert merged.buckets() == filled(one + two).buckets()


@pytest.mark.parametrize("percent", [0.1, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 99, 100, 1000, 1001, 20_000])
def test_percentiles_are_those_of_the_sorted_values(percent: float, count: int) -> None:
    """Nearest rank, exact below 2,048 us and within a bucket's width above."""
    values = some_values(count)
    true, seen = rank(values, percent), filled(values).percentile_us(percent)
    assert true <= seen <= (true if true < EXACT_BELOW_US else true * (1 + WIDTH))


def test_statistics_are_those_of_the_values() -> None:
    """Mean, percentiles and maximum in ms, under the schema's names."""
    values = some_values()
    seen = filled(values).statistics_ms()
    assert list(seen) == ["mean", *PERCENTILES, "max"]
    assert seen["mean"] == pytest.approx(sum(values) / len(values) / 1000, rel=WIDTH)
    assert seen["max"] == pytest.approx(max(values) / 1000, rel=WIDTH)
    for short, percent in PERCENTILES.items():
        assert seen[short] == pytest.approx(rank(values, percent) / 1000, rel=WIDTH)


def test_nothing_recorded_is_not_measured() -> None:
    """An empty histogram has no statistics, and says so instead of zero."""
    assert filled([]).statistics_ms() == dict.fromkeys(("mean", *PERCENTILES, "max"))
    assert filled([]).buckets() == {}
    assert filled([]).count == 0
    with pytest.raises(ValueError, match="no percentile"):
        filled([]).percentile_us(50.0)
    with pytest.raises(ValueError, match="no mean"):
        filled([]).mean_us()


def test_zero_is_a_value() -> None:
    """A time below half a microsecond is counted, as zero."""
    histogram = filled([0, 0, 5])
    assert histogram.count == 3
    assert histogram.buckets() == {0: 2, 5: 1}
    assert histogram.percentile_us(50.0) == 0
    assert histogram.statistics_ms()["mean"] == pytest.approx(5 / 3 / 1000)


def test_out_of_range_values_are_counted_at_the_edge() -> None:
    """Nothing is dropped: below zero counts as zero, above an hour as an hour."""
    histogram = filled([-7, HIGHEST_US * 5])
    low, high = histogram.buckets()
    assert histogram.count == 2
    assert low == 0
    assert HIGHEST_US <= high <= HIGHEST_US * (1 + WIDTH)


@pytest.mark.parametrize("count", [1, 2, 99, 101, 1001, 1499])
def test_statistics_and_percentiles_agree(count: int) -> None:
    """Both take the nearest rank: the first value with at least that share at or below it."""
    values = list(range(count))
    seen = filled(values).statistics_ms()
    for short, percent in PERCENTILES.items():
        assert seen[short] == rank(values, percent) / 1000


def test_the_buckets_are_those_of_hdrhistogram() -> None:
    """The library of that name, with the same range and precision, has the same buckets."""
    oracle = HdrHistogram(1, HIGHEST_US, 3)
    values = [*some_values(), 0, 1, 2047, 2048, 2049, 4095, 4096, HIGHEST_US]
    for value in values:
        oracle.record_value(value)
    seen = {
        oracle.get_highest_equivalent_value(item.value_iterated_to): item.count_at_value_iterated_to
        for item in oracle.get_recorded_iterator()
    }
    assert filled(values).buckets() == seen
