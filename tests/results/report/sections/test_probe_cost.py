"""The report says what the probe costs, where that was counted."""

from __future__ import annotations

import shutil
from pathlib import Path

from loopbench.results.folder import folder
from loopbench.results.report import write
from loopbench.results.schema import PROBE_COST, Row
from loopbench.results.stats.summaries import summary
from tests.conftest import ROOT
from tests.results.examples.folders import put

ROWS: list[Row] = [
    {
        "stack": "aiohttp",
        "requests": 1000,
        "repeats": 3,
        "off_instructions": 200000.0,
        "on_instructions": 203000.0,
        "spread": 0.0025,
        "share": 0.015,
        "beat_instructions": 50000.0,
        "resting_share": -0.0012,
    }
]


def test_the_cost_is_in_the_report_where_it_was_counted(tmp_path: Path) -> None:
    """Its share stands in the report of a folder that has the rows, and only there."""
    reference = ROOT / "results" / "reference"
    target = tmp_path / "run"
    target.mkdir()
    for name in ("runs.csv", "observations.csv", "plan.json"):
        shutil.copy(reference / name, target / name)
    for rows, said in (([], False), (ROWS, True)):
        if rows:
            put(target, PROBE_COST, rows)
        loaded = folder.load(target)
        write.write(loaded, summary.summarise(loaded), formats=("md",))
        text = (target / "report.md").read_text(encoding="utf-8")
        assert ("What the probe costs" in text) is said
        assert ("| +1.50% | -0.12% |" in text) is said
