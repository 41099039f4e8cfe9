"""A new scenario touches one file, and has its place in the report. It is really run."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.schema import RUNS, read_table
from tests.walks.scratch import Scratch

TABLE = "loadtests/scenarios/table.py"

ROW = """    Scenario(
        "guest-in-the-house",
        "how late an innocent request is beside a guest who blocks the loop",
        (
            Load("host", CASES["async"], Open(100.0, 8)),
            Load(
                "guest",
                CASES["sleep-blocking-50"],
                Open(5.0, 8),
                role=Role.BURDEN,
                work=Work.WAIT,
                work_ms=50,
            ),
        ),
        yardstick=False,
        family=Family.NEIGHBOURS,
    ),
"""


def test_a_scenario_is_one_row(tmp_path: Path) -> None:
    """The report knows by its columns that it is about neighbours, and which load suffers."""
    scratch = Scratch(tmp_path / "tree")
    scratch.put(TABLE, "    *sockets(),\n)\n", ROW)
    assert scratch.edited == {TABLE}
    folder = scratch.bench("guest-in-the-house")
    rows = {row["load"]: row for row in read_table(folder, RUNS)}
    assert {load: row["load_role"] for load, row in rows.items()} == {
        "host": "measured",
        "guest": "burden",
    }
    assert rows["guest"]["dispatch"] == "blocking"
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "*Neighbours: innocent requests beside busy ones.*" in report
    assert "| guest-in-the-house | aiohttp |" in report
    assert "One call that blocks the loop for 50 ms" in report
