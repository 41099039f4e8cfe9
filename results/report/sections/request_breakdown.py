"""Section: where a request's time went, as parts of the mean service time."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Key, Panel, Part, Plot, table
from loopbench.results.report.charts.bars import Group, Whole, stacked
from loopbench.results.report.data import Material
from loopbench.results.report.looks import PARTS
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Cell

BEFORE, INSIDE, AFTER = ("before_handler_mean_ms", "in_handler_mean_ms", "after_handler_mean_ms")
WAIT = "executor_wait_mean_ms"
NAMES = (
    "before the handler: socket, parsing, the loop's queue",
    "before the handler: waiting for a worker thread",
    "in the handler",
    "after the handler: answer, loop, socket",
)


def parts(material: Material) -> Iterator[Part]:
    """A bar a Cell whose requests were taken apart."""
    groups, rows = [], []
    for where in material.loads:
        wholes = []
        for stack in material.stacks:
            taken = apart(material, (stack, *where))
            if taken is None:
                continue
            texts = tuple(map(formatting.digits, taken))
            total = formatting.digits(sum(taken))
            named = [f"{text} {name}" for text, name in zip(texts, NAMES, strict=True)]
            drawn = tuple(zip(PARTS, taken, named, strict=True))
            wholes.append(Whole(stack, f"{total} ms", drawn, material.place(stack)))
            rows.append((material.name(where), stack, *texts, total))
        if wholes:
            groups.append(Group(material.name(where), tuple(wholes), where[0]))
    if not groups:
        return
    yield Plot(
        "Parts of the mean service time",
        "Each bar is a request's mean time from the send to the last byte. Bars of one scenario "
        "have one scale, and the slowest stack fills the width; the whole in ms stands at the "
        "end. Where the first part is long, requests queue before any code of yours runs: the "
        "server, or its loop, is the limit. The wait for a worker thread is shown where a scenario "
        "has a single load.",
        tuple(_in_columns(groups)),
        tuple(Key(look, text) for look, text in zip(PARTS, NAMES, strict=True)),
        table(
            "Parts of the mean service time in ms",
            ("scenario", "stack", *(f"{text.replace(': ', ' (', 1)})" if ": " in text else text
                                    for text in NAMES), "sum"),
            rows,
            names=2,
        ),
    )  # fmt: skip


_BARS_A_PANEL = 14


def _in_columns(groups: list[Group]) -> Iterator[Panel]:
    """Panels of about equal height, since a page shows them side by side."""
    panels = max(1, round(sum(len(group.wholes) for group in groups) / _BARS_A_PANEL))
    size = -(-len(groups) // panels)
    parts = range(0, len(groups), size)
    for number, start in enumerate(parts, start=1):
        title = "Mean service time by its parts"
        if len(parts) > 1:
            title += f" ({number} of {len(parts)})"
        yield stacked(title, groups[start : start + size])


def apart(material: Material, cell: Cell) -> tuple[float, float, float, float] | None:
    """Centres of the parts in ms, in the order of NAMES; None where they were not measured."""
    summaries = [material.summaries.get(cell, metric) for metric in (BEFORE, INSIDE, AFTER)]
    if any(summary is None for summary in summaries):
        return None
    before, inside, after = (summary.centre for summary in summaries if summary is not None)
    wait = _wait(material, cell, before)
    return before - wait, wait, inside, after


def _wait(material: Material, cell: Cell, before: float) -> float:
    """The part of `before` that was a wait for a thread: known where all calls were of this
    load, since the executor does not say whose calls it counts."""
    alone = sum(where[0] == cell[1] for where in material.loads) == 1
    waited = material.summaries.get(cell, WAIT) if alone else None
    return 0.0 if waited is None else min(waited.centre, before)
