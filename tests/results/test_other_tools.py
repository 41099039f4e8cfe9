"""Files of other load tools are refused by their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.folder.other_tools import tool_of
from tests.conftest import ROOT

FILES = {
    "Locust": "Type,Name,Request Count,Failure Count,Median Response Time\nGET,/,10,0,3\n",
    "wrk": "Running 10s test @ http://127.0.0.1:8080/\n  2 threads and 32 connections\n",
    "k6": '{\n  "root_group": {},\n  "metrics": {\n    "http_reqs": {"count": 10}\n  }\n}\n',
    "oha": '{\n  "summary": {\n    "successRate": 1.0\n  }\n}\n',
    "ApacheBench": "This is ApacheBench, Version 2.3\nBenchmarking 127.0.0.1\n",
    "hey": "\nSummary:\n  Total:\t0.5 secs\n",
}


@pytest.mark.parametrize("tool", FILES)
def test_a_file_is_known_by_what_it_begins_with(tmp_path: Path, tool: str) -> None:
    """And by nothing else: its name says nothing."""
    file = tmp_path / "file"
    file.write_text(FILES[tool])
    assert tool_of(file) == tool


def test_other_files_are_nobodys(tmp_path: Path) -> None:
    """Nor is a folder, or what is not there."""
    (tmp_path / "file").write_text("run_id,stack\n")
    assert [tool_of(tmp_path / name) for name in ("file", "", "absent")] == [None, None, None]


def test_compare_names_the_tool_and_what_to_do(tmp_path: Path) -> None:
    """As wrong usage, in one line."""
    file = tmp_path / "stats.csv"
    file.write_text(FILES["Locust"])
    command = [sys.executable, "-m", "results", "compare", str(file), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file} is Locust's: it has one figure of each kind")
    assert done.stderr.count("\n") == 1
