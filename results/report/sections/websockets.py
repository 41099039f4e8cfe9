"""Section: messages to and fro on WebSockets, and how a broadcast reaches its receivers."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.folder.scenarios import Where
from loopbench.results.report.blocks import Part, Plot, Table, paragraph, table
from loopbench.results.report.charts.dots import by_row
from loopbench.results.report.data import Material
from loopbench.results.report.sections.pressure import HELD, Held, held
from loopbench.results.report.series import readings
from loopbench.results.report.series.by_cell import NOTED, Written, by_cell, precision, ratio
from loopbench.results.report.series.readings import NOTHING
from loopbench.results.schema import Family
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.ratios import Ratio

RATE, P50, P99 = "throughput_rps", "service_time_p50_ms", "service_time_p99_ms"
LAST50, LAST99 = "last_delivery_p50_ms", "last_delivery_p99_ms"
OPENED, COST = "connections_rps", "cpu_us_per_request"

_EACH, _AFTER = HELD[0], HELD[2]
_MANY = 100
"""Of fewer connections the share of memory is lost in what the process takes anyway."""


def parts(material: Material) -> Iterator[Part]:
    """Nothing where no load of these kinds was measured."""
    echoes = list(material.models(LoadKind.ECHO))
    deliveries = list(material.models(LoadKind.PUSHED, LoadKind.BROADCAST))
    if echoes:
        yield _messages(material, echoes)
    if deliveries:
        yield _broadcasts(material, deliveries)
        yield from _slow_reader(material)


def _messages(material: Material, wheres: list[Where]) -> Plot:
    standing = [where for where in wheres if not material.has(where, OPENED)]
    panels = (
        ("Messages to and fro, a second", standing, RATE),
        ("Connections opened a second", wheres, OPENED),
        ("Round trip p99, ms", standing, P99),
    )
    return Plot(
        "Messages to and fro",
        "Each user sends its next message when the last one is back. A round trip is from the "
        "send to the last byte of the answer in the client's kernel; every answer is compared "
        "byte for byte. A strong mark is the centre over the Rounds, a bar its 95 % interval."
        + readings.undecided(material, standing, RATE),
        tuple(
            by_row(title, lines)
            for title, shown, metric in panels
            if (lines := readings.lines(material, shown, metric))
        ),
        material.keys(readings.shown_stacks(material, wheres, (RATE, OPENED))),
        _message_table(material, wheres),
    )


def _message_table(material: Material, wheres: list[Where]) -> Table:
    def rate(material: Material, stack: str, where: Where) -> str:
        """Where each message has a connection of its own, these are counted."""
        opened = material.get(stack, where, OPENED)
        return NOTHING if opened else readings.value(material.get(stack, where, RATE))

    return by_cell(
        material,
        "Messages by scenario and stack",
        wheres,
        ("messages/s", rate),
        ("connections/s", OPENED),
        ("95 %", precision(RATE)),
        (_to(material), ratio(RATE)),
        ("round trip p50 ms", P50),
        ("p99 ms", P99),
        ("CPU µs/message", COST),
        *_MEMORY,
        NOTED,
        asked=(RATE, P50, P99),
    )


def _to(material: Material) -> str:
    reference = material.summaries.reference
    return f"× {reference} [95 %]" if reference else "ratio"


def _memory(what: Held) -> Written:
    """What each of many connections took, or what was not given back when all had left."""

    def written(material: Material, stack: str, where: Where) -> str:
        runs = material.rows_of((stack, *where))
        users = max((run.number("users") or 0 for run in runs), default=0)
        sample = held(material, stack, where[0], what)
        if sample is None or (what.each and users < _MANY):
            return NOTHING
        return formatting.digits(readings.estimate(sample)[0])

    return written


_MEMORY = (("memory a connection kB", _memory(_EACH)), ("held after MB", _memory(_AFTER)))


def _broadcasts(material: Material, wheres: list[Where]) -> Plot:
    titles = {
        P50: "Publication to arrival, p50, ms",
        P99: "p99, ms",
        LAST50: "To the last receiver, p50, ms",
    }
    return Plot(
        "Broadcast and push",
        "How long a published message takes to each of its receivers, and to the last of them; "
        "of a push, how late a message is by the server's own schedule. All that was published "
        "is owed to every receiver once: a message that is lost, comes twice or out of order is "
        "a failure." + readings.undecided(material, wheres, P50),
        readings.panels(material, wheres, titles),
        material.keys(readings.shown_stacks(material, wheres, (P50,))),
        _broadcast_table(material, wheres),
    )


def _broadcast_table(material: Material, wheres: list[Where]) -> Table:
    return by_cell(
        material,
        "Deliveries by scenario and stack",
        wheres,
        ("delay p50 ms", P50),
        ("95 %", precision(P50)),
        (_to(material), ratio(P50)),
        ("p99 ms", P99),
        ("last p50 ms", LAST50),
        ("last p99 ms", LAST99),
        ("owed", "deliveries_owed"),
        ("lost", "deliveries_lost"),
        ("receivers dropped", "receivers_dropped"),
        ("CPU µs/delivery", COST),
        *_MEMORY,
        NOTED,
        asked=(P50, P99, LAST50, LAST99, "deliveries_owed", "deliveries_lost"),
    )


_EFFECTS = {
    P50: "delay p50 ms",
    P99: "delay p99 ms",
    LAST99: "last receiver p99 ms",
    "deliveries_lost": "deliveries lost by the others",
    "rss_end_bytes": "memory at the window's end MB",
    "rss_peak_bytes": "highest memory MB",
    "rss_after_bytes": "memory when all had left MB",
    "receivers_dropped": "receivers that the server gave up",
}


def _slow_reader(material: Material) -> Iterator[Part]:
    """What one connection that reads nothing does to the others and to memory."""
    for slow in material.family(Family.BROADCAST):
        even = material.baseline(slow)
        if even is not None:
            yield from _beside(material, even, slow)


def _beside(material: Material, even: Where, slow: Where) -> Iterator[Part]:
    rows = []
    for stack in material.stacks:
        for metric, text in _EFFECTS.items():
            without = material.get(stack, even, metric)
            beside = material.get(stack, slow, metric)
            if without is None or beside is None:
                continue
            ratio = material.against((stack, *slow), (stack, *even), metric)
            rows.append(
                (stack, text, readings.value(without), readings.value(beside), _ratio(ratio))
            )
    if not rows:
        return
    yield table(
        "One receiver that reads nothing",
        ("stack", "what", f"without ({even[0]})", f"beside it ({slow[0]})", "ratio [95 %]"),
        rows,
        names=2,
    )
    yield paragraph(
        "The others are the same in both. What the slow one is not sent waits in the server's "
        "memory, in the kernel's buffers first, until it is given up.",
    )


def _ratio(ratio: Ratio | None) -> str:
    return NOTHING if ratio is None else readings.ratio(ratio)
