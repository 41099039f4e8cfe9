"""`python -m results pack`: a smaller folder that reads as before."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.errors import ResultsError
from loopbench.results.folder import compress, datapackage
from loopbench.results.folder.distributions import distributions
from loopbench.results.folder.tables import Problem
from loopbench.results.report import markdown
from loopbench.results.schema import HISTOGRAMS
from tests.forked import Program
from tests.results.examples import report_folder
from tests.results.report.reports import made


def test_a_packed_folder_makes_the_same_report(tmp_path: Path) -> None:
    """The table's bytes come back, equal tables make equal files, and the package is valid."""
    folder = report_folder.write(tmp_path / "known")
    table = (folder / HISTOGRAMS.filename).read_bytes()
    before = markdown.render(made(folder))
    packed = compress.pack(folder)
    assert gzip.decompress(packed.read_bytes()) == table
    assert not (folder / HISTOGRAMS.filename).exists()
    assert markdown.render(made(folder)) == before
    # In a process of its own: it leaves compressed files open.
    checked = subprocess.run(
        [sys.executable, "-m", "frictionless", "validate", "--json", datapackage.FILE],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(checked.stdout)
    assert report["valid"]
    assert packed.name in [task["place"] for task in report["tasks"]]

    again = report_folder.write(tmp_path / "again")
    assert compress.pack(again).read_bytes() == packed.read_bytes()
    with pytest.raises(ResultsError, match="is compressed already"):
        compress.pack(again)
    (again / packed.name).unlink()
    with pytest.raises(ResultsError, match="nothing to compress"):
        compress.pack(again)


def test_a_packed_table_that_is_damaged_is_left_out_with_one_line(
    tmp_path: Path, results: Program
) -> None:
    """Cut off in the middle or in its last bytes, altered, or no gzip file at all: the report is
    written, has none of its distributions, and says which file to copy again."""
    folder = report_folder.write(tmp_path / "known")
    packed = compress.pack(folder)
    whole = packed.read_bytes()
    half = len(whole) // 2
    altered = whole[:half] + bytes(8) + whole[half + 8 :]
    for damaged in (whole[:half], whole[:-5], altered, b"run_id,load\n"):
        packed.write_bytes(damaged)
        done = results.run("report", str(folder))
        assert done.status == 0, done.err
        text = (folder / "report.md").read_text(encoding="utf-8")
        (line,) = (line for line in text.splitlines() if packed.name in line and "cut off" in line)
        assert "every distribution is left out; copy the file again" in line
        problems: list[Problem] = []
        assert distributions(folder, problems) == {}
        assert [problem.file for problem in problems] == [packed.name]
