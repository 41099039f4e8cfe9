"""What the harness reads of a server under load: real generator, real servers, short windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.scenarios.table import Closed, Load, Open
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import (
    Case,
    Expected,
    Request,
)
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.thread_pools import UNSEEN
from loopbench.servers.settings import Settings
from tests.loadtests.observe.observed import (
    EACH_KIND,
    PARTS,
    THREADS,
    check_parts,
    closed,
    observe,
    undisturbed,
    watched,
)
from tests.servers.choices import IN_THREADS, stacks
from tests.servers.processes import needs_proc


@EACH_KIND
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One watched server a stack."""
    with watched(request.param) as running:
        yield running


@pytest.fixture(scope="module")
def plain_server() -> Iterator[ServerProcess]:
    """A watched server for what does not depend on the stack."""
    settings = Settings(probe=True, executor_threads=THREADS)
    with server_process("aiohttp", settings=settings) as running:
        yield running


# A request taken apart.


@pytest.mark.alone
def test_time_inside_the_handler(server: ServerProcess, generator: Generator) -> None:
    """A handler that awaits 50 ms: that is the part inside, and nearly all of the whole."""
    seen = undisturbed(server, generator, closed("sleep-async-50", 2), below_ms=54)
    before, inside, after = check_parts(seen)
    assert 49 < inside < 54 + seen.late_ms
    assert max(before, after) < 4 + seen.late_ms
    # Half of the requests last no longer than by twice what they do on average.
    assert 49 < seen.run()["handler_time_p50_ms"] < 58 + 2 * seen.late_ms


@pytest.mark.alone
def test_time_before_the_handler(server: ServerProcess, generator: Generator) -> None:
    """Eight users of 50 ms on four threads: the part before is the wait for a thread."""
    seen = undisturbed(server, generator, closed("sleep-sync-50", 8), below_ms=112)
    before, inside, after = check_parts(seen)
    row = seen.run()
    assert before == pytest.approx(row["executor_wait_mean_ms"], abs=7.5 + seen.late_ms)
    assert before == pytest.approx(50, abs=12.5 + seen.late_ms)
    assert 49 < inside < 57.5 + seen.late_ms
    assert after < 25 + seen.late_ms
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
    at its edges, and those of the time by which these are late; on a route of each dispatch."""
    users = 4
    loads = {
        "sleep-async": closed("sleep-async-50", users, load="async"),
        "sleep-sync": closed("sleep-sync-50", users, load="sync"),
    }
    seen = observe(server, generator, *loads.values())
    near = users * (1 + seen.held_up_s / 0.05)
    rows: list[dict[str, Any]] = [dict(row) for row in seen.rows.observations]
    assert {row["route"] for row in rows} == set(loads)
    for route, load in loads.items():
        of_route = [row for row in rows if row["route"] == route]
        requests = sum(row["requests"] for row in of_route)
        assert requests == pytest.approx(seen.report.loads[load.name].completed, abs=near)
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
    assert 49 < handler["slow"] <= seen.run("slow")["service_time_max_ms"]
    assert max(handler["threads"], handler["canary"]) < 49
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


COUNTING = frozenset({"flask-gthread"})
"""Their threads are those of the executor that a loop would have."""


@pytest.mark.parametrize("stack", stacks(IN_THREADS))
@pytest.mark.parametrize(("measured_s", "looks"), [(0.3, False), (1.1, True)])
def test_a_queue_is_that_of_the_load(
    generator: Generator, stack: str, measured_s: float, looks: bool
) -> None:
    """Twelve users of four threads: up to eight calls wait as somebody looks, which nobody does
    between two seconds where no loop serves; as the load has gone, none would wait. An executor of
    the suite's own counts its calls, so that nobody has to look."""
    with watched(stack) as server:
        seen = observe(server, generator, closed("sleep-sync-50", 12), measured_s=measured_s)
    (pool,) = seen.rows.thread_pools
    if stack in COUNTING:
        assert 1 <= float(pool["queued_mean"] or 0) <= 12
        assert 1 <= float(pool["queued_max"] or 0) <= 12
        assert float(pool["wait_mean_ms"] or 0) >= 50  # behind another call, or more
        assert pool["note"] is None
    elif looks:
        assert 1 <= float(pool["queued_mean"] or 0) <= 8
        assert pool["queued_max"] == pool["queued_mean"]  # it was looked at once
    else:
        assert (pool["queued_mean"], pool["wait_mean_ms"], pool["note"]) == (None, None, UNSEEN)


# The timeline.


def test_the_timeline_of_two_loads(plain_server: ServerProcess, generator: Generator) -> None:
    """A row a second and load, end to end; the completions add up to the window's, and the
    server's side is there in each row."""
    loads = (closed("async", 2), closed("sleep-sync-50", 6, load="beside"))
    seen = observe(plain_server, generator, *loads, measured_s=1.5)
    late_s = 0.05 + seen.held_up_s
    for load in loads:
        rows: list[dict[str, Any]]
        rows = [dict(row) for row in seen.rows.timeline if row["load"] == load.name]
        edges = [0.0, 1.0, seen.report.measured_s]
        assert [row["from_s"] for row in rows] == pytest.approx(edges[:2], abs=late_s)
        assert [row["to_s"] for row in rows] == pytest.approx(edges[1:], abs=late_s)
        assert rows[0]["to_s"] == rows[1]["from_s"]
        completed = [row["throughput_rps"] * (row["to_s"] - row["from_s"]) for row in rows]
        assert sum(completed) == pytest.approx(seen.report.loads[load.name].completed)
        assert min(completed) > 0
        for row in rows:
            assert [name for name, value in row.items() if value is None] == []
            assert row["response_time_p50_ms"] <= row["response_time_p99_ms"]
            assert 0 <= row["loop_utilisation"] <= 1
            assert row["failures"] == 0
            assert row["executor_queue"] <= 6
            assert row["threads"] >= THREADS + 2
    assert len(seen.rows.timeline) == 4
