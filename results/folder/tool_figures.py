"""Figures of other load tools: what their files hold, in one form, as far as they go."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL = "all requests"
_MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of figures; None: the file does not have it.

    requests: with those that failed. failures: what the tool takes for one.
    rps: of all requests. The rest are response times, ms.
    """

    requests: int | None
    failures: int | None
    rps: float | None
    mean_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class ToolFile:
    """What a file of another tool holds. by_name: each of its requests, and ALL together."""

    path: Path
    tool: str
    by_name: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class Reader:
    """How files of a tool are read.

    wants: which of its files, for whoever has another. failures: what it takes for one.
    times: between which instants its times lie, and how exact they are.
    read: from the text of a file; raises ValueError or LookupError where it is not that file.
    """

    wants: str
    failures: str
    times: str
    read: Callable[[str], Mapping[str, Figures]]


def figures(path: Path, tool: str) -> ToolFile | None:
    """The figures of a file; None where it has none, or is too large to be such a file.

    Raises KeyError for a tool that is not in READERS.
    """
    reader = READERS[tool]
    if path.stat().st_size > _MOST_BYTES:
        return None
    try:
        by_name = reader.read(path.read_text(encoding="utf-8", errors="replace"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return ToolFile(path, tool, by_name) if by_name else None


def _number(value: object) -> float | None:
    """A finite number, or None for what is none, such as Locust's N/A."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _locust(text: str) -> Mapping[str, Figures]:
    """`--csv NAME`, the file NAME_stats.csv."""
    by_name = {}
    for row in csv.DictReader(io.StringIO(text)):
        name = f"{row['Type']} {row['Name']}".strip() if row["Type"] else row["Name"]
        by_name[ALL if name == "Aggregated" else name] = Figures(
            int(row["Request Count"]),
            int(row["Failure Count"]),
            _number(row["Requests/s"]),
            _number(row["Average Response Time"]),
            *(_number(row[quantile]) for quantile in ("50%", "90%", "95%", "99%")),
        )
    return by_name


def _k6(text: str) -> Mapping[str, Figures]:
    """`--summary-export`, whose values stand in the metric, or the object of `handleSummary`, where
    they stand one deeper."""
    metrics: dict[str, Any] = json.loads(text)["metrics"]

    def values(name: str) -> Mapping[str, Any]:
        metric = metrics.get(name, {})
        deeper: Mapping[str, Any] = metric.get("values", metric)
        return deeper

    requests, times, failed = map(values, ("http_reqs", "http_req_duration", "http_req_failed"))
    count, share = int(requests["count"]), _number(failed.get("value", failed.get("rate")))
    return {
        ALL: Figures(
            count,
            None if share is None else round(share * count),
            _number(requests["rate"]),
            _number(times.get("avg")),
            _number(times.get("med", times.get("p(50)"))),
            *(_number(times.get(quantile)) for quantile in ("p(90)", "p(95)", "p(99)")),
        )
    }


_AT_THE_END = "aborted due to deadline"
"""oha's word for requests under way when its time is over, which are no failures."""


def _oha(text: str) -> Mapping[str, Figures]:
    """`--output-format json`. Its times are in seconds."""
    document: dict[str, Any] = json.loads(text)
    summary, codes = document["summary"], document["statusCodeDistribution"]
    times = document.get("latencyPercentiles", {})
    errors = sum(n for why, n in document["errorDistribution"].items() if why != _AT_THE_END)
    refused = sum(count for code, count in codes.items() if int(code) >= 400)
    in_s = (summary.get("average"), *(times.get(name) for name in ("p50", "p90", "p95", "p99")))
    in_ms = (None if time_s is None else time_s * 1000 for time_s in map(_number, in_s))
    requests = sum(codes.values()) + errors
    return {ALL: Figures(requests, errors + refused, _number(summary["requestsPerSec"]), *in_ms)}


_TIME = r"([\d.]+)(us|ms|s|m|h)"
_IN_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}


def _wrk(text: str) -> Mapping[str, Figures]:
    """What it prints, with `--latency` for more than the mean; wrk2's, too."""

    def count(pattern: str) -> int:
        match = re.search(pattern, text, re.MULTILINE)
        return sum(map(int, match.groups())) if match else 0

    def in_ms(pattern: str) -> float | None:
        match = re.search(pattern + _TIME, text, re.MULTILINE)
        return float(match[1]) * _IN_MS[match[2]] if match else None

    requests = re.search(r"^\s*(\d+) requests in ", text, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.MULTILINE)
    if requests is None or rate is None:
        raise ValueError("it did not end")
    errors = r"^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"
    failures = count(r"^\s*Non-2xx or 3xx responses: (\d+)") + count(errors)
    quantiles = (in_ms(rf"^\s*{share}(?:\.0+)?%\s+") for share in (50, 90, 95, 99))
    mean = in_ms(r"^\s*Latency\s+")
    return {ALL: Figures(int(requests[1]), failures, float(rate[1]), mean, *quantiles)}


READERS: Mapping[str, Reader] = {
    "Locust": Reader(
        "the file NAME_stats.csv of its --csv NAME",
        "a status from 400 on, an error of the connection, or what the locustfile calls one",
        "from the call of its client to the whole answer, quantiles in whole milliseconds, of two "
        "digits from 100 ms on",
        _locust,
    ),
    "wrk": Reader(
        "what it prints, with --latency",
        "a status from 400 on, or an error or time-out of the connection",
        "from the send to the whole answer",
        _wrk,
    ),
    "oha": Reader(
        "the file of its --output-format json",
        "a status from 400 on, or an error of the connection",
        "from the send to the whole answer, a new connection included",
        _oha,
    ),
    "k6": Reader(
        "the file of its --summary-export, or the object of handleSummary() as JSON",
        "a status from 400 on, or what setResponseCallback() calls one",
        "sending, waiting and receiving, without the connection",
        _k6,
    ),
}


def pairs(first: ToolFile, second: ToolFile) -> Iterator[tuple[str, Figures, Figures]]:
    """The lines that both files have, by their names."""
    for name, figures_ in first.by_name.items():
        if name in second.by_name:
            yield name, figures_, second.by_name[name]
