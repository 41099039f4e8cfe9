"""A results folder with a row for every section of the report, each figure known beforehand.

Three Rounds: the centre is the value of the second. Round one has half of it
and Round three twice, so that the spread is ±100 %. quart-hypercorn differs by
a factor whose logarithms are -0.01, 0 and 0.01 off over the Rounds, so that a
ratio r has the interval r * exp(±4.302653 * 0.01 / sqrt(3)): 2.5 % to each side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loopbench.results import schema
from loopbench.results.schema import Row, Value
from tests.results.examples import folders

STACKS = ("aiohttp", "asyncio", "quart-hypercorn")
ROUNDS = (1, 2, 3)
WOBBLE = {1: math.exp(-0.01), 2: 1.0, 3: math.exp(0.01)}

LOOP = "asyncio.unix_events._UnixSelectorEventLoop"


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a scenario: what was offered, and by stack the figures of the second Round.

    steady: columns that are the same in every Round.
    """

    offered: Row
    figures: Mapping[str, Row]
    steady: Row = field(default_factory=dict)


def _closed(users: int) -> Row:
    return {"load_model": "closed", "users": users}


def _open(rate: float) -> Row:
    return {"load_model": "open", "users": 64, "arrival_rate_rps": rate}


def _of(metrics: Mapping[str, tuple[float | None, float | None, float | None]]) -> dict[str, Row]:
    """By stack, from columns of aiohttp, quart-hypercorn and asyncio."""
    places = {"aiohttp": 0, "quart-hypercorn": 1, "asyncio": 2}
    return {
        stack: {
            name: values[place] for name, values in metrics.items() if values[place] is not None
        }
        for stack, place in places.items()
        if any(values[place] is not None for values in metrics.values())
    }


SCENARIOS: dict[str, dict[str, Load]] = {
    "async-32": {
        "main": Load(
            _closed(32),
            _of(
                {
                    "throughput_rps": (2000.0, 500.0, 16000.0),
                    "cpu_us_per_request": (200.0, 1000.0, 25.0),
                    "before_handler_mean_ms": (4.0, 16.0, 0.5),
                    "in_handler_mean_ms": (0.5, 1.0, 0.25),
                    "after_handler_mean_ms": (1.5, 3.0, 0.25),
                    "loop_delay_p50_ms": (1.0, 3.0, 0.5),
                    "loop_delay_p99_ms": (2.0, 8.0, 1.0),
                    "loop_delay_max_ms": (4.0, 16.0, 2.0),
                    "loop_utilisation": (0.25, 0.5, 0.125),
                    "loop_longest_stretch_ms": (5.0, 20.0, 2.5),
                }
            ),
        )
    },
    "sync-32": {
        "main": Load(
            _closed(32),
            _of(
                {
                    "throughput_rps": (1000.0, 250.0, None),
                    "cpu_us_per_request": (400.0, 1500.0, None),
                    "before_handler_mean_ms": (1.0, 10.0, None),
                    "in_handler_mean_ms": (0.25, 0.5, None),
                    "after_handler_mean_ms": (0.75, 1.5, None),
                    "executor_wait_mean_ms": (0.5, 2.0, None),
                    "executor_wait_p99_ms": (3.0, 9.0, None),
                    "executor_wait_max_ms": (6.0, 18.0, None),
                }
            ),
            {"executor_threads_max": 6, "executor_queue_max": 26},
        )
    },
    "waiting-1000": {
        "main": Load(_closed(1000), _of({"throughput_rps": (2000.0, 1000.0, 2000.0)})),
    },
    "open-low": {
        "main": Load(
            _open(1000.0),
            _of(
                {
                    "throughput_rps": (1000.0, 1000.0, 1000.0),
                    "response_time_p99_ms": (3.0, 12.0, None),
                }
            ),
        )
    },
    **{
        f"neighbour-{name}": {
            "canary": Load(
                _open(500.0),
                _of(
                    {
                        "response_time_p50_ms": (p50, 2 * p50, None),
                        "response_time_p99_ms": (p99, 2 * p99, None),
                        "response_time_max_ms": (most, 2 * most, None),
                    }
                ),
            ),
            **(
                {}
                if name == "none"
                else {
                    "neighbour": Load(
                        _open(10.0),
                        _of({"throughput_rps": (10.0, 10.0, None)}),
                        {"handler_time_p50_ms": 50.0},
                    )
                }
            ),
        }
        for name, p50, p99, most in (
            ("none", 1.0, 2.0, 4.0),
            ("sleep-blocking", 10.0, 100.0, 110.0),
            ("burn-async", 20.0, 80.0, 90.0),
            ("burn-sync", 5.0, 30.0, 40.0),
        )
    },
    **{
        f"cliff-{users}": {
            "main": Load(
                _closed(users),
                {"aiohttp": {}, "quart-hypercorn": {}},
                {
                    "throughput_rps": rate,
                    "executor_wait_p50_ms": wait,
                    "executor_threads_max": threads,
                    "executor_queue_max": queue,
                },
            )
        }
        for users, rate, wait, threads, queue in (
            (4, 80.0, 0.1, 4, 0),
            (8, 120.0, 17.0, 6, 2),
            (16, 120.0, 93.0, 6, 10),
        )
    },
    "churn": {
        "main": Load(
            _closed(8),
            _of({"throughput_rps": (800.0, 400.0, None)}),
            {
                "rss_start_bytes": 40_000_000,
                "rss_end_bytes": 45_000_000,
                "rss_after_bytes": 42_500_000,
                "descriptors_start": 10,
                "descriptors_end": 18,
                "descriptors_after": 10,
            },
        )
    },
    "idle-1000": {
        "main": Load(_closed(8), _of({"throughput_rps": (600.0, 300.0, None)})),
        "idle": Load({"load_model": "idle", "users": 1000}, {"aiohttp": {}, "quart-hypercorn": {}}),
    },
}

