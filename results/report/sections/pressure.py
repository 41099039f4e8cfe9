"""Sections: what a neighbour does, the executor's cliff, and connections that come, go and stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

from loopbench.results.folder.folder import RunRow
from loopbench.results.folder.scenarios import Where
from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Part, Plot, Table, pictured, table
from loopbench.results.report.charts.dots import Line, by_row
from loopbench.results.report.charts.lines import Bound, courses
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.report.series.by_cell import NOTED, by_cell, over_baseline, precision
from loopbench.results.schema import Family
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Sample

CANARY_METRICS = {
    "response_time_p50_ms": "canary's response p50, ms",
    "response_time_p99_ms": "canary's response p99, ms",
    "response_time_max_ms": "canary's slowest response, ms",
}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Scenarios that differ in their users alone.

    variant: what they share, such as the executor's size. work_s: how long a call holds its
    thread. steps: the scenario of each number of users, ascending.
    """

    variant: str
    work_s: float
    steps: Mapping[int, Where]


def parts(material: Material) -> Iterator[Part]:
    """Neighbours, cliff, connections: what of it was measured."""
    yield from _neighbours(material)
    for sweep in sweeps(material):
        yield from _cliff(material, sweep)
    yield from _connections(material)


def canaries(material: Material) -> list[Where]:
    """The scenarios with a canary, the one without a neighbour first."""
    wheres = material.family(Family.NEIGHBOURS)
    return sorted(wheres, key=lambda where: bool(material.fact(where).baseline))


def _neighbours(material: Material) -> Iterator[Part]:
    wheres = canaries(material)
    panels = readings.panels(material, wheres, CANARY_METRICS)
    if not panels:
        return
    yield Plot(
        "Neighbours: innocent requests beside busy ones",
        "The canary is a stream of small requests at a fixed rate. Each row adds another "
        "neighbour to it: what moves to the right of the first row was done to the canary by that "
        "neighbour." + readings.undecided(material, wheres, "response_time_p99_ms"),
        panels,
        material.keys(readings.shown_stacks(material, wheres, tuple(CANARY_METRICS))),
        _neighbour_table(material, wheres),
    )


def _neighbour_table(material: Material, wheres: list[Where]) -> Table:
    p50, p99, most = CANARY_METRICS
    return by_cell(
        material,
        "The canary's response times",
        wheres,
        ("p50 ms", p50),
        ("p99 ms", p99),
        ("max ms", most),
        ("p99, 95 %", precision(p99)),
        ("p99 × alone [95 %]", over_baseline(p99)),
        NOTED,
        name=itemgetter(0),
        named="neighbour",
    )


def sweeps(material: Material) -> list[Sweep]:
    """The users swept across the executor's size, a Sweep a variant and duration of the work."""
    by_variant: dict[tuple[str, float], dict[int, Where]] = {}
    for where in material.family(Family.EXECUTOR_CLIFF):
        facts = material.fact(where)
        if facts.parameter is not None and facts.work_ms:
            steps = by_variant.setdefault((facts.variant, facts.work_ms / 1000), {})
            steps[int(facts.parameter)] = where
    return [
        Sweep(variant, work_s, dict(sorted(steps.items())))
        for (variant, work_s), steps in by_variant.items()
    ]


def pool_size(material: Material, stack: str, steps: Mapping[int, Where]) -> int | None:
    """How many threads the executor had where calls had to queue for one; None where none had
    to, so that its size did not show."""
    sizes = [
        round(threads.centre)
        for where in steps.values()
        if (threads := material.get(stack, where, "executor_threads_max")) is not None
        and (queue := material.get(stack, where, "executor_queue_max")) is not None
        and queue.centre > 0
    ]
    return max(sizes, default=None)


_CLIFF = {
    "throughput_rps": "Throughput, requests/s",
    "executor_wait_p50_ms": "Executor wait p50, ms",
    "executor_threads_max": "Worker threads started",
}


def _cliff(material: Material, sweep: Sweep) -> Iterator[Part]:
    steps = sweep.steps
    sizes = {
        stack: size
        for stack in material.contenders()
        if (size := pool_size(material, stack, steps)) is not None
    }
    bounds: dict[str, list[Bound]] = {"throughput_rps": [], "executor_threads_max": []}
    for size in sorted(set(sizes.values())):
        most_rps = size / sweep.work_s
        label = f"{size} threads ÷ {sweep.work_s:g} s = {most_rps:g}/s"
        bounds["throughput_rps"].append(Bound(most_rps, label))
        bounds["executor_threads_max"].append(Bound(float(size), f"{size} threads"))
    panels = []
    for metric, title in _CLIFF.items():
        lines = readings.courses_over(material, steps, metric)
        if lines:
            bound = bounds.get(metric, ())
            panels.append(courses(title, lines, "users", bounds=bound, doubling=True))
    yield from pictured(
        f"The executor's cliff ({sweep.variant}): users of a {sweep.work_s * 1000:g} ms sync route",
        "Each user holds a worker thread for a fixed time. Throughput grows with the users until "
        "every thread is taken; from there on (dashed: threads ÷ time a call) more users only "
        "wait longer. Lines that lie on one another mean that the pool decides, not the framework.",
        panels,
        material.keys(readings.shown_stacks(material, tuple(steps.values()), tuple(_CLIFF))),
        _cliff_table(material, sweep, sizes),
    )


