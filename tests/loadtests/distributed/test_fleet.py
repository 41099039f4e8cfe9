"""A master with its workers as real processes, against a server that counts."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from loopbench.loadtests.distributed.fleet import Fleet, FleetGenerator, fleet_process
from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.messages.generator import (
    At,
    GeneratorEvent,
    SecondPassed,
    WindowClosed,
    WindowOpened,
)
from loopbench.loadtests.messages.reports import Report
from loopbench.results.schema import WORKERS, TableWriter, read_table
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import begun, closed, failures, histogram, opened, spec
from tests.servers.processes import BOUND_S, descendants, eventually, held_up_s, running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: reads /proc")
NOTED: list[str] = []


@contextmanager
def fleet(workers: int, log: Path | None = None) -> Iterator[FleetGenerator]:
    with fleet_process(Fleet(workers), cpus=[None] * workers, log=log, say=NOTED.append) as made:
        yield made


@pytest.fixture(scope="module")
def pair() -> Iterator[FleetGenerator]:
    """Two workers for the tests that leave them alive."""
    with fleet(2) as made:
        yield made


def offer(
    generator: FleetGenerator,
    server: Counting,
    *loads: Any,
    at: At | None = None,
    give_up: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Report:
    asked = spec(server, *loads, **changes)
    return generator.load(asked, bound_s=60.0, at=at or {}, give_up=give_up)


def workers_of(generator: FleetGenerator) -> list[int]:
    return [worker.pid for worker in generator.await_workers(BOUND_S)]


def held_up_below_s() -> float:
    """By how much this process and all those below it, master and workers, have been held up."""
    return sum(held_up_s(pid) for pid in (os.getpid(), *descendants()))


def test_two_workers_share_a_load(pair: FleetGenerator, server: Counting) -> None:
    """Every request that the server counted is in the merged report, and in the workers' rows;
    all connections are there, and the events come in order."""
    seen: list[type[GeneratorEvent]] = []
    kinds = (WindowOpened, SecondPassed, WindowClosed)
    at: At = {kind: partial(seen.append, kind) for kind in kinds}
    report = offer(pair, server, closed("/now", 7), at=at, measured_s=1.5)
    assert seen == [*kinds]
    told = report.loads["main"]
    assert told.users == 7
    assert begun(report, "warmup") + begun(report, "measured") == server.total
    assert histogram(report, "service_time", "measured").count > 100
    rows = report.workers
    assert [(row.worker, row.users) for row in rows] == [(1, 4), (2, 3)]
    assert sum(row.requests or 0 for row in rows) == begun(report, "measured")
    assert len({row.pid for row in rows}) == 2
    assert report.fleet is not None
    assert report.fleet.busiest_cpu == max(row.cpu_utilisation or 0.0 for row in rows)
    assert report.fleet.worst_lag_p99_ms == max(row.lag_p99_ms or 0.0 for row in rows)
    assert report.fleet.one_clock is True
    for row in rows:
        assert row.gone is None and (row.report_bytes or 0) > 100
        assert row.clock == "kernel"
        assert row.offset_ms == 0.0 and (row.offset_bound_ms or 0.0) > 0.0
    assert len(told.timeline) == 2
    assert sum(part.completed for part in told.timeline) == told.completed


def test_windows_are_the_same_instants(pair: FleetGenerator, server: Counting) -> None:
    """Each worker opens and closes its window at the agreed instants, late by its own timer at
    most; the master's events come at the same instants."""
    instants: list[int] = []
    at: At = {WindowOpened: lambda: instants.append(time.time_ns())}
    before_s = held_up_below_s()
    report = offer(pair, server, closed("/now", 4), at=at, warmup_s=0.3, measured_s=0.4)
    late_s = 0.2 + held_up_below_s() - before_s
    for row in report.workers:
        assert 0.3 <= (row.opened_s or 0.0) < 0.3 + late_s
        assert 0.7 <= (row.closed_s or 0.0) < 0.7 + late_s
    since_s = (instants[0] - report.start_realtime_ns) / 1e9
    assert 0.3 <= since_s < 0.3 + late_s


def test_a_rate_is_divided(pair: FleetGenerator, server: Counting) -> None:
    """Every arrival of both workers' own streams is a request, and response times are there."""
    report = offer(pair, server, opened("/now", 400.0, 9), warmup_s=0.2, measured_s=1.0)
    asked = begun(report, "warmup") + begun(report, "measured")
    assert asked == server.total
    assert 400 < asked < 560  # 480 are expected; the seed is fixed
    assert histogram(report, "response_time", "measured").count == begun(report, "measured")
    assert [row.users for row in report.workers] == [5, 4]


