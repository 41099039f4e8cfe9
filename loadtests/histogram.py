"""Times as HdrHistograms: microseconds, three significant digits, 1 us to one hour.

Up to 2,047 us every microsecond has a bucket of its own; above that a bucket
is at most 0.1 % wide. What travels and what is written is the list of buckets
(highest value that falls into it, count); merging two lists is adding counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

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
        return {
            int(self._hdr.get_highest_equivalent_value(item.value_iterated_to)): int(
                item.count_at_value_iterated_to
            )
            for item in self._hdr.get_recorded_iterator()
        }

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
            "mean": float(self._hdr.get_mean_value()) / 1000,
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
        return float(self._hdr.get_mean_value())


def from_buckets(buckets: Mapping[int, int]) -> Histogram:
    """The histogram that `buckets` was read from."""
    histogram = Histogram()
    histogram.add(buckets)
    return histogram