HELD: dict[str, Row] = {
    "aiohttp": {
        "rss_start_bytes": 40_000_000,
        "rss_end_bytes": 48_064_000,
        "rss_after_bytes": 41_500_000,
        "descriptors_start": 10,
        "descriptors_end": 1018,
        "descriptors_after": 10,
    },
    "quart-hypercorn": {
        "rss_start_bytes": 45_000_000,
        "rss_end_bytes": 70_200_000,
        "rss_after_bytes": 70_250_000,
        "descriptors_start": 12,
        "descriptors_end": 1020,
        "descriptors_after": 1020,
    },
}
"""Of idle-1000: 1,008 connections cost 8,064,000 and 25,200,000 bytes, 8 and 25 kB each."""

LIVES: dict[str, Row] = {
    "aiohttp": {"start_ms": 300.0, "first_answer_ms": 301.0, "stop_ms": 50.0, "exit_code": 0},
    "asyncio": {"start_ms": 100.0, "first_answer_ms": 101.0, "stop_ms": 20.0, "exit_code": 0},
    "quart-hypercorn": {
        "start_ms": 400.0,
        "first_answer_ms": 402.0,
        "stop_ms": 80.0,
        "exit_code": 0,
    },
}

KILLED = "01.quart-hypercorn.churn"
"""This Run did not stop: its server was killed after 5,000 ms."""

TIMES_US = {1000: 50, 2000: 40, 4000: 9, 8000: 1}
"""Response times of aiohttp in Round one of async-32, by count. quart-hypercorn takes four times
as long; Round two takes twice, Round three four times as long as Round one."""

ENVIRONMENT: dict[str, object] = {
    "schema_version": 1,
    "command": ["python", "-m", "loadtests", "bench", "--out", "there", "--rounds", "3"],
    "seed": 7,
    "machine": {"system": "Linux", "release": "6.1", "cpu_model": "Example CPU", "cpus": 2},
    "python": {"version": "3.12.1"},
    "stacks": {
        stack: {
            "framework": framework,
            "server": server,
            "packages": packages,
            "loop": {"class": LOOP},
            "in_force": {"backlog": 2048, "keep_alive_s": keep_alive},
        }
        for stack, framework, server, packages, keep_alive in (
            ("aiohttp", "aiohttp", "aiohttp", {"aiohttp": "3.14.5"}, 75.0),
            ("quart-hypercorn", "Quart", "Hypercorn", {"quart": "0.22.0"}, 75.0),
            ("asyncio", "none", "asyncio.Protocol", {"httptools": "0.9"}, None),
        )
    },
}

PLAN: dict[str, object] = {
    "schema_version": 1,
    "stacks": list(STACKS),
    "scenarios": list(SCENARIOS),
    "rounds": 3,
    "duration_s": 1.5,
    "warmup_s": 0.5,
}


