"""One trial: an open loop at one rate to a live server, and how many of its requests were slow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from loopbench.loadtests.capacity.objective import Objective
from loopbench.loadtests.capacity.taken import Instant
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.reports import Failure, LoadReport, Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.models import Closed, Load, Open
from loopbench.results.schema import Row
from loopbench.results.schema.tables.capacity import Taker
from loopbench.results.schema.warnings import GENERATOR_CPU_LIMIT, GENERATOR_LAG_LIMIT_MS
from loopbench.results.stats.queueing.queues import (
    ONE_THREAD,
    Queue,
    Span,
    Window,
    service_spans,
)
from loopbench.results.stats.queueing.rate_limit import Trial
from loopbench.servers.contract.http import Case

CONNECTIONS = 100
"""The most requests under way at once; an arrival that finds none free waits, and is charged. They
stay open from trial to trial. Where each trial opened its own, what Quart on Hypercorn kept of
those before, for its keep-alive time of 75 s, made its garbage collector stop it for 50 to 140 ms
in every third to sixth trial of 800 requests a second: a cost of reconnecting, and not of the rate.
"""

LEAD_IN_S = 0.2
WINDOW_S = 1.0
LIMITS = 5
"""A window is at least so many limits long, a lead-in at least one."""

LEAST_ARRIVALS = 300
"""In a window; at a low rate it is longer."""

LONGEST_WINDOW_S = 10.0
DRAIN_S = 3.0
PROBE_USERS, PROBE_S = 32, 0.4
_NAME = "main"


class Target(Protocol):
    """A live server that can be asked."""

    @property
    def host(self) -> str:
        """Its address."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def pids(self) -> tuple[int, ...]:
        """Its processes."""

    @property
    def alive(self) -> bool:
        """Whether it still runs."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial. cells: of its row in trials.csv; services: of its rows in
    trial_services.csv. limited: the generator was in the
    way, so that `trial` says nothing of the server. full: since it had no CPU left."""

    trial: Trial
    cells: Row
    services: tuple[Row, ...]
    limited: bool
    full: bool


@dataclass(frozen=True, slots=True)
class ClosedRate:
    """Right answers a second to users that wait for their answers: near the most there is.

    limited: the generator had no CPU left for more, so that it may be less than the server can.
    failures: of the window, and of what was before it where no answer was right.
    """

    rate_rps: float
    limited: bool
    failures: tuple[Failure, ...] = ()


def closed_rate(server: Target, case: Case, generator: Generator, seed: int) -> ClosedRate:
    """What a closed loop of PROBE_USERS users reaches."""
    load = Load(_NAME, case, Closed(PROBE_USERS))
    report = _loaded(server, load, generator, LEAD_IN_S, PROBE_S, seed)
    of_load = report.loads[_NAME]
    before = () if of_load.completed else of_load.warmup.failures
    return ClosedRate(
        of_load.completed / report.measured_s,
        report.cpu_s / report.measured_s >= GENERATOR_CPU_LIMIT,
        tuple(of_load.measured.failures) or tuple(before),
    )


def offer(
    server: Target,
    case: Case,
    rate_rps: float,
    objective: Objective,
    generator: Generator,
    seed: int,
    cpus: Sequence[int] = (),
) -> Tried:
    """Offer a rate, and count the requests that the objective calls slow: also those that failed,
    and those that the server left waiting until the end. cpus: those of the server alone. Raises
    GeneratorDied, HarnessError."""
    lead_in_s = max(LEAD_IN_S, objective.limit_ms / 1e3)
    least_s = max(WINDOW_S, LIMITS * objective.limit_ms / 1e3, LEAST_ARRIVALS / rate_rps)
    window_s = min(least_s, LONGEST_WINDOW_S)
    load = Load(_NAME, case, Open(rate_rps, CONNECTIONS))
    before = Instant.read(server.pids, cpus)
    report = _loaded(server, load, generator, lead_in_s, window_s, seed)
    taken = Instant.read(server.pids, cpus).taken_since(before)
    tried = _tried(report, rate_rps, lead_in_s, window_s, objective, seed)
    shares = {taker.value: taken.get(taker) for taker in Taker}
    trial = replace(tried.trial, taken=taken)
    return replace(tried, trial=trial, cells={**tried.cells, **shares})


