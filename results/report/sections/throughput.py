"""Section: throughput and CPU per request, stacks side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from loopbench.results.folder.scenarios import Where, first_loads
from loopbench.results.report.blocks import (
    Panel,
    Part,
    Table,
    paragraph,
    pictured,
    table,
)
from loopbench.results.report.charts.dots import Line, by_row
from loopbench.results.report.data import Material
from loopbench.results.report.sections import instructions
from loopbench.results.report.series import readings
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import GENERATOR_LIMIT

THROUGHPUT, CPU = "throughput_rps", "cpu_us_per_request"


def parts(material: Material) -> Iterator[Part]:
    """Throughput of the closed loops, CPU per request of all, and the ratios of both."""
    closed = [
        where for where in material.models(LoadKind.CLOSED) if material.has(where, THROUGHPUT)
    ]
    every = [
        where
        for where in material.models(LoadKind.CLOSED, LoadKind.OPEN)
        if _measured(material, where)
    ]
    if not every:
        return
    contested = readings.contested(material, closed)
    panels = (
        throughput_panel(material, contested),
        cost_panel(material, readings.contested(material, every)),
    )
    yield from pictured(
        "Stacks side by side",
        "Each row is a scenario. A strong mark is the centre over the Rounds, a bar its 95 % "
        "interval over Rounds, a small stroke one Round. A thick upright stroke is the generator's "
        "ceiling: what the yardstick reached in that scenario. Where a stack "
        "comes near the stroke, Locust was the limit and not the stack. The ratios are drawn at "
        "the top." + readings.undecided(material, contested, THROUGHPUT),
        filter(None, panels),
        material.keys(readings.shown_stacks(material, every, (THROUGHPUT, CPU))),
        _table(material, every),
        abreast=2,
    )
    yield from instructions.tables(material)
    if material.summaries.reference is not None:
        yield paragraph(
            "Ratios are taken within a Round. `~` means that the 95 % interval contains 1, `?` "
            "that the Rounds are too few for an interval. ± is the 95 % interval over Rounds in "
            "per cent of the figure before it; where it is wide, both ends are given. A number in "
            "brackets is that of a Warning; `!` after it says that the Warning forbids comparing "
            "the figure.",
        )


def throughput_panel(material: Material, wheres: list[Where]) -> Panel | None:
    """Requests a second of closed loops, with the generator's ceiling; None without any."""
    lines = _ceilinged(material, wheres)
    return by_row("Throughput of closed loops, requests/s", lines) if lines else None


def cost_panel(material: Material, wheres: list[Where]) -> Panel | None:
    """CPU per request, a row a scenario; None without any."""
    costs = readings.lines(material, first_loads(wheres), CPU, whole=True)
    return by_row("CPU per request, µs", costs) if costs else None


def _measured(material: Material, where: Where) -> bool:
    return material.has(where, THROUGHPUT) or material.has(where, CPU)


def ceiling(material: Material, where: Where) -> float | None:
    """What the yardstick reached in a closed loop; None where it was not measured there."""
    yardstick = material.summaries.yardstick
    summary = None if yardstick is None else material.get(yardstick, where, THROUGHPUT)
    return None if summary is None else summary.centre


def _ceilinged(material: Material, wheres: list[Where]) -> tuple[Line, ...]:
    by = dict(zip(map(material.name, wheres), wheres, strict=True))
    return tuple(
        replace(line, bound=ceiling(material, by[line.name]))
        for line in readings.lines(material, wheres, THROUGHPUT)
    )


def _table(material: Material, wheres: list[Where]) -> Table:
    reference = material.summaries.reference
    to = f"× {reference} [95 %]" if reference is not None else "ratio"
    header = (
        "scenario", "stack", "requests/s", "95 %", to, "of the ceiling",
        "CPU µs/request", "95 %", to, "Warnings",
    )  # fmt: skip
    closed = set(material.models(LoadKind.CLOSED))
    whole = first_loads(wheres)
    rows = []
    for where in wheres:
        for stack in material.stacks:
            rate = material.get(stack, where, THROUGHPUT)
            cost = material.get(stack, where, CPU) if where in whole else None
            if rate is None and cost is None:
                continue
            contends = stack != material.summaries.yardstick
            most = ceiling(material, where) if where in closed and contends else None
            rows.append(
                (
                    material.name(where),
                    stack,
                    readings.value(rate),
                    readings.precision(rate),
                    readings.ratio(rate.ratio) if rate else "",
                    _share(rate.centre, most) if rate and most else "",
                    readings.value(cost),
                    readings.precision(cost),
                    readings.ratio(cost.ratio) if cost else "",
                    readings.noted(material, (stack, *where)),
                )
            )
    return table("Throughput and CPU per request by scenario and stack", header, rows, names=2)


def _share(value: float, most: float) -> str:
    """Of the ceiling, in %; marked where the generator was the limit."""
    share = value / most
    return f"{share:.0%}{' (limit)' if share >= GENERATOR_LIMIT else ''}"
