"""Times in HdrHistogram's buckets: microseconds, three significant digits, to one hour.

Up to 2,047 us every microsecond has a bucket of its own; above that a bucket
is at most 0.1 % wide (G. Tene, HdrHistogram; a test holds the buckets to the
library of that name). Only buckets that hold something are kept, so that cost
grows with the spread of the values and not with the range: the library walks
through all buckets up to the largest value for each question. What travels
and what is written is the list of buckets (highest value that falls into it,
count); merging two lists is adding counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from loopbench.results.schema import PERCENTILES

HIGHEST_US = 3_600_000_000
EXACT_BELOW_US = 2048
_BITS = 11

Buckets = dict[int, int]


def bounds(value_us: int) -> tuple[int, int]:
    """The lowest and the highest value of the bucket that a value falls into."""
    if value_us < EXACT_BELOW_US:
        return value_us, value_us
    shift = value_us.bit_length() - _BITS
    lowest = value_us >> shift << shift
    return lowest, lowest + (1 << shift) - 1


class Histogram:
    """Counts of times in microseconds. A time above one hour counts as one hour."""

    def __init__(self) -> None:
        self._counts: Buckets = {}

    def record(self, values_us: Iterable[int]) -> None:
        """Add times in whole microseconds; below zero (a stepped clock) counts as zero."""
        self.add(Counter(values_us))

    def add(self, counts: Mapping[int, int]) -> None:
        """Add times with their counts; the buckets of another histogram merge exactly."""
        own = self._counts
        for value, count in counts.items():
            _, upper = bounds(min(max(value, 0), HIGHEST_US))
            own[upper] = own.get(upper, 0) + count

    @property
    def count(self) -> int:
        """How many times were recorded."""
        return sum(self._counts.values())

    def buckets(self) -> Buckets:
        """Highest value in us → count, ascending, without empty buckets."""
        return dict(sorted(self._counts.items()))

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The same as pairs, as a report has them."""
        return tuple(sorted(self._counts.items()))

    def percentile_us(self, percent: float) -> int:
        """Highest value of the bucket at a percentile, by nearest rank. Raises ValueError
        when empty."""
        return self._at([percent])[0]

    def statistics_ms(self) -> dict[str, float | None]:
        """mean, percentiles and max in ms, under the schema's short names; None when empty."""
        if not self._counts:
            return dict.fromkeys(("mean", *PERCENTILES, "max"))
        at = self._at(list(PERCENTILES.values()))
        return {
            "mean": self.mean_us() / 1000,
            **{short: us / 1000 for short, us in zip(PERCENTILES, at, strict=True)},
            "max": max(self._counts) / 1000,
        }

    def mean_us(self) -> float:
        """Mean of the buckets' middles in us. Raises ValueError when empty."""
        if not self._counts:
            raise ValueError("an empty histogram has no mean")
        twice = sum(sum(bounds(upper)) * count for upper, count in self._counts.items())
        return twice / 2 / self.count

    def _at(self, percents: Sequence[float]) -> list[int]:
        """Values at ascending percentiles, in one pass."""
        if not self._counts:
            raise ValueError("an empty histogram has no percentile")
        values: list[int] = []
        total, passed = self.count, 0
        # Rounded first: 99.9 % of 1,000 is a little more than 999 in binary.
        ranks = [max(1, math.ceil(round(percent / 100 * total, 6))) for percent in percents]
        for upper, count in sorted(self._counts.items()):
            passed += count
            while len(values) < len(ranks) and passed >= ranks[len(values)]:
                values.append(upper)
        return values


def from_pairs(pairs: Iterable[Sequence[int]]) -> Histogram:
    """The histogram of [us, count] pairs, as JSON has them."""
    return from_buckets({pair[0]: pair[1] for pair in pairs})


def from_buckets(buckets: Mapping[int, int]) -> Histogram:
    """The histogram that `buckets` was read from."""
    histogram = Histogram()
    histogram.add(buckets)
    return histogram
