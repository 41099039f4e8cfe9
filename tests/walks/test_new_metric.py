"""A new metric touches three files from the probe to the report. It is really measured."""

from __future__ import annotations

import csv
from pathlib import Path

from loopbench.results.schema import RUNS, SUMMARY
from loopbench.results.schema.files import open_text
from tests.walks.scratch import Scratch

PROBE = "servers/probe/event_loop.py"
ROWS, SCHEMA = "loadtests/rows/probe_rows.py", "results/schema/tables/measured.py"

COLUMN = """    count(
        "beats_watched", "beats of the probe's timer in the window", heading="beats watched"
    ),
"""


def test_a_metric_is_a_reading_a_cell_and_a_column(tmp_path: Path) -> None:
    """It stands in runs.csv, in summary.csv and in the report."""
    scratch = Scratch(tmp_path / "tree")
    scratch.put(PROBE, "    tasks_max: Annotated[", "    beats_watched: Annotated[int, SUM]\n")
    scratch.put(PROBE, "            tasks_max=None", "            beats_watched=self._beats,\n")
    scratch.put(ROWS, '        "tasks_max": loop', '        "beats_watched": loop.beats_watched,\n')
    scratch.put(SCHEMA, '    count(\n        "tasks_max"', COLUMN)
    assert scratch.edited == {PROBE, ROWS, SCHEMA}
    folder = scratch.bench("async-1")
    with open_text(folder / RUNS.filename) as handle:
        (row,) = csv.DictReader(handle)
    assert int(row["beats_watched"]) > 0
    scratch.run("results", "show", "run")
    with open_text(folder / SUMMARY.filename) as handle:
        lines = [line for line in csv.DictReader(handle) if line["metric"] == "beats_watched"]
    assert [float(line["centre"]) for line in lines] == [float(row["beats_watched"])]
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "| beats watched |" in report
