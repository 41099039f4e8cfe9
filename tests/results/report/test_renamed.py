"""Nothing in the report is found by the name of a scenario, a load or a stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopbench.results import schema
from loopbench.results.folder import folder as folders
from loopbench.results.folder.tables import Problem, optional_rows
from loopbench.results.report.blocks import Plot, Table
from loopbench.results.schema import Row, Value
from loopbench.results.stats.summaries.summary import summarise
from tests.results.examples import moving_folder, report_folder, websocket_folder
from tests.results.examples.folders import put
from tests.results.report.reports import made

NAMED = {"stack": "stack", "scenario": "scenario", "baseline_scenario": "scenario", "load": "load"}
"""Columns that hold a name, and what it is a name of."""


def _renamed(folder: Path, into: Path) -> Path:
    """The folder with other names everywhere, in an order that stays."""
    loaded = folders.load(folder)
    names = {
        "stack": {stack: f"s{place}" for place, stack in enumerate(loaded.stacks)},
        "scenario": {
            scenario: f"thing {place:02d}"
            for place, scenario in enumerate(sorted({run.scenario for run in loaded.runs}))
        },
        "load": {
            load: f"part {place}"
            for place, load in enumerate(sorted({run.load for run in loaded.runs}))
        },
    }

    def other(row: Row) -> dict[str, Value]:
        return {
            column: names[NAMED[column]].get(str(value), value) if column in NAMED else value
            for column, value in row.items()
        }

    into.mkdir()
    for table in (*schema.TABLES, *schema.EXTRA):
        rows: list[Row] = [run.values for run in loaded.runs]
        problems: list[Problem] = []
        if table is not schema.RUNS:
            rows = list(optional_rows(folder, table, problems))
        put(into, table, map(other, rows))
        assert not problems
    environment, plan = (_json(folder / name) for name in ("environment.json", "plan.json"))
    environment["stacks"] = {
        names["stack"].get(stack, stack): facts
        for stack, facts in environment.get("stacks", {}).items()
    }
    plan["stacks"] = [names["stack"][stack] for stack in plan.get("stacks", ())]
    plan["scenarios"] = [names["scenario"][scenario] for scenario in plan.get("scenarios", ())]
    (into / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    (into / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return into


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    assert isinstance(found, dict)
    return found


def _shape(folder: Path) -> dict[str, Any]:
    """What a report consists of, without a name: sections with the figures of their tables, and
    which questions it answers."""
    report = made(folder)
    return {
        "sections": {
            section.anchor: [
                (type(part).__name__, *(_figures(found) if (found := _table(part)) else ()))
                for part in section.parts
            ]
            for section in report.sections
        },
        "questions": [
            (question.text, str(question.line[0]).startswith("Not measured here"))
            for question in report.questions
        ],
    }


def _table(part: object) -> Table | None:
    if isinstance(part, Plot):
        return part.table
    return part if isinstance(part, Table) else None


def _figures(table: Table) -> tuple[int, list[tuple[str, ...]]]:
    """Rows without their names, in any order: scenarios without a plan are sorted by name."""
    return len(table.rows), sorted(tuple(row[table.names :]) for row in table.rows)


@pytest.mark.parametrize(
    ("write", "sections"),
    [
        (report_folder.write, {"pressure", "speed", "inside"}),
        (moving_folder.write, {"moving", "fetching"}),
        (websocket_folder.write, {"websockets"}),
    ],
)
def test_a_renamed_folder_reports_the_same(
    tmp_path: Path, write: Callable[[Path], Path], sections: set[str]
) -> None:
    """Each scenario, load and stack has its place in the report by what its columns say."""
    before = write(tmp_path / "before")
    found = _shape(before)
    assert sections <= found["sections"].keys()
    assert _shape(_renamed(before, tmp_path / "after")) == found


def test_a_renamed_yardstick_is_never_the_reference(tmp_path: Path) -> None:
    """It is known by its column; the reference is the first of the others."""
    after = folders.load(_renamed(report_folder.write(tmp_path / "before"), tmp_path / "after"))
    summaries = summarise(after)
    assert (summaries.reference, summaries.yardstick) == ("s0", "s1")
