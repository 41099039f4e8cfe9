"""From the estimates of Blocks to a ratio with its interval.

Blocks are what is replicated: each has fresh processes. Their estimates are summarised by mean and
Student's t: what they differ by says how well the mean over processes is known. Of three Blocks
alone that is known badly (Student's factor is 4.3), so that the variance is moderated by what the
Blocks of the sitting's other ratios differ by (`results.stats.intervals.moderation`). Blocks can
agree by chance, so that the interval is never narrower than a share (FLOOR) of what the Slices
within them predict. On 200 Blocks of a stack and its twin (results/noise/slices.csv) Student's t
alone covered the truth in 95.9 to 96.4 % of sets of five Blocks, with this floor in 96.3 to 96.9 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from loopbench.results.schema.reading_warnings import MIN_ROUNDS
from loopbench.results.stats.intervals.location import Interval, quantile, raised
from loopbench.results.stats.intervals.moderation import Prior, Spread

FLOOR = 0.75
"""Share of what the Slices predict that an interval reaches at least."""

SEQUENTIAL_FACTOR = 1.2
LEAST_SEQUENTIAL_BLOCKS = 5
"""Of intervals at whose width the measuring stopped; see `over_blocks`."""


@dataclass(frozen=True, slots=True)
class BlockEstimate:
    """The logarithm of a ratio in one Block, and its standard error by its Turns.

    n: the Slices of the stack that has fewer.
    """

    value: float
    error: float
    n: int


@dataclass(frozen=True, slots=True)
class SlicedRatio:
    """A ratio over Blocks. n: Blocks. interval: None where they are too few."""

    n: int
    centre: float
    interval: Interval | None


def over_blocks(
    estimates: Sequence[BlockEstimate], *, prior: Prior | None = None, sequential: bool = False
) -> SlicedRatio:
    """The ratio over Blocks, with its 95 % interval by what the Blocks differ by, and at least
    FLOOR of what their Slices predict. Raises ValueError without any.

    Student's t over the Blocks' estimates. Nothing is trimmed: disturbed Slices do not reach the
    estimate of a Block, and of five values trimming leaves two degrees of freedom.

    prior: what the sitting's ratios of this metric have in common; without it the variance is that
    of these Blocks alone.

    sequential: whether it was measured until it was narrow enough. Who stops at a narrow interval
    stops more often where the Blocks agree by chance: therefore nobody looks at one below
    LEAST_SEQUENTIAL_BLOCKS (`results.stats.summaries.precision`), and from then on it is made wider
    by SEQUENTIAL_FACTOR. Fewer Blocks are all that the time allowed, whatever their values were,
    and their interval needs no correction. Of independent Blocks 1.1 would bring its coverage back
    to 93 to 98 % (tests/results/stats/intervals/test_slices.py simulates it); but Blocks that
    follow one another within half a minute meet the same mood of the host, and with 1.1 the
    interval of throughput contained the pooled ratio in 17 of 20 real sittings. With 1.2 it did in
    ten of ten, and that of CPU time in nine.
    """
    n, middle = len(estimates), statistics.fmean(estimate.value for estimate in estimates)
    if n < MIN_ROUNDS:
        return SlicedRatio(n, math.exp(middle), None)
    floor = FLOOR * slices_reach(estimates)
    looked_at = sequential and n >= LEAST_SEQUENTIAL_BLOCKS
    factor = SEQUENTIAL_FACTOR if looked_at else 1.0
    reach = max(_blocks_reach(estimates, prior), floor) * factor
    return SlicedRatio(n, math.exp(middle), raised(Interval(middle - reach, middle + reach)))


def spread_of(estimates: Sequence[BlockEstimate]) -> Spread | None:
    """By how much the Blocks of a ratio differ more than their Slices predict; None where they are
    too few, or where one of the two says that nothing varies."""
    if len(estimates) < MIN_ROUNDS:
        return None
    observed = statistics.variance(estimate.value for estimate in estimates)
    predicted = _predicted(estimates)
    if observed == 0 or predicted == 0:
        return None
    return Spread(observed / predicted, len(estimates) - 1)


def slices_reach(estimates: Sequence[BlockEstimate]) -> float:
    """Half of the 95 % interval that the Slices within the Blocks predict for their mean."""
    freedom = sum(estimate.n - 1 for estimate in estimates)
    return quantile(freedom) * math.sqrt(_predicted(estimates) / len(estimates))


def _predicted(estimates: Sequence[BlockEstimate]) -> float:
    """The variance of a Block that its Slices predict, from the median Block: that of a disturbed
    one is large by itself."""
    return statistics.median(estimate.error for estimate in estimates) ** 2


def _blocks_reach(estimates: Sequence[BlockEstimate], prior: Prior | None) -> float:
    """Half of the 95 % interval that the Blocks themselves show."""
    n = len(estimates)
    spread = None if prior is None else spread_of(estimates)
    if prior is None or spread is None:
        return (
            quantile(n - 1)
            * statistics.stdev(estimate.value for estimate in estimates)
            / math.sqrt(n)
        )
    moderated = prior.moderate(spread)
    return quantile(moderated.freedom) * math.sqrt(moderated.factor * _predicted(estimates) / n)
