"""Section: where a request's time went, as parts of the mean service time."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Key, Panel, Part, Plot, table
from loopbench.results.report.charts import kinds
from loopbench.results.report.charts.kinds import Whole
from loopbench.results.report.charts.style import PARTS
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting
from loopbench.results.stats.summary import Cell

BEFORE, INSIDE, AFTER = (
    "before_handler_mean_ms",
    "in_handler_mean_ms",
    "after_handler_mean_ms",
)
WAIT = "executor_wait_mean_ms"
NAMES = (
    "before the handler: socket, parsing, the loop's queue",
    "before the handler: waiting for a worker thread",
    "in the handler",
    "after the handler: answer, loop, socket",
)


def parts(material: Material) -> Iterator[Part]:
    """A bar a Cell whose requests were taken apart."""
    bars, rows = [], []
    for where in material.loads:
        for stack in material.stacks:
            cell = (stack, *where)
            taken = apart(material, cell)
            if taken is None:
                continue
            total = sum(taken)
            text = f"{formatting.digits(total)} ms"
            bars.append(
                Whole(
                    f"{material.name(where)}  {stack}", text, tuple(zip(PARTS, taken, strict=True))
                )
            )
            rows.append(
                (
                    material.name(where),
                    stack,
                    *(formatting.digits(part) for part in taken),
                    formatting.digits(total),
                )
            )
    if not bars:
        return
    yield Plot(
        "Parts of the mean service time",
        "Each bar is a request's mean time from the send to the last byte, its parts in % of it; "
        "the whole in ms stands at its end. Where the first part is long, requests queue before "
        "any code of yours runs: the server, or its loop, is the limit. The wait for a worker "
        "thread is shown where a scenario has a single load.",
        tuple(_in_columns(bars)),
        tuple(Key(look.id, text) for look, text in zip(PARTS, NAMES, strict=True)),
        table(
            "Parts of the mean service time in ms",
            ("scenario", "stack", *(f"{text.replace(': ', ' (', 1)})" if ": " in text else text
                                    for text in NAMES), "sum"),
            rows,
            names=2,
        ),
    )  # fmt: skip


_BARS_A_PANEL = 12


def _in_columns(bars: list[Whole]) -> Iterator[Panel]:
    """Panels of about equal height, since a page shows them side by side."""
    panels = -(-len(bars) // _BARS_A_PANEL)
    size = -(-len(bars) // panels)
    for number, start in enumerate(range(0, len(bars), size), start=1):
        title = "Share of the mean service time, %"
        if panels > 1:
            title += f" ({number} of {panels})"
        yield kinds.wholes(title, bars[start : start + size])


def apart(material: Material, cell: Cell) -> tuple[float, float, float, float] | None:
    """Centres of the parts in ms, in the order of NAMES; None where they were not measured."""
    found = [material.summaries.get(cell, metric) for metric in (BEFORE, INSIDE, AFTER)]
    if any(summary is None for summary in found):
        return None
    before, inside, after = (summary.centre for summary in found if summary is not None)
    wait = _wait(material, cell, before)
    return before - wait, wait, inside, after


def _wait(material: Material, cell: Cell, before: float) -> float:
    """The part of `before` that was a wait for a thread: known where all calls were of this
    load, since the executor does not say whose calls it counts."""
    alone = sum(where[0] == cell[1] for where in material.loads) == 1
    waited = material.summaries.get(cell, WAIT) if alone else None
    return 0.0 if waited is None else min(waited.centre, before)
