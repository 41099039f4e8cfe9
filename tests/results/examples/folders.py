"""The one builder of results folders for tests: rows through the schema, and what lies beside them.

A folder says what differs from any other; a column that nobody names is blank, so that a new one
needs no change here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from loopbench.results.schema import Row, Table, TableWriter, Value

MB = 1_000_000

BY_ROUND = {1: 0.5, 2: 1.0, 3: 2.0}
"""By what the figures of three Rounds are multiplied, so that the centre is the second's."""


def in_round(number: int, figures: Row, times: float = 1.0) -> dict[str, Value]:
    """What a Round has of these figures: times, rates and shares, which are floats, change from
    Round to Round; counts and bytes, which are whole numbers, stay."""
    return {
        name: value * BY_ROUND[number] * times if isinstance(value, float) else value
        for name, value in figures.items()
    }


def run_row(number: int, stack: str, scenario: str, **cells: Value) -> dict[str, Value]:
    """A row of runs.csv of that Round, with what every Run has; `cells` take the place of it."""
    return {
        "run_id": f"{number:02d}.{stack}.{scenario}",
        "round": number,
        "position": number,
        "stack": stack,
        "scenario": scenario,
        "load": "main",
        "started_at": f"2026-01-02T03:{number:02d}:00.000+00:00",
        "requests": 1000,
        **cells,
    }


def put(folder: Path, table: Table, rows: Iterable[Row]) -> None:
    """Write one table, in the place of what was there."""
    (folder / table.filename).unlink(missing_ok=True)
    with TableWriter(folder, table) as writer:
        writer.append(rows)


def write(
    folder: Path,
    tables: Mapping[Table, Iterable[Row]],
    *,
    empty: Iterable[Table] = (),
    **files: Mapping[str, object],
) -> Path:
    """Write a folder; returns it.

    empty: further tables, of which there are no rows. files: plan, environment and the like, by
    their names without `.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table in (*tables, *empty):
        put(folder, table, tables.get(table, ()))
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return folder
