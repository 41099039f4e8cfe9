"""Ratios of stacks that were loaded in turn: from Slices to the estimate of a Block.

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
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType

from loopbench.results.grouping import grouped
from loopbench.results.schema import Row
from loopbench.results.stats.intervals.blocks import BlockEstimate
from loopbench.results.stats.intervals.location import special

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

RATES = frozenset({"throughput_rps"})
"""Columns of which more is faster."""

LEAST_TURNS = 4
"""Fewer Slices in a Block say nothing of how much they vary."""


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
