"""What several sections do: a metric by scenario as dots, and as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.dots import Dot, Line, by_row
from loopbench.results.report.charts.lines import LEAST_POINTS, Course
from loopbench.results.report.data import Material
from loopbench.results.schema import Family
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.location import Interval, locate
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.sample import METRICS, Cell, Sample
from loopbench.results.stats.summaries.summary import Summary
from loopbench.results.terminal.notes import marks

NOTHING = "–"


def lines(
    material: Material, wheres: Sequence[Where], metric: str, *, whole: bool = False
) -> tuple[Line, ...]:
    """A Line for each of these scenarios and loads in which a stack has the metric.

    whole: it is of the whole Run, so the name of the load is left out.
    """
    return tuple(
        Line(where[0] if whole else material.name(where), dots, scenario=where[0])
        for where in wheres
        if (dots := _dots(material, where, metric))
    )


def panels(
    material: Material, wheres: Sequence[Where], titles: Mapping[str, str], *, whole: bool = False
) -> tuple[Panel, ...]:
    """A Panel for each of the metrics that was measured there, with these titles."""
    return tuple(
        by_row(title, metric_lines)
        for metric, title in titles.items()
        if (metric_lines := lines(material, wheres, metric, whole=whole))
    )


def measured(
    material: Material, wheres: Iterable[Where], metrics: Iterable[str]
) -> Iterator[tuple[Where, str, list[Summary | None]]]:
    """Scenario and load, stack and Summaries of the metrics, where there is one of these."""
    wanted = tuple(metrics)
    for where in wheres:
        for stack in material.stacks:
            summaries = [material.get(stack, where, metric) for metric in wanted]
            if any(summaries):
                yield where, stack, summaries


def course(material: Material, stack: str, pairs: Sequence[tuple[float, float]]) -> Course | None:
    """The line of a stack through points; None for too few of them."""
    if len(pairs) < LEAST_POINTS:
        return None
    xs, ys = zip(*pairs, strict=True)
    return Course(material.looks[stack], tuple(xs), tuple(ys), stack=material.place(stack))


def courses_over(material: Material, steps: Mapping[int, Where], metric: str) -> list[Course]:
    """A line a stack: a metric over a parameter of the scenarios, such as their users."""
    courses = []
    for stack in material.stacks:
        pairs = [
            (float(step), summary.centre)
            for step, where in steps.items()
            if (summary := material.get(stack, where, metric)) is not None
        ]
        if (line := course(material, stack, pairs)) is not None:
            courses.append(line)
    return courses


def _dots(material: Material, where: Where, metric: str) -> tuple[Dot, ...]:
    return tuple(
        Dot(
            material.looks[stack],
            summary.centre,
            summary.interval,
            tuple(summary.sample.values.values()),
            material.place(stack),
            f"{stack}: {value(summary)} {formatting.unit(metric)} {precision(summary)}".rstrip(),
        )
        for stack in material.stacks
        if (summary := material.get(stack, where, metric)) is not None
    )


def shown_stacks(material: Material, wheres: Sequence[Where], metrics: Sequence[str]) -> set[str]:
    """The stacks that have one of the metrics somewhere there."""
    return {
        stack
        for stack in material.stacks
        for where in wheres
        for metric in metrics
        if material.get(stack, where, metric) is not None
    }


def value(summary: Summary | None) -> str:
    """The centre; of a count, which has no unit, without decimals where it is whole."""
    if summary is None:
        return NOTHING
    metric = summary.sample.metric
    if not METRICS[metric].unit:
        return number(summary.centre)
    return formatting.figure(metric, summary.centre)


def number(value: float) -> str:
    """A whole number with all its digits; any other with three."""
    return f"{value:,.0f}" if value == round(value) else formatting.digits(value)


def precision(summary: Summary | None) -> str:
    """Its 95 % interval: ± in %, or both ends where it is wide."""
    if summary is None:
        return ""
    return formatting.precision(summary, ends=formatting.is_wide(summary))


def ratio(ratio: Ratio | None) -> str:
    """A ratio with its interval."""
    return "" if ratio is None else formatting.ratio(ratio, interval=True)


def noted(material: Material, cell: Cell) -> str:
    """The numbers of the Warnings of a Cell."""
    return marks(material.notes, cell)


def contested(material: Material, wheres: Iterable[Where]) -> list[Where]:
    """Those in which a stack can be faster than another: not the cliffs, where the size of the
    executor decides."""
    return [where for where in wheres if material.fact(where).family != Family.EXECUTOR_CLIFF]


def undecided(material: Material, wheres: Sequence[Where], metric: str) -> str:
    """A sentence that names where the interval of the ratio is wider than the effect, of several
    contenders with those of which it is; blank where it is nowhere."""
    alike = {
        where: [
            stack
            for stack in material.contenders()
            if (summary := material.get(stack, where, metric)) is not None
            and summary.ratio is not None
            and summary.ratio.significant is False
        ]
        for where in wheres
    }
    several = len(material.contenders()) > 2
    places = [
        material.name(where) + (f" ({formatting.listed(stacks)})" if several else "")
        for where, stacks in alike.items()
        if stacks
    ]
    if not places:
        return ""
    them = f"these cannot be told from {material.summaries.reference}"
    return (
        f" Of {formatting.label(metric)} the interval is wider than the effect in "
        f"{formatting.listed(places)}: there {them if several else _NOT_APART}."
    )


_NOT_APART = "the stacks cannot be told apart"


def worked_dot(material: Material, stack: str, sample: Sample) -> Dot:
    """The mark of a derived Sample."""
    centre, interval, values = estimate(sample)
    tooltip = f"{stack}: {number(centre)}"
    return Dot(material.looks[stack], centre, interval, values, material.place(stack), tooltip)


def estimate(sample: Sample) -> tuple[float, Interval | None, tuple[float, ...]]:
    """Centre, interval and values of a derived Sample."""
    located = locate(sample.values.values())
    return located.centre, located.interval, tuple(sample.values.values())
