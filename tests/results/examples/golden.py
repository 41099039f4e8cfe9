"""A results folder whose every figure is known beforehand.

Each table below was chosen so that centres, intervals and ratios can be worked
out on paper; the tests state what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from loopbench.results.schema import FAILURES, RUNS, TABLES, Row, Value
from tests.results.examples import folders

ROUNDS = 5
STACKS = ("aiohttp", "asyncio", "quart-hypercorn")
SCENARIOS = ("async-32", "plain-32", "open-low", "neighbour")

THROUGHPUT = (1000.0, 1010.0, 1020.0, 1030.0, 10.0)
"""Of aiohttp in async-32: the fifth Round is a bad one."""

QUARTERS = tuple(0.25 * math.exp(step) for step in (-0.02, -0.01, 0.0, 0.01, 0.02))
"""quart-hypercorn over aiohttp there, a Round."""

EQUAL = tuple(math.exp(step) for step in (-0.01, 0.03, 0.0, 0.01, -0.03))
"""quart-hypercorn over aiohttp where they cannot be told apart."""

Columns = dict[str, tuple[Value, ...]]


def _times(factors: tuple[float, ...], by: float | tuple[float, ...]) -> tuple[float, ...]:
    others = by if isinstance(by, tuple) else (by,) * len(factors)
    return tuple(factor * other for factor, other in zip(factors, others, strict=True))


def _same(value: Value) -> tuple[Value, ...]:
    return (value,) * ROUNDS


CLOSED: dict[str, Columns] = {
    "aiohttp": {
        "throughput_rps": THROUGHPUT,
        "service_time_p50_ms": (1.0, 1.1, 1.2, 1.3, 9.0),
        "service_time_p99_ms": (2.0, 2.1, 2.2, 2.3, 20.0),
        "cpu_us_per_request": (30.0, 31.0, 32.0, 33.0, 34.0),
    },
    "asyncio": {
        "throughput_rps": _same(4000.0),
        "service_time_p50_ms": _same(0.25),
        "service_time_p99_ms": _same(0.5),
        "cpu_us_per_request": _same(8.0),
    },
    "quart-hypercorn": {
        "throughput_rps": _times(QUARTERS, THROUGHPUT),
        "service_time_p50_ms": (4.0, 4.4, 4.8, 5.2, 36.0),
        "service_time_p99_ms": (8.0, 8.4, 8.8, 9.2, 80.0),
        "cpu_us_per_request": (240.0, 248.0, 256.0, 264.0, 272.0),
    },
}

PLAIN: dict[str, Columns] = {
    "aiohttp": {"throughput_rps": _same(3700.0)},
    "asyncio": {"throughput_rps": _same(4000.0)},
    "quart-hypercorn": {"throughput_rps": (300.0, 300.0, None, None, None)},
}

OPEN: dict[str, Columns] = {
    "aiohttp": {
        "throughput_rps": _same(1000.0),
        "response_time_p50_ms": (0.5, 0.5, 0.5, 0.5, 0.5),
        "response_time_p99_ms": (1.0, 1.2, 1.1, 1.0, 1.2),
    },
    "asyncio": {"throughput_rps": _same(1000.0), "response_time_p50_ms": _same(0.1)},
    "quart-hypercorn": {
        "throughput_rps": _same(1000.0),
        "response_time_p50_ms": _times(EQUAL, 0.5),
        "response_time_p99_ms": (3.0, 3.6, 3.3, 3.0, 3.6),
    },
}

NEIGHBOUR: dict[str, Columns] = {
    "aiohttp": {"response_time_p50_ms": _same(1.0), "response_time_p99_ms": _same(51.0)},
    "asyncio": {"response_time_p50_ms": _same(1.0), "response_time_p99_ms": _same(50.0)},
    "quart-hypercorn": {"response_time_p50_ms": _same(2.0), "response_time_p99_ms": _same(53.0)},
}

LOADS: tuple[tuple[str, str, Row, dict[str, Columns]], ...] = (
    ("async-32", "main", {"load_model": "closed", "users": 32}, CLOSED),
    ("plain-32", "main", {"load_model": "closed", "users": 32}, PLAIN),
    ("open-low", "main", {"load_model": "open", "users": 128, "arrival_rate_rps": 1000.0}, OPEN),
    (
        "neighbour",
        "canary",
        {"load_model": "open", "users": 64, "arrival_rate_rps": 500.0},
        NEIGHBOUR,
    ),
    (
        "neighbour",
        "heavy",
        {
            "load_model": "open",
            "users": 64,
            "arrival_rate_rps": 10.0,
            "load_role": "burden",
        },
        NEIGHBOUR,
    ),
)

WARNINGS = {
    (2, "quart-hypercorn", "open-low"): "generator-lag;failures",
    (3, "quart-hypercorn", "plain-32"): "server-not-ready",
    (4, "quart-hypercorn", "plain-32"): "server-not-ready",
    (5, "quart-hypercorn", "plain-32"): "server-not-ready",
}

ENVIRONMENT: dict[str, object] = {
    "schema_version": 1,
    "command": ["python", "-m", "loadtests", "bench"],
    "seed": 7,
    "suite": {"commit": "0123abcd", "changed": False},
    "machine": {"system": "Linux", "release": "6.1", "cpu_model": "Example CPU", "cpus": 2},
    "python": {"version": "3.12.1", "implementation": "CPython"},
    "packages": {"locust": "2.47.0"},
    "stacks": {
        "aiohttp": {"packages": {"aiohttp": "3.14.5"}, "loop": {"debug": False}},
        "quart-hypercorn": {"packages": {"quart": "0.22.0"}, "loop": {"debug": False}},
        "asyncio": {"packages": {}, "loop": {"debug": False}},
    },
}

PLAN: dict[str, object] = {
    "schema_version": 1,
    "stacks": list(STACKS),
    "scenarios": list(SCENARIOS),
    "rounds": ROUNDS,
    "seed": 7,
    "duration_s": 1.8,
    "warmup_s": 0.6,
    "runs": ROUNDS * len(STACKS) * len(SCENARIOS),
}


def run_rows(rounds: int = ROUNDS) -> Iterator[Row]:
    """The rows of runs.csv up to a Round."""
    for number in range(1, rounds + 1):
        for place, stack in enumerate(STACKS):
            for scenario, load, offered, columns in LOADS:
                values = {name: row[number - 1] for name, row in columns[stack].items()}
                measured = values.get("throughput_rps", 1.0) is not None
                yield {
                    **folders.run_row(number, stack, scenario, load=load, **offered),
                    **values,
                    "position": (number - 1) * 12 + place * 4 + SCENARIOS.index(scenario) + 1,
                    "started_at": f"2026-01-02T03:{number:02d}:{place:02d}+00:00",
                    "requests": 2000 if measured else None,
                    "warnings": WARNINGS.get((number, stack, scenario)),
                }


FAILURE_ROWS: tuple[Row, ...] = (
    {
        "run_id": "02.quart-hypercorn.open-low",
        "load": "main",
        "reason": "no answer in time",
        "count": 12,
        "example": "[bold]waited[/bold] 2 s\nand \x1b[31mleft",
    },
)


def write(folder: Path, rounds: int = ROUNDS) -> Path:
    """Write the folder, with every table that a bench writes; returns it."""
    rows = {RUNS: run_rows(rounds), FAILURES: FAILURE_ROWS}
    return folders.write(
        folder, rows, empty=set(TABLES) - set(rows), environment=ENVIRONMENT, plan=PLAN
    )
