"""Ratios of stacks that were loaded in turn: from Slices to a Block, from Blocks to an interval.

A Block (one scenario in one Round) gives one estimate. What disturbs a Slice makes it slower and
never faster, so that each stack is taken at its undisturbed end: the lower quartile of what the
Slices cost or took, the upper one of what they served, the same quartile for every stack. It is
estimated by Harrell and Davis (a weighted mean of all order statistics, which is steadier than one
of them). The logarithm of the ratio of two stacks is the Block's estimate. Its standard error is
that of the jackknife which leaves out one Turn, of both stacks, after the other: a slow mood of the
machine that lasts for a Turn moves both, and little of it is left in their ratio. (Errors of the
two quantiles by Maritz and Jarrett, added as if they were independent, said 3.2 % of the twins
below, whose Blocks differed by 1.7 %; the jackknife says 1.7 %. Of a stack that is offered the same
arrivals as another they said 10 times what the Blocks differed by.) Sources: F. E. Harrell, C. E.
Davis, "A new distribution-free quantile estimator", Biometrika 69 (1982) 635-640, which has its
jackknife, too; B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 9
(1981) 586-596.

Blocks are what is replicated: each has fresh processes. Their estimates are summarised by mean and
Student's t: what they differ by says how well the mean over processes is known. Three Blocks can
agree by chance, so that the interval is never narrower than a share (FLOOR) of what the Slices
within them predict. On 200 Blocks of a stack and its twin (results/noise/slices.csv) Student's t
alone covered the truth in 95.5 to 95.8 % of sets of five Blocks, with this floor in 95.8 to 96.5 %.

What else was tried, on 24 Blocks of the two core stacks in a calm stretch of a virtual machine and
5 in a disturbed one (standard deviation of a Block's CPU time a request): mean of the Turns'
logarithms 3.9 and 8.5 %, their 20 % trimmed mean 2.7 and 7.6 %, their median 2.7 and 4.0 %, the
fast half by a fixed piece of work beside each Slice 4.2 and 13 %, an adjustment by that work 2.7
and 7.6 %; the quartile 2.3 and 3.0 %. Its ratio is also the one that differed least between the two
stretches: 7.89 and 7.95, where the mean gave 8.12 and 7.68. docs/slices.md has more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from loopbench.results.grouping import grouped
from loopbench.results.schema import Row
from loopbench.results.schema.reading_warnings import MIN_ROUNDS
from loopbench.results.stats.intervals.location import Interval, quantile, raised, special

FAST = 0.25
"""How far from the undisturbed end a stack is read; at the end itself it would be the best of n."""

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "throughput_rps": "throughput_rps",
        "cpu_us_per_request": "cpu_us_per_request",
        "service_time_p50_ms": "service_time_p50_ms",
        "response_time_p50_ms": "response_time_p50_ms",
    }
)
"""Columns of runs.csv to the column of slices.csv that holds the same, a value a Slice."""

FLOOR = 0.75
"""Share of what the Slices predict that an interval reaches at least."""

SEQUENTIAL_FACTOR = 1.2
LEAST_SEQUENTIAL_BLOCKS = 5
"""Of intervals at whose width the measuring stopped; see `over_blocks`."""

RATES = frozenset({"throughput_rps"})
"""Columns of which more is faster."""

LEAST_TURNS = 4
"""Fewer Slices in a Block say nothing of how much they vary."""


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


def by_run(rows: Iterable[Row]) -> Mapping[str, tuple[Row, ...]]:
    """The rows of slices.csv by their Run."""
    found = grouped((str(row["run_id"]), _completed(row)) for row in rows)
    return {run_id: tuple(of) for run_id, of in found.items()}


def _completed(row: Row) -> Row:
    """With the response time that older folders leave out: in their closed loops it is the service
    time."""
    if row.get("response_time_p50_ms") is not None:
        return row
    return {**row, "response_time_p50_ms": row["service_time_p50_ms"]}


def block_estimate(
    run: Sequence[Row], reference: Sequence[Row], metric: str, share: float | None = None
) -> BlockEstimate | None:
    """One Run over its reference in the same Block; None where either has too few good Slices.

    metric: a column of slices.csv. share: below which share of the Slices both are read; at the
    undisturbed end without one. A Slice with a failure, without a value, or with the probe's cost
    in it is left out.
    """
    values, others = (_logarithms(rows, metric) for rows in (run, reference))
    n = min(len(values), len(others))
    if n < LEAST_TURNS:
        return None
    at = undisturbed(metric) if share is None else share
    value = quantile_of(values.values(), at) - quantile_of(others.values(), at)
    left_out = [
        quantile_of(_without(values, turn), at) - quantile_of(_without(others, turn), at)
        for turn in sorted(values.keys() | others.keys())
    ]
    return BlockEstimate(value, _jackknifed(left_out), n)


def _without(values: Mapping[int, float], turn: int) -> list[float]:
    return [value for at, value in values.items() if at != turn]


def _jackknifed(left_out: Sequence[float]) -> float:
    """The standard error of an estimate from those that leave out one part each."""
    return math.sqrt(len(left_out) - 1) * statistics.pstdev(left_out)


def undisturbed(metric: str) -> float:
    """The share of a stack's Slices, in ascending order of this column, below which it is read."""
    return 1 - FAST if metric in RATES else FAST


