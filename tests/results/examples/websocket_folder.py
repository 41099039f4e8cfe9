"""A results folder of WebSocket and broadcast loads, each figure known beforehand.

Three Rounds: the centre is the value of the second; Round one has half of a time or rate, Round
three twice of it. Bytes and counts are the same in every Round.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from loopbench.results.schema import FAILURES, RUNS, Row
from tests.results.examples import folders
from tests.results.examples.folders import MB

STACKS = ("aiohttp", "quart-hypercorn")

_START = {"rss_start_bytes": 40 * MB}

LOADS: Mapping[str, tuple[str, int, tuple[Row, Row]]] = {
    "ws-echo-500": (
        "echo",
        500,
        (
            {
                "throughput_rps": 20_000.0,
                "service_time_p50_ms": 4.0,
                "service_time_p99_ms": 8.0,
                "cpu_us_per_request": 20.0,
                "rss_end_bytes": 50 * MB,
                "rss_after_bytes": 41 * MB,
            },
            {
                "throughput_rps": 5_000.0,
                "service_time_p50_ms": 40.0,
                "service_time_p99_ms": 80.0,
                "cpu_us_per_request": 100.0,
                "rss_end_bytes": 60 * MB,
                "rss_after_bytes": 58 * MB,
            },
        ),
    ),
    "ws-connect": (
        "echo",
        32,
        (
            {"throughput_rps": 2_000.0, "connections_rps": 2_000.0, "service_time_p50_ms": 1.0},
            {"throughput_rps": 1_000.0, "connections_rps": 1_000.0, "service_time_p50_ms": 2.0},
        ),
    ),
    "ws-push": (
        "pushed",
        100,
        (
            {"service_time_p50_ms": 1.0, "deliveries_owed": 30_000, "deliveries_lost": 0},
            {"service_time_p50_ms": 3.0, "deliveries_owed": 30_000, "deliveries_lost": 4},
        ),
    ),
    "feed-even": (
        "broadcast",
        50,
        (
            {
                "service_time_p50_ms": 1.0,
                "service_time_p99_ms": 4.0,
                "last_delivery_p50_ms": 2.0,
                "last_delivery_p99_ms": 6.0,
                "deliveries_owed": 29_400,
                "deliveries_lost": 0,
                "receivers_dropped": 0,
                "rss_end_bytes": 41 * MB,
                "rss_peak_bytes": 42 * MB,
            },
            {"service_time_p50_ms": 2.0, "deliveries_owed": 29_400, "deliveries_lost": 0},
        ),
    ),
    "feed-slow": (
        "broadcast",
        51,
        (
            {
                "service_time_p50_ms": 1.5,
                "service_time_p99_ms": 8.0,
                "last_delivery_p50_ms": 3.0,
                "last_delivery_p99_ms": 12.0,
                "deliveries_owed": 29_400,
                "deliveries_lost": 7,
                "receivers_dropped": 1,
                "rss_end_bytes": 43 * MB,
                "rss_peak_bytes": 63 * MB,
            },
            {"service_time_p50_ms": 2.0, "deliveries_owed": 29_400, "deliveries_lost": 0},
        ),
    ),
}
"""By scenario: load model, users, and the figures of aiohttp and of quart-hypercorn."""


def run_rows() -> Iterator[Row]:
    for number in folders.BY_ROUND:
        for scenario, (model, users, by_stack) in LOADS.items():
            for stack, figures in zip(STACKS, by_stack, strict=True):
                yield {
                    **folders.run_row(number, stack, scenario, load_model=model, users=users),
                    **(_START if "rss_end_bytes" in figures else {}),
                    **folders.in_round(number, figures),
                }


def write(folder: Path) -> Path:
    """Write the folder; returns it."""
    plan = {"scenarios": list(LOADS), "stacks": list(STACKS), "rounds": len(folders.BY_ROUND)}
    rows = {RUNS: run_rows()}
    return folders.write(folder, rows, empty=[FAILURES], plan=plan, environment={})
