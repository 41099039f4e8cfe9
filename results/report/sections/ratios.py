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
    by_kind = {kind: list(_differences(material, kind)) for kind in KINDS}
    by_kind = {kind: rows for kind, rows in by_kind.items() if rows}
    if not by_kind:
        return
    stacks = {
        difference.stack
        for rows in by_kind.values()
        for _, several in rows
        for difference in several
    }
    reference = material.summaries.reference
    more = ", scenario by scenario" if max(map(len, by_kind.values())) > 1 else ""
    yield Plot(
        f"Every stack against {reference}{more}",
        f"A mark is a stack's figure over that of {reference} in the same Round, a bar the 95 % "
        "interval of this ratio, with an arrow where it goes on beyond the picture; the axes are "
        f"logarithmic, and the upright line at 1 is {reference} itself. Left of it is fewer, "
        "less or faster; right of it more or slower. Where a Warning forbids comparing there is "
        f"no mark.{_undecided(by_kind)}",
        tuple(_panel(material, kind, rows) for kind, rows in by_kind.items()),
        material.keys(stacks),
        table(
            f"Ratios to {reference} with their 95 % intervals",
            ("what", "scenario", "stack", "ratio [95 %]"),
            [
                (kind.title, difference.name, difference.stack, _ratio_words(difference))
                for kind, rows in by_kind.items()
                for _, several in rows
                for difference in several
            ],
            names=3,
            folded=True,
        ),
        abreast=max(2, len(by_kind)),
    )


def _differences(material: Material, kind: Kind) -> Iterator[Found]:
    """Of the loads that scenarios ask about, not of what is offered beside them."""
    asked = (where for where in material.models(*kind.models) if material.fact(where).measured)
    wheres = readings.contested(material, asked)
    for where in first_loads(wheres) if kind.whole else wheres:
        several = findings.differences(material, where, kind.metric)
        if several:
            yield where, several


def _undecided(by_kind: Mapping[Kind, list[Found]]) -> str:
    """What a hollow mark stands for here, in sentences; blank where there is none."""
    text = ""
    for standing, begin in _HOLLOW.items():
        clauses = []
        for kind, rows in by_kind.items():
            names = (
                difference.name
                for _, several in rows
                for difference in several
                if difference.standing is standing
            )
            if places := dict.fromkeys(names):
                clauses.append(f"{kind.title} in {formatting.listed(places)}")
        if clauses:
            text += f" {begin} (a hollow mark) for: {'; '.join(clauses)}."
    return text


_HOLLOW = {
    Standing.SAME: "The interval is wider than the effect",
    Standing.TOO_FEW: "There are too few Rounds for an interval",
}


def _panel(material: Material, kind: Kind, rows: Sequence[Found]) -> Panel:
    lines = [
        (
            where[0],
            material.name(where),
            [_compared(material, difference) for difference in several],
        )
        for where, several in rows
    ]
    return drawn(f"{kind.title}, × {material.summaries.reference}", lines)


def _compared(material: Material, difference: Difference) -> Compared:
    comparable = difference.standing is not Standing.DOUBTFUL
    centre, interval = (
        (difference.ratio.centre, difference.ratio.interval) if comparable else (math.nan, None)
    )
    dot = Dot(
        material.looks[difference.stack], centre, interval, (), material.place(difference.stack)
    )
    return Compared(difference.stack, dot, _ratio_words(difference))


def _ratio_words(difference: Difference) -> str:
    """The ratio in words; where a Warning forbids comparing, that and no ratio."""
    if difference.standing is Standing.DOUBTFUL and not difference.ratio.overloaded:
        return "not comparable"
    return readings.ratio(difference.ratio)
