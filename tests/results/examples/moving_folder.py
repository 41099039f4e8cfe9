"""A results folder about streams, uploads, large answers and handlers that fetch.

As in `report_folder`, Round one has half of the second's times and rates, and Round three twice,
so that the centre is the second's. Memory is the same in every Round.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loopbench.results.schema import RUNS, TABLES, Row
from tests.results.examples import folders, report_folder
from tests.results.examples.folders import MB

STACKS = {"aiohttp": 1.0, "quart-hypercorn": 4.0}
"""How many times as long each takes as the figures below say."""


def _times(rate: float, last_ms: float, **more: float) -> dict[str, float]:
    return {
        "throughput_rps": rate,
        "service_time_p50_ms": last_ms,
        "service_time_p99_ms": 2 * last_ms,
        "response_time_p50_ms": last_ms,
        "response_time_p99_ms": 2 * last_ms,
        **more,
    }


def _first(p50_us: float) -> dict[str, float]:
    return {"first_byte_p50_us": p50_us, "first_byte_p99_us": 3 * p50_us}


TIMES: dict[str, dict[str, float]] = {
    "json-1k": _times(4000.0, 1.0, cpu_us_per_request=200.0, loop_longest_stretch_ms=2.0),
    "json-1m": _times(
        10.0,
        100.0,
        cpu_us_per_request=51_200.0,
        loop_longest_stretch_ms=64.0,
        loop_delay_p99_ms=32.0,
        handler_time_p50_ms=48.0,
    ),
    "stream-100k": _times(1000.0, 4.0, **_first(500.0)),
    "stream-stuck": _times(500.0, 8.0, **_first(1000.0)),
    "upload-1k": _times(2000.0, 2.0, cpu_us_per_request=100.0),
    "upload-64m": _times(4.0, 250.0, cpu_us_per_request=65_536.0, loop_longest_stretch_ms=5.0),
    "fetch-gather-1": _times(1000.0, 1.0, cpu_us_per_request=300.0),
    "fetch-gather-10": _times(400.0, 2.0, cpu_us_per_request=1200.0),
    "fetch-gather-50": _times(100.0, 8.0, cpu_us_per_request=7650.0),
    "fetch-threads-10": _times(50.0, 16.0, cpu_us_per_request=2000.0),
}
"""By scenario what changes from Round to Round. A rate is divided where a time is multiplied."""

STEADY: dict[str, Row] = {
    "json-1k": {"answer_body_bytes": 1024},
    "json-1m": {"answer_body_bytes": 1_048_576},
    "stream-100k": {
        "answer_body_bytes": 102_400, "rss_start_bytes": 50 * MB, "rss_end_bytes": 51 * MB,
    },
    "stream-stuck": {
        "answer_body_bytes": 102_400, "rss_start_bytes": 50 * MB, "rss_end_bytes": 60 * MB,
        "rss_after_bytes": 54 * MB,
    },
    "upload-1k": {"request_body_bytes": 1024},
    "upload-64m": {
        "request_body_bytes": 67_108_864, "rss_start_bytes": 50 * MB, "rss_peak_bytes": 58 * MB,
    },
    "fetch-gather-10": {"upstream_cpu_utilisation": 0.25},
}  # fmt: skip

SLOW = "stream-stuck"
READERS = 50


def run_rows() -> Iterator[Row]:
    """A row a Round, scenario and stack; and one of the slow readers."""
    for number in folders.BY_ROUND:
        for stack in STACKS:
            for scenario in TIMES:
                yield _row(number, stack, scenario)
                if scenario == SLOW:
                    yield {
                        **_row(number, stack, scenario),
                        **dict.fromkeys(TIMES[scenario]),
                        "load": "slow",
                        "load_model": "slow",
                        "users": READERS,
                        "answer_body_bytes": 8_388_608,
                        "requests": 0,
                        "throughput_rps": 0.0,
                    }


def _row(number: int, stack: str, scenario: str) -> Row:
    slower = STACKS[stack]
    figures = {
        name: value / slower if name == "throughput_rps" else value * slower
        for name, value in TIMES[scenario].items()
    }
    return {
        **folders.run_row(number, stack, scenario, load_model="closed", users=4, failures=0),
        **folders.in_round(number, figures),
        **STEADY.get(scenario, {}),
    }


def write(folder: Path) -> Path:
    """Write the folder; returns it."""
    empty = set(TABLES) - {RUNS, *report_folder.FILLED}
    environment = report_folder.ENVIRONMENT
    return folders.write(folder, {RUNS: run_rows()}, empty=empty, environment=environment)
