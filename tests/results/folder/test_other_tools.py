"""Files of other load tools are read as far as they go, or refused by their names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.folder.other_tools import tool_of
from loopbench.results.folder.tool_figures import ALL, READERS, Figures, figures
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


def compared(*files: Path, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "results", "compare", *map(str, files), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_compare_names_the_tool_and_what_to_do(tmp_path: Path) -> None:
    """As wrong usage, in one line, where the file has no figures, or the other one is a run."""
    file = tmp_path / "failures.csv"
    file.write_text("Method,Name,Error,Occurrences\nGET,/,500,3\n")
    done = compared(file, file)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file} is Locust's: it has one figure of each kind")
    assert "compare two files of tools with each other (of Locust, the file NAME_st" in done.stderr
    assert done.stderr.count("\n") == 1
    stats = tmp_path / "stats.csv"
    stats.write_text(STATS)
    done = compared(stats, ROOT / "results" / "reference" / "bench")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {stats} is Locust's: it has one figure of each kind")


STATS = (
    "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,"
    "Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,"
    "80%,90%,95%,98%,99%,99.9%,99.99%,100%\n"
    "GET,/hello,154,0,3,5.308,0.321,24.295,18.0,154.855,0.0,3,7,8,9,12,15,20,22,24,24,24\n"
    "GET,/missing,54,54,7,6.967,0.628,37.904,14.0,54.3,54.3,7,8,11,11,12,12,22,38,38,38,38\n"
    "GET,/never,0,0,0,0,0,0,0,0.0,0.0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\n"
    ",Aggregated,208,54,4,5.738,0.321,37.904,16.96,209.155,54.3,4,7,8,10,12,14,22,22,38,38,38\n"
)
"""As Locust 2.47.0 wrote it of a load of one second, with fewer digits, and a line of a request
that was never made."""

WRK_LATENCY = """Running 10s test @ http://127.0.0.1:8080/
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.44ms  706.00us  12.92ms   68.59%
    Req/Sec     2.11k   212.65     3.44k    72.73%
  Latency Distribution
     50%  635.00us
     75%    1.85ms
     90%    2.42ms
     99%    1.02s
  30000 requests in 10.01s, 1.41MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec:   2997.00
