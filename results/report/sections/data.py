"""Section: streams, uploads and large answers, and readers that do not keep up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Part, Plot, Table, table
from loopbench.results.report.charts.dots import Line, by_row
from loopbench.results.report.data import Material
from loopbench.results.report.series import readings
from loopbench.results.report.series.by_cell import NOTED, by_cell, worked
from loopbench.results.report.series.per_round import (
    Value,
    growth,
    product,
    quotient,
    text,
    worked_out,
)
from loopbench.results.schema import Family
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting

MEMORY = growth("rss_start_bytes", "rss_end_bytes", 1e-6)
LEFT = growth("rss_start_bytes", "rss_after_bytes", 1e-6)
SENT = product("throughput_rps", "answer_body_bytes", scale=1e-6)

FIRST, LAST = "first_byte_p50_us", "service_time_p50_ms"
STREAM_TITLES = {FIRST: "first byte p50, µs", LAST: "last byte p50, ms"}


@dataclass(frozen=True, slots=True)
class TableKind:
    """A table about one kind of scenario: its columns are metrics by name, or worked out.

    family: of the scenarios. caption: of the picture of `drawn`, a column of it.
    """

    title: str
    family: Family
    columns: dict[str, str | Value]
    drawn: tuple[str, ...]
    caption: str


KINDS = (
    TableKind(
        "Uploads",
        Family.UPLOADS,
        {
            "MB/s": product("throughput_rps", "request_body_bytes", scale=1e-6),
            "uploads/s": "throughput_rps",
            "peak memory over before, MB": growth("rss_start_bytes", "rss_peak_bytes", 1e-6),
            "longest stretch of the loop, ms": "loop_longest_stretch_ms",
            "CPU, µs a KiB": quotient("cpu_us_per_request", "request_body_bytes", 1024),
        },
        ("MB/s", "peak memory over before, MB", "longest stretch of the loop, ms"),
        "Each upload is hashed piece by piece, and the digest is checked. The peak of the memory "
        "is that of the process from its start to the end of the window, less what it held after "
        "the one upload by which it was verified, before the load: a server that keeps a body "
        "until it is complete shows it there. In the longest stretch nothing else ran on the loop.",
    ),
    TableKind(
        "Large JSON answers",
        Family.LARGE_ANSWERS,
        {
            "answers/s": "throughput_rps",
            "MB/s": SENT,
            "time in the handler p50, ms": "handler_time_p50_ms",
            "longest stretch of the loop, ms": "loop_longest_stretch_ms",
            "loop delay p99, ms": "loop_delay_p99_ms",
            "CPU, µs a KiB": quotient("cpu_us_per_request", "answer_body_bytes", 1024),
        },
        ("time in the handler p50, ms", "longest stretch of the loop, ms", "CPU, µs a KiB"),
        "The items are made and encoded anew for each answer, on the loop: for as long as the "
        "handler takes nothing else runs there. The longest stretch is a single one, and on a "
        "machine that does other things as well may be theirs. A KiB costs more in a small answer, "
        "which bears the whole cost of a request.",
    ),
)


def parts(material: Material) -> Iterator[Part]:
    """What of it was measured."""
    yield from _streams(material)
    yield from _events(material)
    yield from _slow(material)
    for kind in KINDS:
        yield from _kind(material, kind)


def _streams(material: Material) -> Iterator[Part]:
    wheres = [where for where in material.loads if material.has(where, FIRST)]
    if not wheres:
        return
    yield Plot(
        "Streams: from the send to the first byte, and to the last",
        "A stack that collects an answer before it sends it has its first byte late, near its "
        "last. Both instants are the kernel's; the first is that of what the first read returned."
        + readings.undecided(material, wheres, LAST),
        readings.panels(material, wheres, STREAM_TITLES),
        material.keys(readings.shown_stacks(material, wheres, tuple(STREAM_TITLES))),
        by_cell(
            material,
            "First and last byte of streams",
            wheres,
            ("first p50 µs", FIRST),
            ("first p99 µs", "first_byte_p99_us"),
            ("last p50 ms", LAST),
            ("last p99 ms", "service_time_p99_ms"),
            ("MB/s", worked(SENT)),
            NOTED,
        ),
    )


_EVENT_TITLES = {"throughput_rps": "Events a second", "first_event_p50_ms": "First event p50, ms"}


def _events(material: Material) -> Iterator[Part]:
    """Streams that need not end."""
    wheres = list(material.models(LoadKind.STREAM))
    if not wheres:
        return
    yield Plot(
        "Events of streams that need not end",
        "Each connection asks once and reads for as long as the window is open. The first event's "
        "time is from the send to its arrival; the time between events is as the kernel saw them "
        "arrive.",
        readings.panels(material, wheres, _EVENT_TITLES),
        material.keys(readings.shown_stacks(material, wheres, tuple(_EVENT_TITLES))),
        by_cell(
            material,
            "Events by scenario and stack",
            wheres,
            ("events/s", "throughput_rps"),
            ("first p50 ms", "first_event_p50_ms"),
            ("first p99 ms", "first_event_p99_ms"),
            ("between p50 ms", "service_time_p50_ms"),
            ("between p99 ms", "service_time_p99_ms"),
            ("CPU µs/event", "cpu_us_per_request"),
            NOTED,
        ),
    )


def _slow(material: Material) -> Iterator[Part]:
    """Scenarios with slow readers, after the same load without them."""
    slow = material.family(Family.SLOW_READERS)
    if not slow:
        return
    alone = [base for where in slow if (base := material.baseline(where)) is not None]
    wheres = list(dict.fromkeys((*alone, *slow)))
    titles = {
        "Memory while they were connected, above the baseline (MB)": MEMORY,
        "Memory after the slow readers left, above the baseline (MB)": LEFT,
    }
    panels = [
        by_row(title, lines, at=0.0)
        for title, value in titles.items()
        if (lines := _dots(material, wheres, title, value))
    ]
    yield Plot(
        "Readers that do not keep up, beside ones that do",
        "What the server process held more than before the load: while the slow readers were "
        "connected, and a second after all had left. Each slow reader asks for more than the "
        "kernel's buffers hold; a server that does not wait for it keeps the rest. What is held "
        "when they are gone can be more than before: where the handler goes on for a client that "
        "has left, and what it makes is kept.",
        tuple(panels),
        material.keys({run.stack for run in material.runs if run.where in wheres}),
        _slow_table(material, wheres),
    )


def _slow_table(material: Material, wheres: Sequence[Where]) -> Table:
    readers = {
        run.scenario: run.number("users") or 0.0
        for run in material.runs
        if run.load_model == LoadKind.SLOW
    }
    rows = []
    for where in wheres:
        for stack in material.stacks:
            cell = (stack, *where)
            if not any(True for _ in material.rows_of(cell)):
                continue
            count = readers.get(where[0], 0.0)
            held = worked_out(material, cell, "held", MEMORY)
            each = "–"
            if count and held is not None:
                each = formatting.digits(readings.estimate(held)[0] / count * 1000)
            base, against = material.baseline(where), None
            if base is not None:
                against = material.against(cell, (stack, *base), "service_time_p99_ms")
            rows.append(
                (
                    where[0],
                    stack,
                    f"{count:.0f}",
                    text(held),
                    each,
                    text(worked_out(material, cell, "left", LEFT)),
                    readings.value(material.get(stack, where, "service_time_p99_ms")),
                    readings.ratio(against),
                    readings.noted(material, cell),
                )
            )
    return table(
        "Memory with slow readers and without, and what the others met",
        (
            "scenario", "stack", "slow readers", "memory over before MB", "a slow reader kB",
            "after they left MB", "others' last p99 ms", "× alone [95 %]", "Warnings",
        ),
        rows,
        names=2,
    )  # fmt: skip


def _kind(material: Material, kind: TableKind) -> Iterator[Part]:
    wheres = [
        where for where in material.family(kind.family) if material.has(where, "throughput_rps")
    ]
    if not wheres:
        return
    panels = [
        by_row(title, lines)
        for title in kind.drawn
        if (lines := _dots(material, wheres, title, kind.columns[title]))
    ]
    yield Plot(
        kind.title,
        kind.caption + readings.undecided(material, wheres, "throughput_rps"),
        tuple(panels),
        material.keys(readings.shown_stacks(material, wheres, ("throughput_rps",))),
        by_cell(
            material,
            f"{kind.title}, by scenario",
            wheres,
            *(
                (heading, column if isinstance(column, str) else worked(column))
                for heading, column in kind.columns.items()
            ),
            NOTED,
            asked=("throughput_rps",),
            name=itemgetter(0),
        ),
    )


def _dots(
    material: Material, wheres: Sequence[Where], title: str, column: str | Value
) -> tuple[Line, ...]:
    """A Line a scenario, of a metric or of what is worked out."""
    if isinstance(column, str):
        return readings.lines(material, wheres, column)
    lines = []
    for where in wheres:
        dots = tuple(
            readings.worked_dot(material, stack, sample)
            for stack in material.stacks
            if (sample := worked_out(material, (stack, *where), title, column)) is not None
        )
        if dots:
            lines.append(Line(material.name(where), dots, scenario=where[0]))
    return tuple(lines)