def _cliff_table(material: Material, sweep: Sweep, sizes: Mapping[str, int]) -> Table:
    users_of = {where: users for users, where in sweep.steps.items()}

    def arithmetic(_: Material, stack: str, where: Where) -> str:
        size = sizes.get(stack)
        if size is None:
            return readings.NOTHING
        return formatting.digits(min(users_of[where], size) / sweep.work_s)

    return by_cell(
        material,
        f"A {sweep.work_s * 1000:g} ms sync route by users ({sweep.variant})",
        users_of,
        ("requests/s", "throughput_rps"),
        ("arithmetic requests/s", arithmetic),
        ("response p50 ms", "response_time_p50_ms"),
        ("executor wait p50 ms", "executor_wait_p50_ms"),
        ("threads", "executor_threads_max"),
        ("longest queue", "executor_queue_max"),
        name=lambda where: formatting.counted(users_of[where], "user"),
        named="load",
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A quantity of connections: a column before the load, and one at a later time.

    scale: to the unit of `title`. each: per connection; else of all of them. drawn: whether a
    picture of it says more than its column: descriptors are one a connection, and none after.
    """

    title: str
    before: str
    later: str
    scale: float = 1.0
    each: bool = True
    drawn: bool = False


HELD = (
    Held("Memory a connection, kB", "rss_start_bytes", "rss_end_bytes", 1e-3, drawn=True),
    Held("Descriptors a connection", "descriptors_start", "descriptors_end"),
    Held(
        "Memory still held afterwards, MB", "rss_start_bytes", "rss_after_bytes", 1e-6, False, True
    ),
    Held("Descriptors still held afterwards", "descriptors_start", "descriptors_after", 1.0, False),
)


def lingering(material: Material) -> list[str]:
    """Scenarios whose server was read once more after its connections were closed."""
    after = {run.scenario for run in material.runs if run.number("rss_after_bytes") is not None}
    idle = {where[0] for where in material.models(LoadKind.IDLE)}
    return [
        scenario
        for scenario in dict.fromkeys(scenario for scenario, _ in material.loads)
        if scenario in after | idle
    ]


_STANDING = (LoadKind.IDLE, LoadKind.ECHO, LoadKind.PUSHED, LoadKind.BROADCAST)
"""Loads whose connections stay from the beginning to the end."""


def _fresh(row: RunRow) -> bool:
    return row.number("connections_rps") is not None


def held(material: Material, stack: str, scenario: str, what: Held) -> Sample | None:
    """How much more there was than before the load, a value a Round. None where not measured,
    and for a share a connection where connections come and go."""
    here = (run for run in material.runs if (run.stack, run.scenario) == (stack, scenario))
    runs = grouped((run.round, run) for run in here)
    values = {}
    for number, rows in runs.items():
        before, later = rows[0].number(what.before), rows[0].number(what.later)
        if before is None or later is None:
            continue
        growth = (later - before) * what.scale
        if not what.each:
            values[number] = growth
        elif any(row.load_model in _STANDING and not _fresh(row) for row in rows):
            values[number] = growth / sum(row.number("users") or 0 for row in rows)
    return Sample(stack, scenario, "", what.title, values) if values else None


def _connections(material: Material) -> Iterator[Part]:
    scenarios = lingering(material)
    panels = []
    for what in filter(lambda what: what.drawn, HELD):
        lines = []
        for scenario in scenarios:
            dots = tuple(
                readings.worked_dot(material, stack, sample)
                for stack in material.stacks
                if (sample := held(material, stack, scenario, what)) is not None
            )
            if dots:
                lines.append(Line(scenario, dots, scenario=scenario))
        if lines:
            panels.append(by_row(what.title, lines, at=0.0))
    yield from pictured(
        "Connections that come, go and stay",
        "What the server process held more than before the load connected: while the connections "
        "stood, and a second after all of them were closed. A mark to the right of the line at "
        "zero in the second picture is what was not given back. A connection's share contains "
        "what the load beside it took.",
        panels,
        material.keys({run.stack for run in material.runs if run.scenario in scenarios}),
        _held_table(material, scenarios),
    )


def _held_table(material: Material, scenarios: list[str]) -> Table:
    rows = []
    for scenario in scenarios:
        for stack in material.stacks:
            samples = [held(material, stack, scenario, what) for what in HELD]
            if any(samples):
                rows.append((scenario, stack, *map(_held_text, HELD, samples)))
    return table(
        "Memory and descriptors beyond those before the load",
        ("scenario", "stack", *(what.title for what in HELD)),
        rows,
        names=2,
    )


def _held_text(what: Held, sample: Sample | None) -> str:
    if sample is None:
        return readings.NOTHING
    centre = readings.estimate(sample)[0]
    return readings.number(centre) if what.scale == 1.0 else formatting.digits(centre)
