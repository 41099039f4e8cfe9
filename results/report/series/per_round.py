"""Figures that are worked out from several columns of the same Run, a value a Round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from loopbench.results.folder.folder import RunRow
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Cell, Sample

Value = Callable[[RunRow], float | None]


def worked_out(material: Material, cell: Cell, title: str, value: Value) -> Sample | None:
    """A Sample of what `value` makes of each row of a Cell; None where it makes nothing of any."""
    values = {
        run.round: figure for run in material.rows_of(cell) if (figure := value(run)) is not None
    }
    return Sample(*cell, title, values) if values else None


def _of(columns: Sequence[str], formula: Callable[..., float | None]) -> Value:
    """A formula of some columns; None where one of them is blank."""

    def value(run: RunRow) -> float | None:
        numbers = [run.number(column) for column in columns]
        return None if None in numbers else formula(*numbers)

    return value


def product(*columns: str, scale: float = 1.0) -> Value:
    """The product of some columns."""
    return _of(columns, lambda *factors: math.prod(factors, start=scale))


def quotient(above: str, below: str, scale: float = 1.0) -> Value:
    """One column over another; None where that is zero."""
    return _of((above, below), lambda one, other: scale * one / other if other else None)


def growth(before: str, later: str, scale: float = 1.0) -> Value:
    """How much larger one column is than another; below zero where it is smaller."""
    return _of((before, later), lambda first, second: (second - first) * scale)


def text(sample: Sample | None) -> str:
    """The centre, with three digits."""
    return readings.NOTHING if sample is None else formatting.digits(readings.estimate(sample)[0])
