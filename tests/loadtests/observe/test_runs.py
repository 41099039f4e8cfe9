"""Runs as the bench makes them: which columns a probe fills, and what is left without one."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

import pytest

from loopbench.loadtests.bench.loads import run as measure
from loopbench.loadtests.bench.loads.resting import LEAST_S
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.observe import observer
from loopbench.loadtests.observe.observer import Observer
from loopbench.loadtests.observe.store_cpu import CpuReading, StoreCpu
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import Scenario
from loopbench.results.schema import Code
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.stacks import STACKS
from loopbench.servers.supervision.os_stats import Reading
from tests.loadtests.observe.observed import MEASURED_S, PARTS, WARMUP_S, closed, planned, scenario
from tests.servers.processes import freeze, needs_proc, needs_waitid

USERS = 2
PROBED = {
    "loop_class",
    "loop_delay_p50_ms",
    "loop_delay_p99_ms",
    "loop_delay_max_ms",
    "loop_utilisation",
    "loop_utilisation_read_by",
    "loop_longest_stretch_ms",
    "tasks_max",
    "tasks_created",
    "task_exceptions_unread",
    "executor_wait_mean_ms",
    "executor_wait_p50_ms",
    "executor_wait_p99_ms",
    "executor_wait_max_ms",
    "executor_threads_max",
    "executor_queue_max",
    "handler_time_p50_ms",
    "handler_time_p99_ms",
    *PARTS,
    "gc_pauses",
    "gc_pause_total_ms",
    "gc_pause_max_ms",
}
"""Columns of a Run that only a probe can fill."""

READ = {
    "threads_max",
    "voluntary_switches",
    "involuntary_switches",
    "rss_start_bytes",
    "rss_end_bytes",
    "descriptors_start",
    "descriptors_end",
}
AFTER = {"rss_after_bytes", "descriptors_after"}
"""Columns that any server's own readings fill."""


def run(
    generator: Generator, made: Scenario, *, probe: bool, rests: bool = False
) -> tuple[RunResult, dict[str, Any]]:
    result = measure.measure(
        planned("asyncio"),
        STACKS["asyncio"],
        made,
        generator,
        CpuPlan(None, None, ()),
        warmup_s=WARMUP_S,
        measured_s=MEASURED_S,
        seed=3,
        probe=probe,
        rests=rests,
        log=None,
    )
    (row,) = rows_of(result).runs
    return result, dict(row)


@needs_proc
def test_a_run_with_a_probe_fills_every_column(generator: Generator) -> None:
    """And those read some time after the load, where the scenario waits for that."""
    result, row = run(generator, scenario(closed("sync", 2), after_s=0.1), probe=True)
    wanted = PROBED | READ | AFTER
    assert {name for name in wanted if row.get(name) is None} == set()
    assert result.observed.probe is not None
    assert result.observed.probe.failure is None
    assert result.codes == tuple(code for code in result.codes if code is Code.MACHINE_SPEED)


@needs_proc
def test_cpu_time_is_read_while_the_probe_rests(generator: Generator) -> None:
    """Under a second load, which the row's other figures and the probe's counts know nothing of."""
    result, row = run(generator, scenario(closed("async", USERS)), probe=True, rests=True)
    rested, report, probe = result.at_rest, result.report, result.observed.probe
    assert rested is not None
    assert report is not None
    assert probe is not None
    assert rested.failures == 0
    assert rested.completed > 0
    assert row["rested_s"] == rested.window_s == pytest.approx(LEAST_S, rel=0.5)
    assert row["cpu_us_per_request"] == rested.cpu_us_per_request
    each_s = rested.cpu_s / rested.cpu_window_s * rested.window_s / rested.completed
    assert row["cpu_us_per_request"] == pytest.approx(each_s * 1e6)
    assert row["server_cpu_utilisation"] == pytest.approx(rested.cpu_s / rested.cpu_window_s)
    told = report.loads["main"]
    assert row["requests"] == told.measured.begun
    counted = sum(tally.requests for tally in probe.routes["async"])
    assert 0 < counted <= told.warmup.begun + told.measured.begun