def _loaded(
    server: Target, load: Load, generator: Generator, lead_in_s: float, window_s: float, seed: int
) -> Report:
    spec = SessionSpec(
        host=server.host,
        port=server.port,
        loads=(load,),
        warmup_s=lead_in_s,
        measured_s=window_s,
        drain_s=DRAIN_S,
        timeout_s=DRAIN_S,
        seed=seed,
        keeps_connections=True,
    )
    return generator.load(
        spec, bound_s=lead_in_s + window_s + 2 * DRAIN_S, at={}, give_up=lambda: not server.alive
    )


def arrivals(rate_rps: float, lead_in_s: float, window_s: float, seed: int) -> list[float]:
    """When they were due, in seconds of the load: drawn again, as the generator drew them."""
    schedule = Arrivals(rate_rps, int(lead_in_s * 1e9) + int(window_s * 1e9), f"{seed}/{_NAME}")
    times_s = []
    while (due := schedule.take()) is not None:
        times_s.append(due / 1e9)
    return times_s


def _tried(
    report: Report,
    rate_rps: float,
    lead_in_s: float,
    window_s: float,
    objective: Objective,
    seed: int,
) -> Tried:
    load: LoadReport[tuple[tuple[int, int], ...]] = report.loads[_NAME]
    times = from_pairs(load.measured.times.response_time or ())
    lags = from_pairs(report.generator_lag)
    due = np.array(arrivals(rate_rps, lead_in_s, window_s, seed))
    offered = int((due >= lead_in_s).sum())

    def late(limit_s: float) -> int:
        """Of the requests offered, whatever became of them."""
        held = sum(count for highest_us, count in times.pairs() if highest_us <= limit_s * 1e6)
        return max(0, offered - held)

    window = Window(objective.limit_ms / 1e3, lead_in_s, window_s)
    slow = late(window.limit_s)
    spans = service_spans(due, window, late)
    alone = spans[ONE_THREAD]
    cpu = report.cpu_s / report.measured_s
    lag_ms = lags.percentile_us(99.0) / 1e3 if lags.count else None
    full = cpu >= GENERATOR_CPU_LIMIT
    limited = full or (lag_ms or 0.0) >= GENERATOR_LAG_LIMIT_MS
    trial = Trial(rate_rps, offered, slow, spans, window)
    seconds = {
        f"response_time_p{percent}_ms": times.percentile_us(percent) / 1e3 if times.count else None
        for percent in (50, 99)
    }
    return Tried(
        trial,
        {
            "arrival_rate_rps": rate_rps,
            "limit_ms": objective.limit_ms,
            "allowed_share": objective.share,
            "lead_in_s": lead_in_s,
            "seconds": window_s,
            "offered": offered,
            "slow": slow,
            "failures": load.measured.failed,
            "service_least_us": alone.least_s * 1e6 if slow else None,
            "service_most_us": alone.most_s * 1e6 if math.isfinite(alone.most_s) else None,
            **seconds,
            "generator_cpu_utilisation": cpu,
            "generator_lag_p99_ms": lag_ms,
            "generator_limited": limited,
        },
        tuple(services(spans)),
        limited,
        full,
    )


def services(spans: Mapping[Queue, Span]) -> Iterator[Row]:
    """Cells of trial_services.csv: what a trial tells of each kind of queue."""
    for queue, span in spans.items():
        yield {
            "threads": queue.threads,
            "variation": queue.variation,
            "wait_share": queue.wait,
            "service_least_us": span.least_s * 1e6 or None,
            "service_most_us": span.most_s * 1e6 if math.isfinite(span.most_s) else None,
            "luck": span.luck,
        }