def run_rows() -> Iterator[Row]:
    """The rows of runs.csv."""
    for number in ROUNDS:
        for scenario, loads in SCENARIOS.items():
            for stack in STACKS:
                for name, load in loads.items():
                    if stack in load.figures:
                        yield _run_row(number, scenario, stack, name, load)


def _run_row(number: int, scenario: str, stack: str, name: str, load: Load) -> Row:
    wobble = WOBBLE[number] if stack == "quart-hypercorn" else 1.0
    ended: Row = {"killed": False}
    if f"{number:02d}.{stack}.{scenario}" == KILLED:
        ended = {"stop_ms": 5000.0, "killed": True, "exit_code": -9, "warnings": "stop-killed"}
    return {
        **folders.run_row(number, stack, scenario, load=name, failures=0, loop_class=LOOP),
        **load.offered,
        **folders.in_round(number, load.figures[stack], wobble),
        **load.steady,
        **(HELD[stack] if scenario == "idle-1000" else {}),
        **LIVES[stack],
        **ended,
    }


def histogram_rows() -> Iterator[Row]:
    """Response times of async-32, and a quantity that the report does not draw."""
    for number in ROUNDS:
        for stack, slower in (("aiohttp", 1), ("quart-hypercorn", 4)):
            run_id = f"{number:02d}.{stack}.async-32"
            for upper, count in TIMES_US.items():
                scaled: Value = upper * slower * 2 ** (number - 1)
                row: Row = {"run_id": run_id, "load": "main", "upper_us": scaled, "count": count}
                yield {**row, "quantity": "response_time"}
                yield {**row, "quantity": "warmup_service_time", "upper_us": 999_999}


def observation_rows() -> Iterator[Row]:
    """In every Round: the async route on the loop, the sync route in two threads."""
    for number in ROUNDS:
        for stack in ("aiohttp", "quart-hypercorn"):
            run_id = f"{number:02d}.{stack}"
            common: Row = {"pid": 100 + number, "is_main_thread": True, "is_loop_thread": True}
            yield {
                **common,
                "run_id": f"{run_id}.async-32",
                "route": "async",
                "thread": "MainThread",
                "loop_class": LOOP,
                "loop_number": 1,
                "requests": 1000,
                "share": 1.0,
            }
            for thread in range(2):
                yield {
                    "run_id": f"{run_id}.sync-32",
                    "route": "sync",
                    "pid": 200 + number,
                    "thread": f"asyncio_{thread}",
                    "is_main_thread": False,
                    "is_loop_thread": False,
                    "requests": 300 + 100 * thread,
                    "share": 0.5,
                }


def thread_rows() -> Iterator[Row]:
    """Of aiohttp in sync-32: the main thread, and two worker threads."""
    for number in ROUNDS:
        run_id = f"{number:02d}.aiohttp.sync-32"
        yield {"run_id": run_id, "thread": "MainThread", "cpu_ms": 900.0, "run_queue_ms": 30.0}
        for thread in range(2):
            name = f"asyncio_{thread}"
            yield {"run_id": run_id, "thread": name, "cpu_ms": 70.0 + thread, "run_queue_ms": 4.0}


def timeline_rows() -> Iterator[Row]:
    """Of aiohttp in async-32: in Round two its second second is a stall."""
    for number in ROUNDS:
        for second in range(10):
            stall = number == 2 and second == 1
            yield {
                "run_id": f"{number:02d}.aiohttp.async-32",
                "load": "main",
                "from_s": float(second),
                "to_s": second + 1.0,
                "throughput_rps": 40.0 if stall else 2000.0,
                "response_time_p99_ms": 950.0 if stall else 4.0,
                "failures": 0,
            }


def failure_rows() -> Iterator[Row]:
    """One reason."""
    yield {
        "run_id": "02.quart-hypercorn.open-low",
        "load": "main",
        "reason": "no answer in time",
        "count": 12,
        "example": "after 2,000 ms",
    }


FILLED = {
    schema.RUNS: run_rows,
    schema.HISTOGRAMS: histogram_rows,
    schema.OBSERVATIONS: observation_rows,
    schema.THREADS: thread_rows,
    schema.TIMELINE: timeline_rows,
    schema.FAILURES: failure_rows,
}


def write(folder: Path) -> Path:
    """Write the folder; returns it."""
    rows = {table: made() for table, made in FILLED.items()}
    empty = set(schema.TABLES) - set(rows)
    return folders.write(folder, rows, empty=empty, environment=ENVIRONMENT, plan=PLAN)
