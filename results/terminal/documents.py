"""What the commands print with `--json`: one object each, of a form in schema.json_forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from loopbench.results.folder.folder import Folder
from loopbench.results.schema import WARNING_SEPARATOR, Row, json_forms
from loopbench.results.schema.tables.capacity import Taker
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
        "conditions": [asdict(difference) for difference in differ],
        "comparisons": [_comparison(comparison) for comparison in compared],
        "only": {where: [_cell(cell) for cell in cells] for where, cells in only.items()},
    }


def _comparison(comparison: Comparison) -> Document:
    return {
        **_cell(comparison.cell),
        "metric": comparison.metric,
        "before": comparison.before,
        "after": comparison.after,
        "ratio": comparison.ratio,
        **_ends("ratio", comparison.interval),
        "verdict": "same" if comparison.verdict == "~" else str(comparison.verdict),
        "reason": comparison.reason or None,
        "remarks": comparison.remarks or None,
    }


def _cell(cell: Cell) -> Document:
    return dict(zip(("stack", "scenario", "load"), cell, strict=True))


def _ends(name: str, interval: Interval | None) -> Document:
    low, high = (None, None) if interval is None else (interval.low, interval.high)
    return {f"{name}_low": low, f"{name}_high": high}


def capacity(capacities: Iterable[Capacity], wanted_rps: float, slo_ms: float | None) -> Document:
    """How many processes a rate needs, and the rates that were offered."""
    return {
        "schema": json_forms.CAPACITY.name,
        "wanted_rps": wanted_rps,
        "p99_bound_ms": slo_ms,
        "stacks": [
            {
                "stack": capacity.stack,
                "processes": capacity.processes,
                "per_process_rps": capacity.per_process_rps,
                "process_bytes": capacity.process_bytes,
                "connection_bytes": capacity.connection_bytes,
                "offered": [{**asdict(point), "held": point.held} for point in capacity.points],
            }
            for capacity in capacities
        ],
    }


def limits(limits: Limits, wanted_rps: float | None) -> Document:
    """The highest rate of each stack at which the objective held."""
    over_highest = limits.over_highest()
    return {
        "schema": json_forms.LIMITS.name,
        "percent": limits.percent,
        "limit_ms": limits.limit_ms,
        "case": limits.case,
        "wanted_rps": wanted_rps,
        "stacks": [
            {
                "stack": limit.stack,
                "rate_rps": None if limit.crossing is None else limit.crossing.rate_rps,
                **_ends("rate", None if limit.crossing is None else limit.crossing.interval),
                **_over_highest(over_highest.get(limit.stack)),
                "held_rps": limit.held_rps,
                "not_held_rps": limit.not_held_rps,
                "trials": limit.trials,
                "processes": None if wanted_rps is None else limit.processes(wanted_rps),
                **_queue(limit),
                **{taker.value: limit.taken.get(taker) for taker in Taker},
                "reason": limit.reason or None,
            }
            for limit in limits.stacks
        ],
    }


def _over_highest(estimate: tuple[float, Interval | None] | None) -> Document:
    ratio, interval = (None, None) if estimate is None else estimate
    return {"ratio": ratio, **_ends("ratio", interval)}


def _queue(limit: Limit) -> Document:
    """As what the trials were read."""
    reading = None if limit.crossing is None else limit.crossing.reading
    return {
        "queue_threads": None if reading is None else reading.queue.threads,
        "queue_service_ms": None if reading is None else reading.service_s * 1e3,
        "queue_variation": None if reading is None else reading.queue.variation,
        "queue_wait_ms": None if reading is None else reading.wait_s * 1e3,
        "queue_likelihood": None if reading is None else reading.likelihood,
        "queue_fits": None if reading is None else not reading.drifts,
    }


def behaviour(run: str, rows: Iterable[Row], problems: Iterable[object]) -> Document:
    """The rows of behaviour.csv."""
    return {
        "schema": json_forms.ANSWERS_OF_STACKS.name,
        "run": run,
        "answers": [dict(row) for row in rows],
        "problems": [str(problem) for problem in problems],
    }