Transfer/sec:    144.32KB
"""

OHA = """{"summary": {"successRate": 1.0, "total": 2.0, "slowest": 0.5, "fastest": 0.001,
"average": 0.002, "requestsPerSec": 50.5, "totalData": 1300, "sizePerRequest": 13,
"sizePerSec": 650.0}, "responseTimeHistogram": {"0.001": 100},
"latencyPercentiles": {"p10": 0.0005, "p50": 0.001, "p90": 0.003, "p95": 0.004, "p99": null},
"statusCodeDistribution": {"200": 97, "500": 3},
"errorDistribution": {"connection closed": 1, "aborted due to deadline": 8}}"""

K6_EXPORT = """{"root_group": {"name": ""}, "metrics": {
"http_reqs": {"count": 1587, "rate": 528.4},
"http_req_failed": {"passes": 23, "fails": 1564, "value": 0.014492753623188406},
"http_req_duration": {"avg": 3.7, "min": 1.4, "med": 3.4, "max": 20.9, "p(90)": 5.1, "p(95)": 7.3}
}}"""

K6_SUMMARY = """{"metrics": {
"http_reqs": {"type": "counter", "contains": "default", "values": {"count": 1587, "rate": 528.4}},
"http_req_failed": {"type": "rate", "values": {"rate": 0.014492753623188406, "passes": 23}},
"http_req_duration": {"type": "trend", "values": {"avg": 3.7, "med": 3.4, "p(90)": 5.1,
"p(95)": 7.3}}
}, "state": {"testRunDurationMs": 3000}}"""

READ = (
    ("Locust", STATS, "GET /missing", Figures(54, 54, 54.3, 6.967, 7, 12, 12, 38)),
    ("Locust", STATS, "GET /never", Figures(0, 0, 0.0, 0.0, None, None, None, None)),
    ("Locust", STATS, ALL, Figures(208, 54, 209.155, 5.738, 4, 12, 14, 22)),
    ("wrk", WRK_LATENCY, ALL, Figures(30000, 17, 2997.0, 1.44, 0.635, 2.42, None, 1020.0)),
    ("oha", OHA, ALL, Figures(101, 4, 50.5, 2.0, 1.0, 3.0, 4.0, None)),
    ("k6", K6_EXPORT, ALL, Figures(1587, 23, 528.4, 3.7, 3.4, 5.1, 7.3, None)),
    ("k6", K6_SUMMARY, ALL, Figures(1587, 23, 528.4, 3.7, 3.4, 5.1, 7.3, None)),
)


@pytest.mark.parametrize(("tool", "text", "name", "expected"), READ)
def test_the_figures_of_a_file_are_read(
    tmp_path: Path, tool: str, text: str, name: str, expected: Figures
) -> None:
    """What it does not have is missing, and no zero."""
    file = tmp_path / "file"
    file.write_text(text)
    assert tool_of(file) == tool
    read = figures(file, tool)
    assert read is not None
    assert read.by_name[name] == expected


@pytest.mark.parametrize(("tool", "text"), [one for one in FILES if one[0] in READERS])
def test_a_file_without_figures_has_none(tmp_path: Path, tool: str, text: str) -> None:
    """One that ends early, or holds something else of the tool."""
    file = tmp_path / "file"
    file.write_text(text)
    assert figures(file, tool) is None


def test_two_files_of_a_tool_are_compared_as_far_as_they_go(tmp_path: Path) -> None:
    """Side by side, with ratios and no verdict, and what cannot be compared."""
    first, second = tmp_path / "a_stats.csv", tmp_path / "b_stats.csv"
    first.write_text(STATS)
    second.write_text(STATS.replace("209.155", "418.31").replace("/missing", "/other"))
    done = compared(first, second)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"first:  {first} (Locust)", f"second: {second} (Locust)"]
    block = lines[lines.index(ALL) :]
    assert block[1:5] == [
        "                       first        second     ratio",
        "  requests               208           208         –",
        "  failures                54            54         –",
        "  requests/s           209.2         418.3        2x",
    ]
    told = lines[lines.index("What cannot be compared:") + 1 :]
    assert told[0].startswith("- Whether a ratio is more than chance: each file has one figure of")
    assert "- Only in the first: GET /missing." in told
    assert "- Only in the second: GET /other." in told
    assert compared(first, second, options=("--json",)).returncode == 2


def test_no_ratio_is_made_of_two_tools(tmp_path: Path) -> None:
    """Their clients offer other loads, and take their times elsewhere; both are said."""
    first, second = tmp_path / "wrk.txt", tmp_path / "oha.json"
    first.write_text(WRK_LATENCY)
    second.write_text(OHA)
    done = compared(first, second)
    assert done.returncode == 0, done.stderr
    assert "  requests/s           2,997          50.5         –" in done.stdout.splitlines()
    assert not re.search(r"\dx$", done.stdout, re.MULTILINE)
    assert "Rates and times of two tools, so that no ratio is made: another client" in done.stdout
    assert "of wrk: from the send to the whole answer; of oha: from the send" in done.stdout


def test_two_files_without_a_common_request_are_refused(tmp_path: Path) -> None:
    """In one line."""
    first, second = tmp_path / "a_stats.csv", tmp_path / "b_stats.csv"
    header, hello, *_ = STATS.splitlines(keepends=True)
    first.write_text(header + hello)
    second.write_text(header + hello.replace("/hello", "/other"))
    done = compared(first, second)
    assert (done.returncode, done.stderr) == (
        1,
        "error: the two files have no request in common\n",
    )
