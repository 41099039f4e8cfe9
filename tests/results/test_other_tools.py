"""Files of other load tools are refused by their names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.folder.other_tools import tool_of
from tests.conftest import ROOT

LOCUST = "Type,Name,Request Count,Failure Count,Median Response Time\nGET,/,10,0,3\n"
WRK = "Running 10s test @ http://127.0.0.1:8080/\n  2 threads and 32 connections\n"
FILES = (
    ("Locust", LOCUST),
    ("Locust", "Timestamp,User Count,Type,Name,Requests/s\n1700000000,10,,Aggregated,0.0\n"),
    ("Locust", "Method,Name,Error,Occurrences\nGET,/,500,3\n"),
    ("Locust", "Count,Message,Traceback,Nodes\n"),
    ("wrk", WRK),
    ("wrk", "$ wrk -t2 -c32 http://127.0.0.1:8080/\n" + WRK),
    ("k6", '{\n  "root_group": {},\n  "metrics": {\n    "http_reqs": {"count": 10}\n  }\n}\n'),
    ("k6", '{"type":"Metric","data":{"name":"vus","type":"gauge"},"metric":"vus"}\n'),
    ("k6", "metric_name,timestamp,metric_value,check,error\nhttp_reqs,1700000000,1.0,,\n"),
    ("oha", '{\n  "summary": {\n    "successRate": 1.0\n  }\n}\n'),
    ("oha", "Summary:\n  Success rate:\t100.00%\n  Total:\t10.0012 secs\n"),
    ("ApacheBench", "This is ApacheBench, Version 2.3\nBenchmarking 127.0.0.1\n"),
    ("hey", "\nSummary:\n  Total:\t0.5 secs\n"),
)


@pytest.mark.parametrize(("tool", "text"), FILES)
def test_a_file_is_known_by_what_it_begins_with(tmp_path: Path, tool: str, text: str) -> None:
    """And by nothing else: its name says nothing."""
    file = tmp_path / "file"
    file.write_text(text)
    assert tool_of(file) == tool


def test_other_files_are_nobodys(tmp_path: Path) -> None:
    """Nor is a folder, or what is not there."""
    (tmp_path / "file").write_text("run_id,stack\n")
    assert [tool_of(tmp_path / name) for name in ("file", "", "absent")] == [None, None, None]


def test_compare_names_the_tool_and_what_to_do(tmp_path: Path) -> None:
    """As wrong usage, in one line."""
    file = tmp_path / "stats.csv"
    file.write_text(LOCUST)
    command = [sys.executable, "-m", "results", "compare", str(file), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file} is Locust's: it has one figure of each kind")
    assert done.stderr.count("\n") == 1
