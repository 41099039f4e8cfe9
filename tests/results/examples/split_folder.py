"""A results folder of stacks that differ in one trait each, its differences known on paper.

Three Rounds. The second has the figures below, the first half and the third
twice of them, so that differences within a Round are half, once and twice
those of the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loopbench.results.schema import COUNTS, RUNS, Row, Table
from tests.results.examples import folders

ASYNCIO, UVLOOP = "asyncio.unix_events._UnixSelectorEventLoop", "uvloop.Loop"

STACKS: Mapping[str, tuple[str, str, str | None]] = {
    "bare-h": ("ASGI", "Hyper", ASYNCIO),
    "full-h": ("Quart", "Hyper", ASYNCIO),
    "full-h-fast": ("Quart", "Hyper", UVLOOP),
    "full-u": ("Quart", "uni/h11", ASYNCIO),
    "full-u-c": ("Quart", "uni/httptools", ASYNCIO),
    "own": ("aiohttp", "aiohttp", ASYNCIO),
    "threads": ("Flask", "uni/h11", None),
}
"""Framework, server and class of the loop."""

CPU_US = {
    "bare-h": 100.0,
    "full-h": 250.0,
    "full-h-fast": 200.0,
    "full-u": 300.0,
    "full-u-c": 180.0,
    "own": 30.0,
    "threads": 150.0,
}

INSTRUCTIONS = {"bare-h": 800_000.0, "full-h": 1_600_000.0, "full-h-fast": 1_500_000.0}
SPREAD = 0.0001


def write(folder: Path, stacks: Mapping[str, tuple[str, str, str | None]] = STACKS) -> Path:
    """The folder with these stacks alone; counts.csv where one of them was counted."""
    facts = {
        name: {"stack": name, "framework": framework, "server": server, "loop": {"class": loop}}
        for name, (framework, server, loop) in stacks.items()
    }
    rows: dict[Table, list[Row]] = {
        RUNS: [_run(n, stack) for n in folders.BY_ROUND for stack in stacks]
    }
    counted = [_count(stack) for stack in stacks if stack in INSTRUCTIONS]
    return folders.write(
        folder, rows | ({COUNTS: counted} if counted else {}), environment={"stacks": facts}
    )


def _run(number: int, stack: str) -> Row:
    offered: Row = {"load_model": "closed", "users": 32, "throughput_rps": 1000.0}
    cpu = folders.in_round(number, {"cpu_us_per_request": CPU_US[stack]})
    return folders.run_row(number, stack, "async-32", **offered, **cpu)


def _count(stack: str) -> Row:
    return {
        "stack": stack,
        "case": "async",
        "requests": 500,
        "repeats": 3,
        "instructions": INSTRUCTIONS[stack],
        "spread": SPREAD,
    }
