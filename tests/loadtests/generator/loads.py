"""Loads for the generator's tests, and what its reports say about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.generator import At
from loopbench.loadtests.messages.reports import Buckets, PhaseReport, Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.rows.histogram import Histogram, from_pairs
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.table import Closed, Load, Open
from tests.loadtests.generator.counting import Counting, case

SEED = 5
WARMUP_S = 0.1
MEASURED_S = 0.2


def spec(server: Counting, *loads: Load, **changes: Any) -> SessionSpec:
    return spec_at(server.host, server.port, *loads, **changes)


def spec_at(host: str, port: int, *loads: Load, **changes: Any) -> SessionSpec:
    plain = SessionSpec(
        host=host,
        port=port,
        loads=loads,
        warmup_s=WARMUP_S,
        measured_s=MEASURED_S,
        drain_s=5.0,
        timeout_s=30.0,
        seed=SEED,
    )
    return replace(plain, **changes)


def offer(
    generator: Generator,
    server: Counting,
    *loads: Load,
    at: At | None = None,
    give_up: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Report:
    asked = spec(server, *loads, **changes)
    return generator.load(asked, bound_s=30.0, at=at or {}, give_up=give_up)


def closed(path: str, users: int, ramp_s: float = 0.0, name: str = "main") -> Load:
    return Load(name, case(path), Closed(users, ramp_s))


def opened(path: str, rate_rps: float, connections: int, name: str = "main") -> Load:
    return Load(name, case(path), Open(rate_rps, connections))


def phase_of(report: Report, phase: str, name: str = "main") -> PhaseReport[Buckets]:
    """The phase `warmup` or `measured` of a load."""
    found: PhaseReport[Buckets] = getattr(report.loads[name], phase)
    return found


def histogram(report: Report, quantity: str, phase: str, name: str = "main") -> Histogram:
    return from_pairs(getattr(phase_of(report, phase, name).times, quantity) or ())


def failures(report: Report, phase: str, name: str = "main") -> dict[str, int]:
    told = phase_of(report, phase, name).failures
    return {failure.reason: failure.count for failure in told}


def begun(report: Report, phase: str, name: str = "main") -> int:
    """How many requests of a phase began, however they ended."""
    answered = histogram(report, "service_time", phase, name).count
    return answered + sum(failures(report, phase, name).values())


def arrivals(rate_rps: float, warmup_s: float, measured_s: float) -> tuple[int, int]:
    """How many arrivals the seed gives to the lead-in and to the window."""
    drawn = Arrivals(rate_rps, int((warmup_s + measured_s) * 1e9), f"{SEED}/main")
    found = []
    while (due := drawn.take()) is not None:
        found.append(due)
    inside = sum(due >= int(warmup_s * 1e9) for due in found)
    return len(found) - inside, inside
