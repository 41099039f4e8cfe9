"""Ratios of stacks that were loaded in turn: from Slices to a Block, from Blocks to an interval.

A Block (one scenario in one Round) gives one estimate: the Slices of two stacks in the same Turn
are some tenths of a second apart, so that the machine's speed is nearly the same for both; the
logarithms of their ratios, one a Turn, are summarised by a 20 % trimmed mean. Blocks are what is
replicated: each has fresh processes. Their estimates are summarised by mean and Student's t.

The interval is the larger of two. What the Blocks differ by says how well the mean over processes
is known, but three Blocks can agree by chance. What the Turns within the Blocks differ by says how
well it can be known at best; it knows nothing of the differences between processes.

Which estimator, and why, is shown in docs/slices.md, by rows that are kept in results/noise.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from loopbench.results.schema import Row
from loopbench.results.schema.warnings import MIN_ROUNDS
from loopbench.results.stats.location import Interval, locate, quantile, raised

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "throughput_rps": "throughput_rps",
        "cpu_us_per_request": "cpu_us_per_request",
        "service_time_p50_ms": "service_time_p50_ms",
        "response_time_p50_ms": "service_time_p50_ms",
    }
)
"""Columns of runs.csv to the column of slices.csv that holds the same, a value a Slice. In a closed
loop response and service time are one."""

SEQUENTIAL_FACTOR = 1.1
LEAST_SEQUENTIAL_BLOCKS = 5
"""Of intervals at whose width the measuring stopped; see `over_blocks`."""

LEAST_TURNS = 4
"""Fewer pairs of Slices in a Block say nothing of how much they vary."""


@dataclass(frozen=True, slots=True)
class BlockEstimate:
    """The logarithm of a ratio in one Block, and its standard error by the Turns; n: Turns."""

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
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[str(row["run_id"])].append(row)
    return {run_id: tuple(of) for run_id, of in found.items()}


def block_estimate(
    run: Sequence[Row], reference: Sequence[Row], metric: str
) -> BlockEstimate | None:
    """One Run over its reference in the same Block; None where too few Turns have both.

    metric: a column of slices.csv. A Turn in which one of the two has a failure, or no value, is
    left out: which one that is does not depend on the ratio.
    """
    pairs = _pairs(run, reference, metric)
    if len(pairs) < LEAST_TURNS:
        return None
    located = locate([math.log(value / other) for value, other in pairs])
    return BlockEstimate(located.mean, located.error, len(pairs))


def _pairs(run: Sequence[Row], reference: Sequence[Row], metric: str) -> list[tuple[float, float]]:
    values, others = (_by_turn(rows, metric) for rows in (run, reference))
    return [(values[turn], others[turn]) for turn in sorted(values.keys() & others.keys())]


def _by_turn(rows: Sequence[Row], metric: str) -> dict[int, float]:
    found = {}
    for row in rows:
        value, turn = row[metric], row["turn"]
        if isinstance(value, int | float) and value > 0 and not row["failures"]:
            assert isinstance(turn, int)
            found[turn] = float(value)
    return found


def over_blocks(estimates: Sequence[BlockEstimate], *, sequential: bool = False) -> SlicedRatio:
    """The ratio over Blocks, with its 95 % interval: the larger of what Blocks and what Turns
    predict. Raises ValueError without any.

    Student's t over the Blocks' estimates. Nothing is trimmed once more: a disturbed Turn was
    trimmed within its Block, and of five values trimming leaves two degrees of freedom.

    sequential: whether it was measured until it was narrow enough. Who stops at a narrow interval
    stops more often where the Blocks agree by chance: then there is none below
    LEAST_SEQUENTIAL_BLOCKS, and it is made wider by SEQUENTIAL_FACTOR, which brings its coverage
    back to 93 to 98 % (tests/results/test_slices.py simulates it).
    """
    values = [estimate.value for estimate in estimates]
    n, middle = len(values), statistics.fmean(values)
    if n < (LEAST_SEQUENTIAL_BLOCKS if sequential else MIN_ROUNDS):
        return SlicedRatio(n, math.exp(middle), None)
    by_blocks = quantile(n - 1) * statistics.stdev(values) / math.sqrt(n)
    reach = max(by_blocks, turns_reach(estimates)) * (SEQUENTIAL_FACTOR if sequential else 1.0)
    return SlicedRatio(n, math.exp(middle), raised(Interval(middle - reach, middle + reach)))


def turns_reach(estimates: Sequence[BlockEstimate]) -> float:
    """Half of the 95 % interval that the Turns within the Blocks predict for their mean."""
    freedom = sum(estimate.n - 1 for estimate in estimates)
    error = math.sqrt(sum(estimate.error**2 for estimate in estimates)) / len(estimates)
    return quantile(freedom) * error
