"""Figures freed from what the servers' CPU did meanwhile.

A virtual CPU changes its speed within milliseconds, by a third and more, and its hypervisor gives
it to others for a while. Two columns tell of it, a value a Slice: short pieces of fixed work, how
fast the CPU was (short_work_us), and the time for which others ran in its place (stolen_share).
From the logarithm of a figure those of the work and of the share that was left are taken off, each
times a slope: by how much the figure follows them. The slopes are those of the least squares by
which the differences between two servers within a Turn follow those of the columns, within Blocks:
these are control variates (R. Y. Rubinstein, R. Marcus, "Efficiency of multivariate control
variates in Monte Carlo simulation", Operations Research 33 (1985) 661-677). A slope is near 1 where
the figure follows what the column tells, and near 0 where it does not.

The work is timed with warm caches, so that it takes as long beside one server as beside another: it
adds nothing to a ratio. What the hypervisor takes may depend on the server: one that keeps the load
generator busier asks for more of the host, and may be given less. That part of a ratio is the
host's, and is taken off with the rest.

What decided for the stolen share: 25 Blocks of async-32, Quart over aiohttp, on a machine whose
hypervisor took an eighth of the CPUs' time. The estimates of Blocks differed by 21 % in throughput,
by 20 % freed from the work alone, by 10 % freed from both; in the 99th percentile by 40, 40 and
29 %. Told by how often the short work was done it is 13 % in throughput; what the hypervisor took
from the load generator's CPU adds nothing. Five closed loops of a bench there, four Rounds each:
19 % in throughput freed from the work, 10 % from both; those of 32 users of another, of whose
servers' CPU 26 % were taken: 8 and 5 %. Ten sittings of async-32: in those in which 4 to 11 % were
taken 4.9 % in throughput in place of 7.3 %; where it was up to 3 %, 4.1 and 4.3 %, and 4.4 %
without the half step.

CPU time a request is not freed from it. It contains nothing of it, and yet follows it a little
(slopes of -0.2 to -0.5 of what was left, since caches are cold afterwards). In the first three of
these its Blocks differed by 7.3, 10 and 5 % without it and by 6.6, 9 and 4.9 % with it; where 26 %
were taken, by 5 and 9 %, and ratios came out 4 to 8 % higher than in the others. Nor is a median:
that of the service times of 32 users differed by 10 %, and by 13 % had it been freed from both.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from operator import mul, sub
from types import MappingProxyType
from typing import Any

from loopbench.command_line import expect_address_space
from loopbench.results.schema import Row
from loopbench.results.schema.tables.slices import SHORT_WORK, STOLEN

_HALF_STEP = 0.05
"""Half of the 10 ms that the kernel tells in, of a window of 0.1 s. What is told as one step may
have been a little more than nothing, and mostly was, where little is taken."""

_LEAST_LEFT = 0.1
"""Where more was taken, the steps are too coarse to tell how much was left."""


def _logarithm(value: float) -> float | None:
    return math.log(value) if value > 0 else None


def _left(share: float) -> float:
    return math.log(max(_LEAST_LEFT, 1 - max(0.0, share - _HALF_STEP)))


COVARIATES: Mapping[str, Callable[[float], float | None]] = MappingProxyType(
    {SHORT_WORK.name: _logarithm, STOLEN.name: _left}
)
"""The columns that tell of the servers' CPU, and the scale on which a figure's logarithm follows
each."""

Names = tuple[str, ...]
"""Some of COVARIATES, in its order."""

_BOTH: Names = tuple(COVARIATES)
_SPEED: Names = (SHORT_WORK.name,)

FOLLOWS: Mapping[str, Names] = MappingProxyType(
    {
        "throughput_rps": _BOTH,
        "cpu_us_per_request": _SPEED,
        "service_time_p50_ms": _SPEED,
        "response_time_p50_ms": _SPEED,
        "service_time_p99_ms": _BOTH,
    }
)
"""Which of them a column of slices.csv may follow. CPU time does not contain what was taken; and of
some hundred answers only those are late that were under way at that time, so that a median is
not."""


@dataclass(frozen=True, slots=True)
class Slopes:
    """How the logarithm of a metric follows the covariates. of: a slope for each of those that a
    Block tells, by which these are; Blocks that tell others may follow otherwise."""

    metric: str
    of: Mapping[Names, tuple[float, ...]] = field(default_factory=dict)

    def freed(self, row: Row, names: Names) -> float | None:
        """The logarithm of the row's figure, without what it follows; None where the figure was not
        measured, or is zero, or the row tells less than its Block.

        names: what its Block tells, see `told`; without any it is the plain logarithm.
        """
        measured = _measured(row, self.metric, names)
        if measured is None:
            return None
        value, *scaled = measured
        return value - math.fsum(map(mul, self.of.get(names, (0.0,) * len(names)), scaled))


def available(rows: Iterable[Row], metric: str) -> Names:
    """Which of the covariates that the metric may follow any of these rows tells."""
    every = tuple(rows)
    return tuple(
        name for name in FOLLOWS[metric] if any(row.get(name) is not None for row in every)
    )


def slopes(blocks: Iterable[Iterable[tuple[Row, Row]]], metric: str) -> Slopes:
    """How the metric follows what the Blocks tell; 0 for what never changed, and where no Turn has
    a figure of both servers.

    blocks: of each the rows of both servers by Turn. Taken about the means of each Block, since
    one server may be eight times as fast as the other. It is the same whichever of the two servers
    of a Block comes first.
    """
    grown: defaultdict[Names, list[tuple[float, ...]]] = defaultdict(list)
    for block in blocks:
        pairs = tuple(block)
        names = available(chain.from_iterable(pairs), metric)
        grown[names] += _about_means(
            [growth for pair in pairs if (growth := _grown(pair, metric, names)) is not None]
        )
    return Slopes(
        metric, {names: _least_squares(of) for names, of in grown.items() if names and of}
    )


def _grown(pair: tuple[Row, Row], metric: str, names: Names) -> tuple[float, ...] | None:
    """By how much the second row is above the first."""
    before, after = (_measured(row, metric, names) for row in pair)
    return None if before is None or after is None else tuple(map(sub, after, before))


def _measured(row: Row, metric: str, names: Names) -> tuple[float, ...] | None:
    """The logarithm of the metric, and the covariates on their scales; None where one of them was
    not measured, or has no logarithm."""
    scales = (_logarithm, *(COVARIATES[name] for name in names))
    cells = (row.get(name) for name in (metric, *names))
    scaled = [
        scale(cell) if isinstance(cell, int | float) else None
        for scale, cell in zip(scales, cells, strict=True)
    ]
    known = tuple(value for value in scaled if value is not None)
    return known if len(known) == len(scaled) else None


def _about_means(rows: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    return [tuple(map(sub, row, means)) for row in rows]


def _least_squares(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """The slopes of the first column over the others; 0 for one that is 0 throughout."""
    values, *columns = zip(*rows, strict=True)
    solve = _solver()
    return tuple(map(float, solve(list(zip(*columns, strict=True)), values, rcond=None)[0]))


@cache
def _solver() -> Any:
    """NumPy's least squares, imported where they are needed, as SciPy is."""
    expect_address_space()
    from numpy.linalg import lstsq

    return lstsq
