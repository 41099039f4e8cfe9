"""Section: handlers that are clients themselves: response time and cost against the pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from loopbench.results.folder.folder import RunRow
from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Panel, Part, Table, pictured
from loopbench.results.report.charts.lines import courses
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.report.series.by_cell import NOTED, by_cell
from loopbench.results.report.series.per_round import text, worked_out
from loopbench.results.schema import Family
from loopbench.results.stats.summaries.sample import Sample

TIME, CPU = "response_time_p50_ms", "cpu_us_per_request"

Steps = Mapping[int, Where]


def parts(material: Material) -> Iterator[Part]:
    """A panel a way to fetch; nothing where none was measured."""
    ways = _ways(material)
    if not ways:
        return
    panels = [panel for way, steps in ways.items() for panel in _panel(material, way, steps)]
    wheres = [where for steps in ways.values() for where in steps.values()]
    yield from pictured(
        "Response time against the pages that a handler fetches",
        "Each request makes the handler get so many pages of another server, which runs beside "
        "the load generator. A line that rises with the pages one for one fetches them one after "
        "another, or takes as long for each as the CPU does. A further page's CPU is that of the "
        "server process: the CPU a request of this number of pages less that of the smallest "
        "number, over the pages between; it holds the client, its connections and its share of "
        "the handler, and not what the other server takes.",
        panels,
        material.keys(readings.shown_stacks(material, wheres, (TIME,))),
        _table(material, ways),
    )


def _ways(material: Material) -> dict[str, dict[int, Where]]:
    """By way the scenario of each number of pages, ascending."""
    ways: dict[str, dict[int, Where]] = {}
    for where in material.family(Family.FETCH):
        facts = material.fact(where)
        if facts.parameter is not None:
            ways.setdefault(facts.variant, {})[int(facts.parameter)] = where
    return {way: dict(sorted(steps.items())) for way, steps in ways.items()}


def _panel(material: Material, way: str, steps: Steps) -> Iterator[Panel]:
    lines = readings.courses_over(material, steps, TIME)
    if lines:
        yield courses(f"{way}: response p50, ms", lines, "pages", logarithmic=False)


def further(material: Material, stack: str, steps: Steps, pages: int) -> Sample | None:
    """CPU of each page beyond the smallest number, in us, within a Round; None for that number."""
    least = min(steps)
    if pages == least:
        return None
    base = {run.round: run.number(CPU) for run in material.rows_of((stack, *steps[least]))}
    cell = (stack, *steps[pages])
    return worked_out(material, cell, "further page", partial(_slope, base, pages - least))


def _slope(base: Mapping[int, float | None], pages: int, run: RunRow) -> float | None:
    cpu, least = run.number(CPU), base.get(run.round)
    return None if cpu is None or least is None else (cpu - least) / pages


def _table(material: Material, ways: Mapping[str, Steps]) -> Table:
    place = {where: (way, pages) for way, steps in ways.items() for pages, where in steps.items()}

    def further_page(material: Material, stack: str, where: Where) -> str:
        way, pages = place[where]
        return text(further(material, stack, ways[way], pages))

    return by_cell(
        material,
        "By way and number of pages",
        place,
        ("response p50 ms", TIME),
        ("response p99 ms", "response_time_p99_ms"),
        ("requests/s", "throughput_rps"),
        ("CPU µs/request", CPU),
        ("CPU µs a further page", further_page),
        ("CPU share of the other server", "upstream_cpu_utilisation"),
        NOTED,
        asked=(TIME, "response_time_p99_ms", "throughput_rps", CPU),
        name=lambda where: "{}, {}".format(*place[where]),
        named="way, pages",
    )
