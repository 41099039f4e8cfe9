"""Figures that are worked out from several columns of the same Run, a value a Round."""

from __future__ import annotations

from collections.abc import Callable

from loopbench.results.folder.folder import RunRow
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.stats import formatting
from loopbench.results.stats.summary import Cell, Sample

Value = Callable[[RunRow], float | None]


def worked_out(material: Material, cell: Cell, title: str, value: Value) -> Sample | None:
    """A Sample of what `value` makes of each row of a Cell; None where it makes nothing of any."""
    values = {
        run.round: found for run in material.rows_of(cell) if (found := value(run)) is not None
    }
    return Sample(*cell, title, values) if values else None


def product(*columns: str, scale: float = 1.0) -> Value:
    """The product of some columns."""

    def value(run: RunRow) -> float | None:
        found = scale
        for column in columns:
            factor = run.number(column)
            if factor is None:
                return None
            found *= factor
        return found

    return value


def quotient(above: str, below: str, scale: float = 1.0) -> Value:
    """One column over another; None where that is zero."""

    def value(run: RunRow) -> float | None:
        upper, lower = run.number(above), run.number(below)
        return None if upper is None or not lower else scale * upper / lower

    return value


def growth(before: str, later: str, scale: float = 1.0) -> Value:
    """How much larger one column is than another; below zero where it is smaller."""

    def value(run: RunRow) -> float | None:
        first, second = run.number(before), run.number(later)
        return None if first is None or second is None else (second - first) * scale

    return value


def text(sample: Sample | None) -> str:
    """The centre, with three digits."""
    return readings.NOTHING if sample is None else formatting.digits(readings.estimate(sample)[0])
