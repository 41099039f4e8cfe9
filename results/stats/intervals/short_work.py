"""Figures freed from the speed that the servers' CPU had meanwhile.

A virtual CPU changes its speed within milliseconds, by a third and more. Short pieces of fixed work
tell how fast it was while a Slice was measured (column short_work_us). From the logarithm of a
figure that of the work is taken off, times a slope: by how much the figure follows the work. It is
that by which the differences between two servers within a Turn follow those of the work, within
Blocks. The work is timed with warm caches, so that it takes as long beside one server as beside
another, and the expected difference of the work is zero: this is a control variate (R. Y.
Rubinstein, R. Marcus, "Efficiency of multivariate control variates in Monte Carlo simulation",
Operations Research 33 (1985) 661-677). The slope is near 1 where the work sees what the server
sees, and near 0 where it does not.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from loopbench.results.schema import Row
from loopbench.results.schema.tables.slices import SHORT_WORK

COLUMN = SHORT_WORK.name


def slope(blocks: Iterable[Iterable[tuple[Row, Row]]], metric: str) -> float:
    """How the metric follows the work; 0 where there is no such work.

    blocks: of each the rows of both servers by Turn. Taken about the means of each Block, since
    one server may be eight times as fast as the other. It is the same whichever of the two servers
    of a Block comes first.
    """
    products = squares = 0.0
    for pairs in blocks:
        grown = [
            (value, work)
            for pair in pairs
            if (value := _grown(pair, metric)) is not None
            and (work := _grown(pair, COLUMN)) is not None
        ]
        if grown:
            value_mean, work_mean = map(statistics.fmean, zip(*grown, strict=True))
            products += math.fsum((v - value_mean) * (w - work_mean) for v, w in grown)
            squares += math.fsum((w - work_mean) ** 2 for _, w in grown)
    return products / squares if squares else 0.0


def freed(row: Row, metric: str, follows: float) -> float | None:
    """The logarithm of a figure, without the work's times this slope; None where the figure, or the
    work where there is a slope, was not measured, or is zero."""
    value, work = logarithm(row, metric), logarithm(row, COLUMN) if follows else 0.0
    return None if value is None or work is None else value - follows * work


def logarithm(row: Row, column: str) -> float | None:
    """None where it was not measured, or is zero, of which there is none."""
    value = row.get(column)
    return math.log(value) if isinstance(value, int | float) and value > 0 else None


def _grown(pair: tuple[Row, Row], column: str) -> float | None:
    before, after = (logarithm(row, column) for row in pair)
    return None if before is None or after is None else after - before
