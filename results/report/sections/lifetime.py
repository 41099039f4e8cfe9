"""Section: starting and stopping, over all Runs of a stack."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from loopbench.results.report.blocks import Part, Plot, table
from loopbench.results.report.charts.dots import Dot, Line, by_row
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting

METRICS = {
    "start_ms": "start until it listens",
    "first_answer_ms": "start until the first correct answer",
    "stop_ms": "request to stop until the end",
}


def parts(material: Material) -> Iterator[Part]:
    """Times of starting and stopping, a mark a Run."""
    values = {
        (metric, stack): _values(material, metric, stack)
        for metric in METRICS
        for stack in material.stacks
    }
    if not any(values.values()):
        return
    lines = []
    for metric, text in METRICS.items():
        dots = tuple(
            _dot(material, stack, times)
            for stack in material.stacks
            if (times := values[metric, stack])
        )
        if dots:
            lines.append(Line(text, dots))
    rows = []
    for stack in material.stacks:
        for metric, text in METRICS.items():
            times = values[metric, stack]
            if times:
                rows.append(
                    (
                        stack,
                        text,
                        str(len(times)),
                        *map(formatting.digits, (statistics.median(times), min(times), max(times))),
                    )
                )
    yield Plot(
        "From the start to the first answer, and from the stop to the end",
        "A mark is the median over the Runs of all scenarios; small strokes are single Runs, and "
        "of more than twelve a thin line reaches from the quickest to the slowest. The "
        "interpreter's start and the imports are part of starting; the grace that open connections "
        "are given is part of stopping.",
        (by_row("ms", lines),),
        material.keys({stack for (_, stack), times in values.items() if times}),
        table(
            "Over all Runs",
            ("stack", "what", "Runs", "median ms", "lowest ms", "highest ms"),
            rows,
            names=2,
        ),
    )
    yield table(
        "How the servers ended",
        ("stack", "exit status", "Runs", "of them killed at the bound"),
        _ends(material),
        names=2,
    )


def _dot(material: Material, stack: str, times: list[float]) -> Dot:
    middle = statistics.median(times)
    tooltip = f"{stack}: {formatting.digits(middle)} ms, median of {len(times)} Runs"
    return Dot(material.looks[stack], middle, None, tuple(times), material.place(stack), tooltip)


def _values(material: Material, metric: str, stack: str) -> list[float]:
    """One value a Run, however many loads it has; a stop that was cut off is no time to stop."""
    by_run = {
        run.run_id: value
        for run in material.runs
        if run.stack == stack
        and (value := run.number(metric)) is not None
        and not (metric == "stop_ms" and run.values["killed"])
    }
    return list(by_run.values())


def _ends(material: Material) -> Iterator[tuple[str, ...]]:
    for stack in material.stacks:
        runs = {run.run_id: run for run in material.runs if run.stack == stack}.values()
        statuses = sorted({run.values["exit_code"] for run in runs}, key=str)
        for status in statuses:
            such = [run for run in runs if run.values["exit_code"] == status]
            if status is None and not any(run.values["killed"] for run in such):
                continue
            killed = sum(run.values["killed"] is True for run in such)
            yield stack, "none" if status is None else str(status), str(len(such)), str(killed)
