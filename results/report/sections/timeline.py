"""Section: the timeline of each Run, for whoever looks for a stall."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.folder.scenarios import Where
from loopbench.results.folder.timelines import COLUMNS, MOST_POINTS, Track
from loopbench.results.report.blocks import Part, Plot, table
from loopbench.results.report.charts.lines import Course, courses
from loopbench.results.report.data import Material
from loopbench.results.report.series.readings import NOTHING
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Cell

LEAST_SECONDS = 8
"""A Run of fewer is a few points, in which no stall can be told from the rest."""

_TITLES = {"throughput_rps": "requests/s", "response_time_p99_ms": "response p99, ms"}


def parts(material: Material) -> Iterator[Part]:
    """A panel a scenario, load and reading; a line a Run."""
    panels = []
    for where in material.loads:
        for column, title in _TITLES.items():
            lines = tuple(_lines(material, where, column))
            if lines:
                panels.append(
                    courses(
                        f"{material.name(where)}: {title}",
                        lines,
                        "seconds",
                        logarithmic=column != "throughput_rps" and _wide(lines),
                        scenario=where[0],
                    )
                )
    if not panels:
        return
    yield Plot(
        "Second by second, a line a Run",
        "A line is one Run. A dip in throughput with a peak of the response time in the same "
        "second is a stall; if it is there in one Run only, look at that Run's Warnings. Runs "
        f"of fewer than {LEAST_SECONDS} seconds are left out; those of more than {MOST_POINTS} "
        "seconds are drawn by the worst second of each stretch.",
        tuple(panels),
        material.keys({cell[0] for cell in material.tracks if _long(material, cell)}),
        table(
            "The worst second of each Run; every second stands in timeline.csv",
            (
                "Run", "load", "seconds", "lowest requests/s", "in second from",
                "highest response p99 ms", "in second from", "highest loop delay p99 ms",
                "in second from",
            ),
            _rows(material),
            names=2,
            folded=True,
        ),
    )  # fmt: skip


def _lines(material: Material, where: Where, column: str) -> Iterator[Course]:
    for stack in material.stacks:
        for track in _long(material, (stack, *where)).values():
            times, readings = track.drawn(column)
            if times and any(readings):
                yield Course(
                    material.looks[stack],
                    tuple(times),
                    tuple(readings),
                    strong=False,
                    stack=material.place(stack),
                )


def _long(material: Material, cell: Cell) -> dict[int, Track]:
    """The tracks by Round in which a stall could be seen."""
    tracks = material.tracks.get(cell, {})
    return {number: track for number, track in tracks.items() if len(track.from_s) >= LEAST_SECONDS}


def _wide(lines: tuple[Course, ...]) -> bool:
    values = [value for line in lines for value in line.ys if value > 0]
    return bool(values) and max(values) > 5 * min(values)


def _rows(material: Material) -> Iterator[tuple[str, ...]]:
    for run in material.runs:
        track = _long(material, run.cell).get(run.round)
        if track is not None:
            yield run.run_id, run.load, str(len(track.from_s)), *_worst(track)


def _worst(track: Track) -> Iterator[str]:
    for column in COLUMNS:
        worst = track.worst(column)
        if worst is None:
            yield from (NOTHING, "")
        else:
            yield from (formatting.digits(worst[1]), f"{worst[0]:.1f}")