def _logarithms(rows: Sequence[Row], metric: str) -> dict[int, float]:
    """By Turn."""
    return {
        int(str(row["turn"])): math.log(value)
        for row in rows
        if isinstance(value := row[metric], int | float)
        and value > 0
        and not row["failures"]
        and not row.get("watched")
    }


def quantile_of(values: Iterable[float], share: float) -> float:
    """The quantile at `share` by Harrell and Davis; see the module's docstring. Raises ValueError
    without values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values have no quantile")
    weights = _weights(len(ordered), share)
    return math.fsum(w * value for w, value in zip(weights, ordered, strict=True))


@lru_cache(maxsize=256)
def _weights(n: int, share: float) -> tuple[float, ...]:
    """How much each of n values in ascending order weighs."""
    places = [place / n for place in range(n + 1)]
    ends = special().betainc((n + 1) * share, (n + 1) * (1 - share), places)
    return tuple(float(upper - lower) for lower, upper in pairwise(ends))


def over_blocks(estimates: Sequence[BlockEstimate], *, sequential: bool = False) -> SlicedRatio:
    """The ratio over Blocks, with its 95 % interval by what the Blocks differ by, and at least
    FLOOR of what their Slices predict. Raises ValueError without any.

    Student's t over the Blocks' estimates. Nothing is trimmed: disturbed Slices do not reach the
    estimate of a Block, and of five values trimming leaves two degrees of freedom.

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
    values = [estimate.value for estimate in estimates]
    n, middle = len(values), statistics.fmean(values)
    if n < MIN_ROUNDS:
        return SlicedRatio(n, math.exp(middle), None)
    by_blocks = quantile(n - 1) * statistics.stdev(values) / math.sqrt(n)
    floor = FLOOR * slices_reach(estimates)
    looked_at = sequential and n >= LEAST_SEQUENTIAL_BLOCKS
    reach = max(by_blocks, floor) * (SEQUENTIAL_FACTOR if looked_at else 1.0)
    return SlicedRatio(n, math.exp(middle), raised(Interval(middle - reach, middle + reach)))


def slices_reach(estimates: Sequence[BlockEstimate]) -> float:
    """Half of the 95 % interval that the Slices within the Blocks predict for their mean, from the
    median Block's error: that of a disturbed one is large by itself."""
    freedom = sum(estimate.n - 1 for estimate in estimates)
    error = statistics.median(estimate.error for estimate in estimates)
    return quantile(freedom) * error / math.sqrt(len(estimates))
