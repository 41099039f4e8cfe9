"""Ratios of stacks that were loaded in turn: from Slices to the estimate of a Block.

A Block (one scenario in one Round) gives one estimate, on the scale of logarithms: the mean of two
that go wrong in different ways.

*Apart*: each stack is taken at its undisturbed end, since what disturbs a Slice makes it slower and
never faster: the lower quartile of what its Slices cost or took, the upper one of what they served,
the same quartile for every stack. It does not mind a stretch in which single Slices are disturbed,
but a change of the machine's speed in the middle of a Block moves it where one stack caught more of
the fast Slices.

*Together*: the median over the Turns of the ratio within each. It does not mind what the speed does
from Turn to Turn, and minds single disturbed Slices more.

Either is estimated by Harrell and Davis (a weighted mean of all order statistics, which is steadier
than one of them). The standard error of the estimate is that of the jackknife which leaves out one
Turn, of both stacks, after the other. Sources: F. E. Harrell, C. E. Davis, "A new distribution-free
quantile estimator", Biometrika 69 (1982) 635-640, which has its jackknife, too; B. Efron, C. Stein,
"The jackknife estimate of variance", Annals of Statistics 9 (1981) 586-596.

What decided for it: the standard deviation of a Block's CPU time a request, and of its throughput,
Quart over aiohttp, within the folders of benches (geometric mean over folder and scenario). On an
AMD EPYC, 15 of them: apart 3.8 and 4.1 %, together 4.3 and 4.6 %, their mean 3.8 and 4.1 %; mean of
the Turns' logarithms 5.2 and 5.4 %. On an Intel Xeon whose speed keeps to one of two states a third
apart for seconds, 52 of them: apart 4.8 and 5.5 %, together 4.0 and 4.7 %, their mean 4.2 and
4.9 %; mean of the logarithms 4.2 and 5.0 %. Of 200 Blocks of twins 2.3, 2.3 and 2.1 %. Ten sittings
of async-32, estimated again: the standard deviation between them is 1.0 and 1.3 % apart, 0.8 and
1.2 % by the mean, about the same ratio (8.49 and 0.1185), with intervals a fifth narrower, each of
which contains it. Weights other than a half were no better on both machines. Tried as well, and no
better: Hodges and Lehmann's and Huber's estimators over the Turns, ratios of neighbours in time
across Turns, quartiles adjusted by the fixed piece of work beside each Slice, Turns weighed by how
steady that work was in them. Errors of two quantiles by Maritz and Jarrett, added as if they were
independent, said 3.2 % of twins whose Blocks differed by 1.7 %. docs/slices.md has more.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from types import MappingProxyType

from loopbench.results.grouping import grouped
from loopbench.results.schema import Row
from loopbench.results.stats.intervals import covariates
from loopbench.results.stats.intervals.blocks import BlockEstimate
from loopbench.results.stats.intervals.location import special

FAST = 0.25
"""How far from the undisturbed end a stack is read; at the end itself it would be the best of n."""

MIDDLE = 0.5
"""Where the ratios within Turns are read: either side of them may be the disturbed one."""

Block = tuple[Sequence[Row], Sequence[Row]]
"""Rows of slices.csv of a Run, and of its reference in the same Block."""

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
    runs = grouped((str(row["run_id"]), _completed(row)) for row in rows)
    return {run_id: tuple(of) for run_id, of in runs.items()}


def _completed(row: Row) -> Row:
    """With the response time that older folders leave out: in their closed loops it is the service
    time."""
    if row.get("response_time_p50_ms") is not None:
        return row
    return {**row, "response_time_p50_ms": row["service_time_p50_ms"]}


def block_estimates(blocks: Sequence[Block], metric: str) -> tuple[BlockEstimate | None, ...]:
    """Of all Blocks of a stack and its reference, in this order, freed from what the servers' CPU
    did by the slopes that they have in common; see `block_estimate`."""
    follows = covariates.slopes(map(_by_turn, blocks), metric)
    return tuple(block_estimate(*block, metric, follows=follows) for block in blocks)


def _by_turn(block: Block) -> Iterator[tuple[Row, Row]]:
    run, reference = ({row["turn"]: row for row in rows if _counts(row)} for rows in block)
    return ((reference[turn], run[turn]) for turn in run.keys() & reference.keys())


def block_estimate(
    run: Sequence[Row],
    reference: Sequence[Row],
    metric: str,
    share: float | None = None,
    *,
    follows: covariates.Slopes | None = None,
) -> BlockEstimate | None:
    """One Run over its reference in the same Block; None where either has too few good Slices.

    metric: a column of slices.csv. share: below which share of its Slices a stack is read where it
    is read apart; at the undisturbed end without one. follows: how the metric follows what the
    servers' CPU did; the figures stand as they are without it, and in a Block that does not tell. A
    Slice with a failure, without a value, or with the probe's cost in it is left out.
    """
    slopes = follows or covariates.Slopes(metric)
    names = covariates.available(filter(_counts, chain(run, reference)), metric) if follows else ()
    values, others = (_logarithms(rows, slopes, names) for rows in (run, reference))
    n = min(len(values), len(others))
    if n < LEAST_TURNS:
        return None
    at = undisturbed(metric) if share is None else share
    turns = values.keys() | others.keys()
    side_by_side = len(values.keys() & others.keys()) >= LEAST_TURNS
    left_out = [
        log_ratio(_without(values, turn), _without(others, turn), at, side_by_side=side_by_side)
        for turn in sorted(turns)
    ]
    value = log_ratio(values, others, at, side_by_side=side_by_side)
    return BlockEstimate(value, _jackknifed(left_out), n)


def log_ratio(
    values: Mapping[int, float], others: Mapping[int, float], at: float, *, side_by_side: bool
) -> float:
    """The estimate of a Block from logarithms by Turn; see the module's docstring.

    at: below which share of its Slices a stack is read apart. side_by_side: whether they have Turns
    enough in common; else they are read apart only. Raises ValueError without values.
    """
    apart = quantile_of(values.values(), at) - quantile_of(others.values(), at)
    if not side_by_side:
        return apart
    ratios = [value - others[turn] for turn, value in values.items() if turn in others]
    return (apart + quantile_of(ratios, MIDDLE)) / 2


def _without(values: Mapping[int, float], turn: int) -> dict[int, float]:
    return {at: value for at, value in values.items() if at != turn}


def _jackknifed(left_out: Sequence[float]) -> float:
    """The standard error of an estimate from those that leave out one part each."""
    return math.sqrt(len(left_out) - 1) * statistics.pstdev(left_out)


def undisturbed(metric: str) -> float:
    """The share of a stack's Slices, in ascending order of this column, below which it is read."""
    return 1 - FAST if metric in RATES else FAST


def _logarithms(
    rows: Sequence[Row], slopes: covariates.Slopes, names: covariates.Names
) -> dict[int, float]:
    """By Turn."""
    return {
        int(str(row["turn"])): logarithm
        for row in rows
        if _counts(row) and (logarithm := slopes.freed(row, names)) is not None
    }


def _counts(row: Row) -> bool:
    return not row["failures"] and not row.get("watched")


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
