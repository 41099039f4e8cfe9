"""One metric's values of one Cell, a Round each: what is summarised.

The unit of replication is the Run: one value a Round, each from a fresh process. Requests are never
pooled, since those of one process share its luck.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loopbench.results import schema
from loopbench.results.folder.folder import RunRow
from loopbench.results.schema import Column, Kind

_GIVEN = frozenset(
    (
        "round",
        "position",
        "processes",
        "users",
        "arrival_rate_rps",
        "think_s",
        "scenario_parameter",
        "work_ms",
        "request_body_bytes",
        "answer_body_bytes",
        "warmup_s",
        "measured_s",
        "watched_s",
        "rested_s",
        "exit_code",
    )
)
"""Numbers of runs.csv that were chosen, or are names: they are not summarised."""

METRICS: Mapping[str, Column] = MappingProxyType(
    {
        column.name: column
        for column in schema.RUNS.columns
        if column.kind in (Kind.INTEGER, Kind.NUMBER) and column.name not in _GIVEN
    }
)
"""Every column of runs.csv that is a reading, by name."""

Cell = tuple[str, str, str]
"""Stack, scenario and load."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric's values of one Cell and load, by Round. Unit: that of the column."""

    stack: str
    scenario: str
    load: str
    metric: str
    values: Mapping[int, float]


def samples(runs: Iterable[RunRow]) -> dict[tuple[Cell, str], Sample]:
    """Every metric of every Cell and load that has a value in at least one Round."""
    values: defaultdict[tuple[Cell, str], dict[int, float]] = defaultdict(dict)
    for run in runs:
        for metric in METRICS:
            number = run.number(metric)
            if number is not None:
                values[run.cell, metric][run.round] = number
    return {
        (cell, metric): Sample(*cell, metric, MappingProxyType(by_round))
        for (cell, metric), by_round in values.items()
    }
