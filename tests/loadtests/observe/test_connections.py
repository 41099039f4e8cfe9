"""What the harness reads of a server's connections: held, failed, and new for every request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.scenarios.table import Closed, Idle, Load
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import ServerProcess
from tests.loadtests.generator.counting import case, counting_server
from tests.loadtests.generator.loads import failures, spec
from tests.loadtests.observe.observed import (
    EACH_KIND,
    OWN,
    check_parts,
    closed,
    observe,
    unconnected,
    watched,
)
from tests.servers.processes import eventually, needs_proc


@EACH_KIND
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One watched server a stack."""
    with watched(request.param) as running:
        yield running


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
            spec(counting, load, **OWN),
            bound_s=30.0,
            at={},
            give_up=lambda: False,
        )
        assert counting.total == 3
    assert failures(report, "measured") == {"status 503 instead of 200": 3}


def test_a_new_connection_for_every_request(generator: Generator) -> None:
    """The server accepts as many as it answers, besides those that the users begin with, and is
    asked once on each."""
    users = 3
    load = Load("main", case("/now"), Closed(users, new_connections=True))
    with counting_server() as counting:
        report = generator.load(
            spec(counting, load, **OWN),
            bound_s=30.0,
            at={},
            give_up=lambda: False,
        )
        assert counting.connections == counting.total + users
        assert len(counting.first_ns) == counting.total
    told = report.loads["main"]
    assert counting.total == told.warmup.begun + told.measured.begun
    assert told.completed > users
    response, service = told.measured.times.response_time, told.measured.times.service_time
    assert response is not None and service is not None
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
