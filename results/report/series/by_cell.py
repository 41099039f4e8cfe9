"""Tables with a row a scenario and stack, made from what stands in their columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Table, table
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.report.series.per_round import Value, text, worked_out

Written = Callable[[Material, str, Where], str]
"""What a cell says of a stack under a load."""

Column = tuple[str, str | Written]
"""A heading, and the metric whose centre stands under it, or what writes its cells."""


def by_cell(
    material: Material,
    title: str,
    wheres: Iterable[Where],
    *columns: Column,
    asked: Iterable[str] = (),
    name: Callable[[Where], str] | None = None,
    named: str = "scenario",
    folded: bool = False,
) -> Table:
    """A row for each load and stack that has one of the metrics `asked`, or of the columns.

    name: what a load is called; as the report calls it unless given. named: the heading of that.
    """
    metrics = tuple(asked) or [what for _, what in columns if isinstance(what, str)]
    rows = (
        (
            (name or material.name)(where),
            stack,
            *(_cell(what, material, stack, where) for _, what in columns),
        )
        for where, stack, _ in readings.measured(material, wheres, metrics)
    )
    header = (named, "stack", *(heading for heading, _ in columns))
    return table(title, header, rows, names=2, folded=folded)


def _cell(what: str | Written, material: Material, stack: str, where: Where) -> str:
    if isinstance(what, str):
        return readings.value(material.get(stack, where, what))
    return what(material, stack, where)


def worked(value: Value) -> Written:
    """What is worked out from several columns of the same Run."""
    return lambda material, stack, where: text(worked_out(material, (stack, *where), "", value))


def precision(metric: str) -> Written:
    """The 95 % interval of a metric."""
    return lambda material, stack, where: readings.precision(material.get(stack, where, metric))


def ratio(metric: str) -> Written:
    """A metric over that of the reference stack."""

    def written(material: Material, stack: str, where: Where) -> str:
        summary = material.get(stack, where, metric)
        return "" if summary is None else readings.ratio(summary.ratio)

    return written


def over_baseline(metric: str) -> Written:
    """A metric over that of the same stack in the scenario's baseline."""

    def written(material: Material, stack: str, where: Where) -> str:
        base = material.baseline(where)
        if base is None:
            return ""
        return readings.ratio(material.against((stack, *where), (stack, *base), metric))

    return written


NOTED: Column = (
    "Warnings",
    lambda material, stack, where: readings.noted(material, (stack, *where)),
)
"""The numbers of a Cell's Warnings."""
