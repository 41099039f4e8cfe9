"""Times as HdrHistograms: microseconds, three significant digits, 1 us to one hour.

Up to 2,047 us every microsecond has a bucket of its own; above that a bucket
is at most 0.1 % wide. What travels and what is written is the list of buckets
(highest value that falls into it, count); merging two lists is adding counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hdrh.histogram import HdrHistogram

from results.schema import PERCENTILES

HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3

Buckets = dict[int, int]


class Histogram:
    """Counts of times in microseconds. A time above one hour counts as one hour."""

    def __init__(self) -> None:
        self._hdr = HdrHistogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)

    def record(self, values_us: Iterable[int]) -> None:
        """Add times in whole microseconds; below zero (a stepped clock) counts as zero."""
        self.add(Counter(values_us))

    def add(self, counts: Mapping[int, int]) -> None:
        """Add times with their counts; the buckets of another histogram merge exactly."""
        for value, count in counts.items():
            self._hdr.record_value(min(max(value, 0), HIGHEST_US), count)

    @property
    def count(self) -> int:
        return int(self._hdr.get_total_count())

    def buckets(self) -> Buckets:
        """Highest equivalent value in us → count, ascending, without empty buckets."""
        highest = self._hdr.get_highest_equivalent_value
        return {int(highest(value)): count for value, count in self._recorded()}

    def _recorded(self) -> Iterator[tuple[int, int]]:
        """A value of each bucket that is not empty, with its count, ascending.

        Ends with the last one, where hdrhistogram's iterator would go on through all the
        empty buckets up to one hour, for some 50 ms.
        """
        items, left = self._hdr.get_recorded_iterator(), self.count
        while left:
            item = next(items)
            count = int(item.count_at_value_iterated_to)
            left -= count
            yield int(item.value_iterated_to), count

    def percentile_us(self, percent: float) -> int:
        """Highest equivalent value at a percentile (nearest rank). Raises ValueError when empty."""
        if not self.count:
            raise ValueError("an empty histogram has no percentile")
        return int(self._hdr.get_value_at_percentile(self._at_rank(percent)))

    def statistics_ms(self) -> dict[str, float | None]:
        """mean, percentiles and max in ms, under the schema's short names; None when empty."""
        names = ("mean", *PERCENTILES, "max")
        if not self.count:
            return dict.fromkeys(names)
        ranks = {short: self._at_rank(percent) for short, percent in PERCENTILES.items()}
        at = self._hdr.get_percentile_to_value_dict(list(ranks.values()))
        return {
            "mean": self.mean_us() / 1000,
            **{short: int(at[rank]) / 1000 for short, rank in ranks.items()},
            "max": int(self._hdr.get_max_value()) / 1000,
        }

    def _at_rank(self, percent: float) -> float:
        """The percentage that hdrhistogram, which rounds to the nearer of two ranks, takes for
        the nearest rank: the first value that is not below `percent` of all."""
        # Rounded first: 99.9 % of 1,000 is a little more than 999 in binary.
        rank = max(1, math.ceil(round(percent / 100 * self.count, 6)))
        return 100 * rank / self.count

    def mean_us(self) -> float:
        """Mean of the buckets' middles in us. Raises ValueError when empty."""
        if not self.count:
            raise ValueError("an empty histogram has no mean")
        lowest = self._hdr.get_lowest_equivalent_value
        highest = self._hdr.get_highest_equivalent_value
        total = sum(
            (int(lowest(value)) + int(highest(value))) * count for value, count in self._recorded()
        )
        return total / 2 / self.count


def from_pairs(pairs: Iterable[Sequence[int]]) -> Histogram:
    """The histogram of [us, count] pairs, as JSON has them."""
    return from_buckets({pair[0]: pair[1] for pair in pairs})


def from_buckets(buckets: Mapping[int, int]) -> Histogram:
    """The histogram that `buckets` was read from."""
    histogram = Histogram()
    histogram.add(buckets)
    return histogram
