"""Files of other load tools, known by what they begin with: named, and not read as runs."""

from __future__ import annotations

import re
from pathlib import Path

from loopbench.results.folder.tool_figures import READERS

_BEGIN_BYTES = 65536

_KNOWN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Locust", re.compile(r"^\"?(Type\"?,\"?Name\"?,\"?Request Count|Timestamp\"?,\"?User Count)")),
    ("Locust", re.compile(r"^(Method,Name,Error,Occurrences|Count,Message,Traceback,Nodes)")),
    ("wrk", re.compile(r"^Running \S+ test @ ", re.M)),
    ("k6", re.compile(r'^\{.*"(http_req_duration|http_reqs)"|^\{"type":"(Metric|Point)"', re.S)),
    ("k6", re.compile(r"^metric_name,timestamp,metric_value,")),
    ("oha", re.compile(r'^\{.*"(successRate|responseTimeHistogram)"', re.S)),
    ("oha", re.compile(r"^\s*Summary:\s+Success rate:\s")),
    ("ApacheBench", re.compile(r"^This is ApacheBench")),
    ("hey", re.compile(r"^\s*Summary:\s+Total:\s")),
)
"""Locust: the four files of its `--csv`. wrk, ApacheBench, hey: what they print, where a shell's
line may stand above wrk's. k6: the summary and the points as JSON, and the points as CSV. oha: what
it prints, and `--output-format json`."""


def tool_of(file: Path) -> str | None:
    """The tool that wrote a file; None for any other file, and what cannot be read."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(_BEGIN_BYTES).decode(errors="replace")
    except OSError:
        return None
    return next((tool for tool, known in _KNOWN if known.search(begin)), None)


def refusal(file: Path, tool: str) -> str:
    """Why such a file is no run, and what to do instead."""
    return (
        f"{file} is {tool}'s: it has one figure of each kind, without Rounds to take an interval "
        "from and without a check of every answer, so it is no run; measure by `bench`, or "
        f"compare two files of tools with each other ({_wanted(tool)})"
    )


def _wanted(tool: str) -> str:
    reader = READERS.get(tool)
    if reader is None:
        return f"of {', '.join(READERS)}"
    return f"of {tool}, {reader.wants}"
