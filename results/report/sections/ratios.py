"""The picture at the top: every stack against the reference, with the intervals of the ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.folder.scenarios import Where, first_loads
from loopbench.results.report.blocks import Panel, Part, Plot, table
from loopbench.results.report.charts.dots import Compared, Dot
from loopbench.results.report.charts.dots import ratios as drawn
from loopbench.results.report.data import Material
from loopbench.results.report.series import findings, readings
from loopbench.results.report.series.findings import Difference, Standing
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting


@dataclass(frozen=True, slots=True)
class Kind:
    """A panel: one metric of loads of some models.

    whole: the metric is of the whole Run, and stands at the first load of a scenario only.
    """

    metric: str
    title: str
    models: tuple[str, ...]
    whole: bool = False


KINDS = (
    Kind("throughput_rps", "Requests answered", (LoadKind.CLOSED, LoadKind.ECHO)),
    Kind("cpu_us_per_request", "CPU a request", (LoadKind.CLOSED, LoadKind.ECHO), True),
    Kind("response_time_p99_ms", "p99 at a given rate", (LoadKind.OPEN,)),
    Kind("service_time_p50_ms", "Delay p50", (LoadKind.PUSHED, LoadKind.BROADCAST)),
)

Found = tuple[Where, list[Difference]]
"""A load, and each contender against the reference there."""


def parts(material: Material) -> Iterator[Part]:
    """Nothing where no stack is compared with another."""
    found = {kind: list(_differences(material, kind)) for kind in KINDS}
    found = {kind: rows for kind, rows in found.items() if rows}
    if not found:
        return
    stacks = {one.stack for rows in found.values() for _, several in rows for one in several}
    reference = material.summaries.reference
    more = ", scenario by scenario" if max(map(len, found.values())) > 1 else ""
    yield Plot(
        f"Every stack against {reference}{more}",
        f"A mark is a stack's figure over that of {reference} in the same Round, a bar the 95 % "
        "interval of this ratio, with an arrow where it goes on beyond the picture; the axes are "
        f"logarithmic, and the upright line at 1 is {reference} itself. Left of it is fewer, "
        "less or faster; right of it more or slower. Where a Warning forbids comparing there is "
        f"no mark.{_undecided(found)}",
        tuple(_panel(material, kind, rows) for kind, rows in found.items()),
        material.keys(stacks),
        table(
            f"Ratios to {reference} with their 95 % intervals",
            ("what", "scenario", "stack", "ratio [95 %]"),
            [
                (kind.title, one.name, one.stack, _said(one))
                for kind, rows in found.items()
                for _, several in rows
                for one in several
            ],
            names=3,
            folded=True,
        ),
        abreast=max(2, len(found)),
    )


def _differences(material: Material, kind: Kind) -> Iterator[Found]:
    """Of the loads that scenarios ask about, not of what is offered beside them."""
    asked = (where for where in material.models(*kind.models) if material.fact(where).measured)
    wheres = readings.contested(material, asked)
    for where in first_loads(wheres) if kind.whole else wheres:
        several = findings.differences(material, where, kind.metric)
        if several:
            yield where, several


def _undecided(found: Mapping[Kind, list[Found]]) -> str:
    """What a hollow mark stands for here, in sentences; blank where there is none."""
    said = ""
    for standing, begin in _HOLLOW.items():
        told = []
        for kind, rows in found.items():
            names = (one.name for _, several in rows for one in several if one.standing is standing)
            if places := dict.fromkeys(names):
                told.append(f"{kind.title} in {formatting.listed(places)}")
        if told:
            said += f" {begin} (a hollow mark) for: {'; '.join(told)}."
    return said


_HOLLOW = {
    Standing.SAME: "The interval is wider than the effect",
    Standing.TOO_FEW: "There are too few Rounds for an interval",
}


def _panel(material: Material, kind: Kind, rows: Sequence[Found]) -> Panel:
    lines = [
        (where[0], material.name(where), [_compared(material, one) for one in several])
        for where, several in rows
    ]
    return drawn(f"{kind.title}, × {material.summaries.reference}", lines)


def _compared(material: Material, one: Difference) -> Compared:
    comparable = one.standing is not Standing.DOUBTFUL
    centre, interval = (one.ratio.centre, one.ratio.interval) if comparable else (math.nan, None)
    dot = Dot(material.looks[one.stack], centre, interval, (), material.place(one.stack))
    return Compared(one.stack, dot, _said(one))


def _said(one: Difference) -> str:
    """The ratio in words; where a Warning forbids comparing, that and no ratio."""
    if one.standing is Standing.DOUBTFUL and not one.ratio.overloaded:
        return "not comparable"
    return readings.ratio(one.ratio)