def test_one_user_leaves_a_worker_idle(pair: FleetGenerator, server: Counting) -> None:
    """The other worker has a row that says so, and no Warning."""
    report = offer(pair, server, closed("/now", 1))
    idle = report.workers[1]
    assert (idle.users, idle.requests, idle.warnings) == (0, None, None)
    assert begun(report, "warmup") + begun(report, "measured") == server.total


def test_failures_are_merged_and_named(pair: FleetGenerator, server: Counting) -> None:
    """One reason with the counts of both workers, and an example that names one."""
    report = offer(pair, server, closed("/wrong", 4))
    (failure,) = report.loads["main"].measured.failures
    assert failure.reason == "status 503 instead of 200"
    assert failure.count + failures(report, "warmup")[failure.reason] == server.total
    assert "(worker " in failure.example


def test_a_load_given_up_ends_on_all_workers(pair: FleetGenerator, server: Counting) -> None:
    """An hour's load ends as soon as it is given up, with what was measured until then."""
    opened_at: list[float] = []
    report = offer(
        pair,
        server,
        closed("/now", 4),
        measured_s=3600.0,
        at={WindowOpened: lambda: opened_at.append(time.monotonic())},
        give_up=lambda: bool(opened_at) and time.monotonic() > opened_at[0] + 0.2,
    )
    assert report.measured_s < 60.0
    assert [row.gone for row in report.workers] == [None, None]
    again = offer(pair, server, closed("/now", 2))
    assert begun(again, "measured") > 0


def test_the_rows_fit_their_table(pair: FleetGenerator, server: Counting, tmp_path: Path) -> None:
    """What the master says of its workers is what workers.csv holds, and reads back equal."""
    report = offer(pair, server, closed("/now", 1))
    rows = [{"run_id": "01.x", **asdict(row)} for row in report.workers]
    with TableWriter(tmp_path, WORKERS) as writer:
        writer.append(rows)
    back = list(read_table(tmp_path, WORKERS))
    assert [row["worker"] for row in back] == [1, 2]
    assert {row["version"] for row in back} == {rows[0]["version"]}


def test_workers_and_then_the_master_are_killed(server: Counting) -> None:
    """One worker: it is named, what the other measured is there, and the next load has a new one in
    its place. Both: one line says who was lost, and how. The master: nothing is left."""
    with fleet(2) as made:
        first, second = workers_of(made)
        kill_one: At = {WindowOpened: lambda: os.kill(second, signal.SIGKILL)}
        report = offer(made, server, closed("/now", 4), at=kill_one, measured_s=0.5)
        kept, lost = report.workers
        assert kept.pid == first
        assert "worker-lost" not in (kept.warnings or "")
        assert lost.pid == second and "worker-lost" in (lost.warnings or "")
        assert lost.gone == "its process ended (signal 9)"
        assert begun(report, "measured") == (kept.requests or 0) > 0
        assert report.loads["main"].users == 2

        after = offer(made, server, closed("/now", 4))
        assert [row.gone for row in after.workers] == [None, None]
        pids = [row.pid for row in after.workers]
        assert pids[0] == first and pids[1] != second

        def kill_all() -> None:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

        with pytest.raises(GeneratorDied, match=r"every worker is lost; worker 1 on .*signal 9"):
            offer(made, server, closed("/now", 4), at={WindowOpened: kill_all}, measured_s=30.0)
        pids = workers_of(made)
        master = psutil.Process(made.pid)
        with pytest.raises(GeneratorDied, match="SIGKILL"):
            offer(made, server, closed("/now", 4), at={WindowOpened: master.kill})
        assert not made.alive
    assert eventually(lambda: not any(running(pid) for pid in pids))


def test_a_worker_that_is_killed_before_it_has_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had no word; the line says what ended it."""
    start = FleetGenerator._start_missing

    def start_and_kill(made: FleetGenerator) -> None:
        start(made)
        for child in made._children.values():
            os.kill(child.pid, signal.SIGKILL)

    monkeypatch.setattr(FleetGenerator, "_start_missing", start_and_kill)
    with pytest.raises(HarnessError, match=r"a load worker did not come up: signal 9$"), fleet(1):
        pass
