"""What the commands print with `--json`: one object each, of a form in schema.json_forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from loopbench.results.folder.folder import Folder
from loopbench.results.schema import WARNING_SEPARATOR, Row, json_forms
from loopbench.results.stats.capacity import Capacity
from loopbench.results.stats.comparisons.compare import Comparison, Difference
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.queueing.limits import Limit, Limits
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries
from loopbench.results.stats.summaries.summary_table import table_rows

Document = dict[str, object]


def show(folder: Folder, summaries: Summaries) -> Document:
    """Every summary of a folder: the rows of summary.csv, Warnings as a list."""
    return {
        "schema": json_forms.SHOW.name,
        "run": folder.path.resolve().name,
        "reference": summaries.reference,
        "yardstick": summaries.yardstick,
        "summaries": [_listed(row) for row in table_rows(summaries)],
        "problems": [str(problem) for problem in folder.problems],
    }


def _listed(row: Row) -> Document:
    codes = row["warnings"]
    return {**row, "warnings": str(codes).split(WARNING_SEPARATOR) if codes else []}


def compare(
    first: Folder,
    second: Folder,
    compared: Iterable[Comparison],
    differ: Iterable[Difference],
    only: Mapping[str, Sequence[Cell]],
) -> Document:
    """A verdict a Cell and metric, and what was not the same on the two occasions."""
    return {
        "schema": json_forms.COMPARE.name,
        "first": first.path.resolve().name,
        "second": second.path.resolve().name,
        "conditions": [asdict(one) for one in differ],
        "comparisons": [_comparison(one) for one in compared],
        "only": {where: [_cell(cell) for cell in cells] for where, cells in only.items()},
    }


def _comparison(one: Comparison) -> Document:
    return {
        **_cell(one.cell),
        "metric": one.metric,
        "before": one.before,
        "after": one.after,
        "ratio": one.ratio,
        **_ends("ratio", one.interval),
        "verdict": "same" if one.verdict == "~" else str(one.verdict),
        "reason": one.reason or None,
    }


def _cell(cell: Cell) -> Document:
    return dict(zip(("stack", "scenario", "load"), cell, strict=True))


def _ends(name: str, interval: Interval | None) -> Document:
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {f"{name}_low": low, f"{name}_high": high}


def capacity(found: Iterable[Capacity], wanted_rps: float, slo_ms: float | None) -> Document:
    """How many processes a rate needs, and the rates that were offered."""
    return {
        "schema": json_forms.CAPACITY.name,
        "wanted_rps": wanted_rps,
        "p99_bound_ms": slo_ms,
        "stacks": [
            {
                "stack": one.stack,
                "processes": one.processes,
                "per_process_rps": one.per_process_rps,
                "process_bytes": one.process_bytes,
                "connection_bytes": one.connection_bytes,
                "offered": [{**asdict(point), "held": point.held} for point in one.points],
            }
            for one in found
        ],
    }


def limits(found: Limits, wanted_rps: float | None) -> Document:
    """The highest rate of each stack at which the objective held."""
    over_highest = found.over_highest()
    return {
        "schema": json_forms.LIMITS.name,
        "percent": found.percent,
        "limit_ms": found.limit_ms,
        "case": found.case,
        "wanted_rps": wanted_rps,
        "stacks": [
            {
                "stack": one.stack,
                "rate_rps": None if one.crossing is None else one.crossing.rate_rps,
                **_ends("rate", None if one.crossing is None else one.crossing.interval),
                **_over_highest(over_highest.get(one.stack)),
                "held_rps": one.held_rps,
                "not_held_rps": one.not_held_rps,
                "trials": one.trials,
                "processes": None if wanted_rps is None else one.processes(wanted_rps),
                **_queue(one),
                "reason": one.reason or None,
            }
            for one in found.stacks
        ],
    }


def _over_highest(found: tuple[float, Interval | None] | None) -> Document:
    ratio, interval = (None, None) if found is None else found
    return {"ratio": ratio, **_ends("ratio", interval)}


def _queue(one: Limit) -> Document:
    """As what the trials were read."""
    found = None if one.crossing is None else one.crossing.reading
    return {
        "queue_threads": None if found is None else found.queue.threads,
        "queue_service_ms": None if found is None else found.service_s * 1e3,
        "queue_variation": None if found is None else found.queue.variation,
        "queue_wait_ms": None if found is None else found.wait_s * 1e3,
        "queue_likelihood": None if found is None else found.likelihood,
        "queue_fits": None if found is None else not found.drifts,
    }


def behaviour(run: str, rows: Iterable[Row], problems: Iterable[object]) -> Document:
    """The rows of behaviour.csv."""
    return {
        "schema": json_forms.ANSWERS_OF_STACKS.name,
        "run": run,
        "answers": [dict(row) for row in rows],
        "problems": [str(problem) for problem in problems],
    }
