"""A load on a watched server, with what the harness read of it and the rows that came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.messages.reports import Buckets, PhaseReport, Report
from loopbench.loadtests.observe.observer import Observed, Observer
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import RunRows, rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Scenario
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.promises import keeps
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.loadtests.generator.loads import spec_at
from tests.servers.choices import KINDS, stacks
from tests.servers.processes import eventually, held_up_s

WARMUP_S = 0.2
MEASURED_S = 0.3
OWN = {"warmup_s": WARMUP_S, "measured_s": MEASURED_S, "seed": 3}
THREADS = 4
PARTS = ("before_handler_mean_ms", "in_handler_mean_ms", "after_handler_mean_ms")

EACH_KIND = pytest.fixture(
    scope="module", params=stacks(n for n in KINDS if "async" in keeps(STACKS[n]))
)
"""Makes a fixture of each kind of stack that has an asynchronous route."""


@contextmanager
def watched(stack: str) -> Iterator[ServerProcess]:
    """A server with a probe. Hypercorn holds a connection that its client has closed for as long
    as an idle one may stay, which is short here."""
    settings = Settings(probe=True, executor_threads=THREADS, keep_alive_s=1.0)
    with server_process(stack, settings=settings) as running:
        yield running


def closed(name: str, users: int, *, load: str = "main", **model: Any) -> Load:
    return Load(load, CASES[name], Closed(users, **model))


def scenario(*loads: Load, **changes: Any) -> Scenario:
    return Scenario("made-up", "nothing", loads, **changes)


def planned(stack: str) -> PlannedRun:
    return PlannedRun(f"01.{stack}.made-up", 1, 1, stack, "made-up")


@dataclass(frozen=True, slots=True)
class Seen:
    """One load, with what was read and the rows that came of it.

    held_up_s: by how much harness, server and generator may have been late meanwhile.
    """

    report: Report
    observed: Observed
    rows: RunRows
    held_up_s: float

    def run(self, load: str = "main") -> dict[str, Any]:
        (row,) = [row for row in self.rows.runs if row["load"] == load]
        return dict(row)

    @property
    def late_ms(self) -> float:
        """By how much the mean of a part of a request may be off, of a closed loop alone: whatever
        holds up one of the processes holds up the requests of all users at most."""
        measured, users = self.measured(), self.report.loads["main"].users
        return 1e3 * self.held_up_s * (users or 0) / measured.begun

    def measured(self, load: str = "main") -> PhaseReport[Buckets]:
        return self.report.loads[load].measured


def unconnected(server: ServerProcess) -> bool:
    """Whether the server holds no connection any more, not even one that its client has closed."""
    held = psutil.Process(server.pid).net_connections("tcp")
    return {one.status for one in held} <= {psutil.CONN_LISTEN}


def observe(
    server: ServerProcess, generator: Generator, *loads: Load, later: bool = False, **changes: Any
) -> Seen:
    pids = (os.getpid(), server.pid, generator.pid)
    before_s = sum(map(held_up_s, pids))
    observer = Observer(server, probe=True)
    observer.begin()
    report = generator.load(
        spec_at(server.host, server.port, *loads, **{**OWN, **changes}),
        bound_s=30.0,
        at=observer.at,
        give_up=lambda: False,
    )
    observer.end(report, loads)
    held_up = sum(map(held_up_s, pids)) - before_s
    if later:
        assert eventually(lambda: unconnected(server))
        observer.later()
    result = RunResult(
        planned(server.stack.name),
        scenario(*loads),
        "2024-05-06T07:08:09.010+00:00",
        (),
        report=report,
        observed=observer.observed,
    )
    return Seen(report, observer.observed, rows_of(result), held_up)


def undisturbed(
    server: ServerProcess, generator: Generator, load: Load, *, below_ms: float
) -> Seen:
    """As `observe`, a few times more where the client saw that the machine held the requests up.
    A busy machine may do so every time, which `late_ms` allows for."""
    for _ in range(3):
        seen = observe(server, generator, load)
        if seen.run()["service_time_mean_ms"] < below_ms:
            break
    return seen


def check_parts(seen: Seen, load: str = "main") -> list[float]:
    """The three parts, which are there, positive, and add up to the mean service time."""
    row, measured = seen.run(load), seen.measured(load)
    parts = [float(row[name]) for name in PARTS]
    assert min(parts) > 0, parts
    mean_ms = measured.service_sum_ns / measured.begun / 1e6
    assert sum(parts) == pytest.approx(mean_ms, rel=1e-9)
    assert sum(parts) == pytest.approx(row["service_time_mean_ms"], rel=0.002, abs=0.0006)
    return parts