@needs_proc
def test_a_run_without_a_probe_leaves_its_columns_blank(generator: Generator) -> None:
    """What the server's readings tell is there all the same; nothing is asked afterwards that the
    scenario does not wait for."""
    result, row = run(generator, scenario(closed("sync", 2)), probe=False)
    assert {name for name in PROBED | AFTER if row.get(name) is not None} == set()
    assert {name for name in READ if row.get(name) is None} == set()
    rows = rows_of(result)
    assert (rows.observations, rows.threads) == ((), ())
    assert row["requests"] > 0
    assert Code.SERVER_NOT_READABLE not in result.codes
    for moment in rows.timeline:
        assert moment["throughput_rps"]
        assert moment.get("loop_utilisation") is None


class Freezing(Observer):
    """Stops the server soon after the window opens, for longer than anybody waits to read it."""

    def opened(self) -> None:
        assert isinstance(self._server, ServerProcess)
        pid = self._server.pid
        time.sleep(0.05)  # until requests of the window are on their way
        freeze(pid)
        thaw = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
        thaw.start()
        super().opened()


@needs_waitid
def test_a_server_that_cannot_be_read(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness waits to its bound and goes on: the Run has its load's figures, a Warning, and
    blanks for what nobody could count from the window's opening."""
    monkeypatch.setattr(observer, "READ_BOUND_S", 0.2)
    monkeypatch.setattr(measure, "Observer", Freezing)
    begun_at = time.monotonic()
    result, row = run(generator, scenario(closed("async", 2)), probe=True)
    assert time.monotonic() - begun_at < 20
    assert Code.SERVER_NOT_READABLE in result.codes
    assert "server-not-readable" in row["warnings"].split(";")
    assert row["requests"] >= 2  # those that were on their way when it stopped
    assert row["failures"] == 0
    assert row["service_time_max_ms"] > 300
    assert {name for name in PROBED - set(PARTS) if row.get(name) is not None} == set()
    assert row.get("server_cpu_utilisation") is None
    assert (result.ended is not None) and not result.ended.killed
    assert rows_of(result).observations == ()


class HeldUp(Observer):
    """Of a harness that stands still as the window closes, as after Ctrl-Z, and reads then."""

    def closed(self) -> None:
        time.sleep(0.7)
        super().closed()


@needs_proc
def test_what_is_read_long_after_the_window_is_no_figure_of_it(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPU time over a window and an idle time behind it would be a part of what a request costs.
    The load's own figures stay."""
    monkeypatch.setattr(measure, "Observer", HeldUp)
    result, row = run(generator, scenario(closed("async", 2)), probe=True)
    assert Code.SERVER_NOT_READABLE in result.codes
    assert row["requests"] > 0
    assert row["throughput_rps"] > 0
    assert {"cpu_us_per_request", "server_cpu_utilisation"}.isdisjoint(
        name for name, value in row.items() if value is not None
    )
    (moment,) = rows_of(result).timeline
    assert moment.get("server_cpu_utilisation") is None
    assert moment.get("loop_utilisation") is None


class StandsStill(StoreCpu):
    """A store that takes long to say what it has used by the end of the window."""

    asked = 0

    def read(self) -> CpuReading:
        self.asked += 1
        time.sleep(0.7 if self.asked == 2 else 0.0)
        return super().read()


@needs_proc
def test_a_store_that_stands_still_takes_no_figure_of_the_server(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an edge it is asked behind the server."""
    monkeypatch.setattr(measure, "StoreCpu", StandsStill)
    result, row = run(generator, scenario(closed("async", 2)), probe=True)
    assert Code.SERVER_NOT_READABLE not in result.codes
    assert row["cpu_us_per_request"] is not None


class HeldUpAtRest(Observer):
    """The same as the window of the second load closes."""

    def rest(self) -> None:
        super().rest()
        self.resting_reads = 0

    def read(self) -> Reading | None:
        if hasattr(self, "resting_reads"):
            self.resting_reads += 1
            time.sleep(0.7 if self.resting_reads == 2 else 0.0)
        return super().read()


@needs_proc
def test_cpu_time_at_rest_that_is_read_late_is_none(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the Run's own window, with the probe's part, then stands in its place."""
    monkeypatch.setattr(measure, "Observer", HeldUpAtRest)
    result, row = run(generator, scenario(closed("async", 2)), probe=True, rests=True)
    assert result.at_rest is None
    assert row.get("rested_s") is None
    assert row["cpu_us_per_request"] is not None
