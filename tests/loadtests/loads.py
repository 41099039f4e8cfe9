"""Loads for the generator's tests, and what its reports say about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.rows.histogram import Histogram, from_buckets
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.table import Closed, Load, Open, load_to_json
from tests.loadtests.counting import Counting, case

SEED = 5
WARMUP_S = 0.1
MEASURED_S = 0.2


def command(server: Counting, *loads: Load, **changes: Any) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "loads": [load_to_json(load) for load in loads],
        "warmup_s": WARMUP_S,
        "measured_s": MEASURED_S,
        "drain_s": 5.0,
        "timeout_s": 30.0,
        "seed": SEED,
        **changes,
    }


def offer(
    generator: Generator,
    server: Counting,
    *loads: Load,
    at: dict[str, Callable[[], None]] | None = None,
    give_up: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> dict[str, Any]:
    asked = command(server, *loads, **changes)
    return generator.load(asked, bound_s=30.0, at=at or {}, give_up=give_up)


def closed(path: str, users: int, ramp_s: float = 0.0, name: str = "main") -> Load:
    return Load(name, case(path), Closed(users, ramp_s))


def opened(path: str, rate_rps: float, connections: int, name: str = "main") -> Load:
    return Load(name, case(path), Open(rate_rps, connections))


def histogram(report: dict[str, Any], quantity: str, phase: str, name: str = "main") -> Histogram:
    pairs = report["loads"][name][phase]["histograms"].get(quantity, [])
    return from_buckets(dict(map(tuple, pairs)))


def failures(report: dict[str, Any], phase: str, name: str = "main") -> dict[str, int]:
    told = report["loads"][name][phase]["failures"]
    return {reason: count for reason, count, _ in told}


def begun(report: dict[str, Any], phase: str, name: str = "main") -> int:
    """How many requests of a phase began, however they ended."""
    answered = histogram(report, "service", phase, name).count
    return answered + sum(failures(report, phase, name).values())


def arrivals(rate_rps: float, warmup_s: float, measured_s: float) -> tuple[int, int]:
    """How many arrivals the seed gives to the lead-in and to the window."""
    drawn = Arrivals(rate_rps, int((warmup_s + measured_s) * 1e9), f"{SEED}/main")
    found = []
    while (due := drawn.take()) is not None:
        found.append(due)
    inside = sum(due >= int(warmup_s * 1e9) for due in found)
    return len(found) - inside, inside
