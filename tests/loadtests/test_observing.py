"""What the harness reads of a server under load: real generator, real servers, short windows."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from loadtests import measure, observing
from loadtests.cpus import CpuPlan
from loadtests.generator_process import Generator, generator_process
from loadtests.observing import Observed, Observer, begun
from loadtests.plan import PlannedRun
from loadtests.rows import RunResult, RunRows, rows_of
from loadtests.scenarios import Closed, Idle, Load, Open, Scenario, load_to_json
from results.schema import Code
from servers.contract import CASES, TEXT, Case, Expected, Request
from servers.process import ServerProcess, server_process
from servers.settings import Settings
from servers.stacks import STACKS, keeps
from tests.loadtests.counting import case, counting_server
from tests.servers.choices import KINDS, stacks
from tests.servers.processes import eventually, freeze, needs_proc, needs_waitid

WARMUP_S = 0.2
MEASURED_S = 0.3
THREADS = 4
PARTS = ("before_handler_mean_ms", "in_handler_mean_ms", "after_handler_mean_ms")

PROBED = {
    "loop_class",
    "loop_delay_p50_ms",
    "loop_delay_p99_ms",
    "loop_delay_max_ms",
    "loop_utilisation",
    "loop_longest_stretch_ms",
    "tasks_max",
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


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    """One generator for all the loads here, one after another."""
    with generator_process() as running:
        yield running


@pytest.fixture(scope="module", params=stacks(n for n in KINDS if "async" in keeps(STACKS[n])))
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One watched server a stack. Hypercorn holds a connection that its client has closed for as
    long as an idle one may stay, which is short here."""
    settings = Settings(probe=True, executor_threads=THREADS, keep_alive_s=1.0)
    with server_process(request.param, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def plain_server() -> Iterator[ServerProcess]:
    """A watched server for what does not depend on the stack."""
    settings = Settings(probe=True, executor_threads=THREADS)
    with server_process("aiohttp", settings=settings) as running:
        yield running


def closed(name: str, users: int, *, load: str = "main", **model: Any) -> Load:
    return Load(load, CASES[name], Closed(users, **model))


def scenario(*loads: Load, **changes: Any) -> Scenario:
    return Scenario("made-up", "nothing", loads, **changes)


def planned(stack: str) -> PlannedRun:
    return PlannedRun(f"01.{stack}.made-up", 1, 1, stack, "made-up")


def command(host: str, port: int, loads: tuple[Load, ...], **changes: Any) -> dict[str, Any]:
    return {
        "host": host,
        "port": port,
        "loads": [load_to_json(load) for load in loads],
        "warmup_s": WARMUP_S,
        "measured_s": MEASURED_S,
        "drain_s": 5.0,
        "timeout_s": 30.0,
        "seed": 3,
        **changes,
    }


@dataclass(frozen=True, slots=True)
class Seen:
    """One load, with what was read and the rows that came of it."""

    report: dict[str, Any]
    observed: Observed
    rows: RunRows

    def run(self, load: str = "main") -> dict[str, Any]:
        (row,) = [row for row in self.rows.runs if row["load"] == load]
        return dict(row)

    def measured(self, load: str = "main") -> dict[str, Any]:
        told: dict[str, Any] = self.report["loads"][load]["measured"]
        return told


def unconnected(server: ServerProcess) -> bool:
    """Whether the server holds no connection any more, not even one that its client has closed."""
    held = psutil.Process(server.pid).net_connections("tcp")
    return {one.status for one in held} <= {psutil.CONN_LISTEN}


def observe(
    server: ServerProcess, generator: Generator, *loads: Load, later: bool = False, **changes: Any
) -> Seen:
    observer = Observer(server, probe=True)
    observer.begin()
    report = generator.load(
        command(server.host, server.port, loads, **changes),
        bound_s=30.0,
        at=observer.at,
        give_up=lambda: False,
    )
    observer.end(report, loads)
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
    return Seen(report, observer.observed, rows_of(result))


def undisturbed(
    server: ServerProcess, generator: Generator, load: Load, *, below_ms: float
) -> Seen:
    """As `observe`, again where the client saw that the machine held the requests up."""
    for _ in range(10):
        seen = observe(server, generator, load)
        if seen.run()["service_time_mean_ms"] < below_ms:
            return seen
    raise AssertionError("this machine is too busy to test on")


def check_parts(seen: Seen, load: str = "main") -> list[float]:
    """The three parts, which are there, positive, and add up to the mean service time."""
    row, measured = seen.run(load), seen.measured(load)
    parts = [float(row[name]) for name in PARTS]
    assert min(parts) > 0, parts
    mean_ms = measured["service_sum_ns"] / begun(measured) / 1e6
    assert sum(parts) == pytest.approx(mean_ms, rel=1e-9)
    assert sum(parts) == pytest.approx(row["service_time_mean_ms"], rel=0.002, abs=0.0006)
    return parts


# A request taken apart.


def test_time_inside_the_handler(server: ServerProcess, generator: Generator) -> None:
    """A handler that awaits 50 ms: that is the part inside, and nearly all of the whole."""
    seen = undisturbed(server, generator, closed("sleep-async-50", 2), below_ms=54)
    before, inside, after = check_parts(seen)
    assert inside == pytest.approx(50, rel=0.08)
    assert inside > 10 * max(before, after)
    assert seen.run()["handler_time_p50_ms"] == pytest.approx(inside, rel=0.1)


def test_time_before_the_handler(server: ServerProcess, generator: Generator) -> None:
    """Eight users of 50 ms on four threads: the part before is the wait for a thread."""
    seen = undisturbed(server, generator, closed("sleep-sync-50", 8), below_ms=112)
    before, inside, after = check_parts(seen)
    row = seen.run()
    assert before == pytest.approx(row["executor_wait_mean_ms"], rel=0.15)
    assert before == pytest.approx(50, rel=0.25)
    assert inside == pytest.approx(50, rel=0.15)
    assert after < 25
    assert row["executor_threads_max"] == THREADS
    assert 3 <= row["executor_queue_max"] <= 8


@pytest.mark.parametrize("users", [1, 32])
@pytest.mark.parametrize("name", ["async", "sync"])
def test_the_parts_of_a_short_request(
    server: ServerProcess, generator: Generator, name: str, users: int
) -> None:
    """Of a request that takes a fraction of a millisecond, and of one among 32: each part is
    there, above zero, and the sum is the whole."""
    check_parts(observe(server, generator, closed(name, users)))


def test_parts_need_counts_that_agree(plain_server: ServerProcess, generator: Generator) -> None:
    """Two loads on one route cannot be told apart in the server, and so have blanks; a third on
    a route of its own has its parts."""
    seen = observe(
        plain_server,
        generator,
        closed("async", 2, load="one"),
        closed("async", 2, load="two"),
        closed("plain", 2, load="three"),
    )
    for load in ("one", "two"):
        assert [seen.run(load).get(name) for name in PARTS] == [None] * 3
        assert seen.run(load)["handler_time_p50_ms"] is not None
    check_parts(seen, "three")


def test_failures_leave_the_parts_blank(plain_server: ServerProcess, generator: Generator) -> None:
    """A failed request has no service time, so that its instants do not belong to a mean of it."""
    wrong = Case("wrong", Request("GET", "/plain"), Expected(200, TEXT, b"something else"))
    seen = observe(plain_server, generator, Load("main", wrong, Closed(2)))
    assert seen.run()["failures"] > 0
    assert [seen.run().get(name) for name in PARTS] == [None] * 3


# Where requests ran.


def test_observations_agree_with_the_client(server: ServerProcess, generator: Generator) -> None:
    """The server's requests of the window are the client's answers in it, but for those in flight
    at its edges; on a route of each dispatch."""
    users = 4
    loads = {
        "sleep-async": closed("sleep-async-50", users, load="async"),
        "sleep-sync": closed("sleep-sync-50", users, load="sync"),
    }
    seen = observe(server, generator, *loads.values())
    rows: list[dict[str, Any]] = [dict(row) for row in seen.rows.observations]
    assert {row["route"] for row in rows} == set(loads)
    for route, load in loads.items():
        of_route = [row for row in rows if row["route"] == route]
        requests = sum(row["requests"] for row in of_route)
        assert requests == pytest.approx(seen.report["loads"][load.name]["completed"], abs=users)
        assert sum(row["share"] for row in of_route) == pytest.approx(1.0)
        on_loop = route == "sleep-async"
        assert {row["is_loop_thread"] for row in of_route} == {on_loop}
        assert {row["is_main_thread"] for row in of_route} == {on_loop}
        assert {row["pid"] for row in of_route} == {server.pid}


def test_loads_offered_together_have_figures_of_their_own(
    plain_server: ServerProcess, generator: Generator
) -> None:
    """A slow load, one in threads and a canary: handler times, parts and counts of each."""
    loads = (
        closed("sleep-async-50", 3, load="slow"),
        closed("sync", 1, load="threads"),
        Load("canary", CASES["plain"], Open(100.0, 8)),
    )
    seen = observe(plain_server, generator, *loads)
    assert [row["load"] for row in seen.rows.runs] == ["slow", "threads", "canary"]
    handler = {load.name: seen.run(load.name)["handler_time_p50_ms"] for load in loads}
    assert handler["slow"] == pytest.approx(50, rel=0.15)
    assert max(handler["threads"], handler["canary"]) < 10
    for load in loads:
        check_parts(seen, load.name)
    # Of the server as a whole there is one figure.
    for name in ("loop_delay_p99_ms", "executor_wait_mean_ms", "threads_max"):
        assert len({row[name] for row in seen.rows.runs}) == 1
    quantities = {(row["load"], row["quantity"]) for row in seen.rows.histograms}
    assert {
        ("all", "loop_delay"),
        ("all", "executor_wait"),
        ("all", "executor_run"),
        *((load.name, "handler_time") for load in loads),
    } <= quantities


@needs_proc
def test_the_threads_of_the_server(plain_server: ServerProcess, generator: Generator) -> None:
    """A row a living thread, the loop's and the executor's among them, with the CPU they took."""
    seen = observe(plain_server, generator, closed("sync", 8))
    cpu_ms = {str(row["thread"]): row["cpu_ms"] for row in seen.rows.threads}
    assert {"MainThread", "control", *(f"asyncio_{n}" for n in range(THREADS))} <= set(cpu_ms)
    assert float(cpu_ms["MainThread"] or 0) > 0


# The timeline.


def test_the_timeline_of_two_loads(plain_server: ServerProcess, generator: Generator) -> None:
    """A row a second and load, end to end; the completions add up to the window's, and the
    server's side is there in each row."""
    loads = (closed("async", 2), closed("sleep-sync-50", 6, load="beside"))
    seen = observe(plain_server, generator, *loads, measured_s=1.2)
    for load in loads:
        rows: list[dict[str, Any]]
        rows = [dict(row) for row in seen.rows.timeline if row["load"] == load.name]
        edges = [0.0, 1.0, seen.report["measured_s"]]
        assert [row["from_s"] for row in rows] == pytest.approx(edges[:2], abs=0.05)
        assert [row["to_s"] for row in rows] == pytest.approx(edges[1:], abs=0.05)
        assert rows[0]["to_s"] == rows[1]["from_s"]
        completed = [row["throughput_rps"] * (row["to_s"] - row["from_s"]) for row in rows]
        assert sum(completed) == pytest.approx(seen.report["loads"][load.name]["completed"])
        assert min(completed) > 0
        for row in rows:
            assert [name for name, value in row.items() if value is None] == []
            assert row["response_time_p50_ms"] <= row["response_time_p99_ms"]
            assert 0 <= row["loop_utilisation"] <= 1
            assert row["failures"] == 0
            assert row["executor_queue"] <= 6
            assert row["threads"] >= THREADS + 2
    assert len(seen.rows.timeline) == 4


# Connections.


@needs_proc
def test_idle_connections_are_held_and_let_go(server: ServerProcess, generator: Generator) -> None:
    """Forty that are held and two that work: so many descriptors more at the end of the window,
    and none of them afterwards."""
    assert eventually(lambda: unconnected(server))
    loads = (closed("async", 2), Load("idle", CASES["plain"], Idle(40)))
    seen = observe(server, generator, *loads, later=True)
    row = seen.run()
    assert row["descriptors_end"] - row["descriptors_start"] == 42
    assert row["descriptors_after"] == row["descriptors_start"]
    idle = seen.run("idle")
    assert (idle["load_model"], idle["users"]) == ("idle", 40)
    assert (idle["requests"], idle["failures"], idle["throughput_rps"]) == (0, 0, 0)
    assert "few-requests" not in (idle["warnings"] or "")


def test_an_idle_connection_that_fails_is_a_failure(generator: Generator) -> None:
    """A wrong answer to the one request is counted, for each connection."""
    load = Load("main", case("/wrong"), Idle(3))
    with counting_server() as counting:
        report = generator.load(
            command(counting.host, counting.port, (load,)),
            bound_s=30.0,
            at={},
            give_up=lambda: False,
        )
        assert counting.total == 3
    told = report["loads"]["main"]["measured"]["failures"]
    assert [(reason, count) for reason, count, _ in told] == [("status 503 instead of 200", 3)]


def test_a_new_connection_for_every_request(generator: Generator) -> None:
    """The server accepts as many as it answers, besides those that the users begin with, and is
    asked once on each."""
    users = 3
    load = Load("main", case("/now"), Closed(users, new_connections=True))
    with counting_server() as counting:
        report = generator.load(
            command(counting.host, counting.port, (load,)),
            bound_s=30.0,
            at={},
            give_up=lambda: False,
        )
        assert counting.connections == counting.total + users
        assert len(counting.first_ns) == counting.total
    told = report["loads"]["main"]
    assert counting.total == begun(told["warmup"]) + begun(told["measured"])
    assert told["completed"] > users
    service, response = (told["measured"]["histograms"][name] for name in ("service", "response"))
    assert sum(count for _, count in response) == sum(count for _, count in service)
    assert min(us for us, _ in response) >= min(us for us, _ in service)


@needs_proc
def test_new_connections_to_a_real_server(server: ServerProcess, generator: Generator) -> None:
    """They are taken apart like any other requests, and leave no descriptor behind."""
    assert eventually(lambda: unconnected(server))
    seen = observe(server, generator, closed("async", 4, new_connections=True), later=True)
    check_parts(seen)
    row = seen.run()
    assert row["failures"] == 0
    assert row["response_time_mean_ms"] > row["service_time_mean_ms"]
    assert row["descriptors_after"] == row["descriptors_start"]


# Runs as the bench makes them.


def run(generator: Generator, made: Scenario, *, probe: bool) -> tuple[RunResult, dict[str, Any]]:
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
    assert result.observed.probe["failure"] is None
    assert result.codes == tuple(code for code in result.codes if code is Code.MACHINE_SPEED)


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

    def _opened(self) -> None:
        assert isinstance(self._server, ServerProcess)
        pid = self._server.pid
        time.sleep(0.05)  # until requests of the window are on their way
        freeze(pid)
        thaw = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
        thaw.start()
        super()._opened()


@needs_waitid
def test_a_server_that_cannot_be_read(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness waits to its bound and goes on: the Run has its load's figures, a Warning, and
    blanks for what nobody could count from the window's opening."""
    monkeypatch.setattr(observing, "READ_BOUND_S", 0.2)
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
