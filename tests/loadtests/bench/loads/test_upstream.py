"""Handlers that fetch pages of another server: how many, and what happens when it is away."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from loopbench.loadtests.bench.loads.run import measure
from loopbench.loadtests.bench.loads.upstream import upstream_process
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.hosts.cpus import CpuPlan, allowed_cpus, plan_cpus
from loopbench.loadtests.hosts.server_location import Place
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.results.schema import Code
from loopbench.servers.contract.data_cases import FETCHES
from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.loadtests.generator.counting import Counting, counting_server
from tests.servers.choices import stacks
from tests.servers.processes import eventually, needs_proc

THAT_FETCH = ("aiohttp", "quart-hypercorn")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Counting]:
    """A server that counts what it is asked."""
    with counting_server() as counting:
        yield counting


@pytest.fixture(scope="module", params=stacks(THAT_FETCH))
def server(request: pytest.FixtureRequest, upstream: Counting) -> Iterator[ServerProcess]:
    """One server a stack that has been told of it."""
    url = f"http://{upstream.host}:{upstream.port}"
    with server_process(request.param, settings=Settings(upstream_url=url)) as running:
        yield running


@pytest.mark.parametrize("how", FETCHES)
def test_the_upstream_is_asked_for_each_page_once(
    server: ServerProcess, upstream: Counting, how: str
) -> None:
    """Three requests of seven pages are 21 pages of the other server, none of them twice, and
    none of its own."""
    before = upstream.requests["/plain"]
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as client:
        for _ in range(3):
            client.request("GET", f"/fetch?n=7&how={how}")
            assert client.getresponse().read() == b'{"pages":7,"bytes":35}'
    assert upstream.requests["/plain"] - before == 21
    assert set(upstream.requests) == {"/plain"}


def _servers() -> list[psutil.Process]:
    """The servers that this process has started, the first of them first."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "loopbench.servers.lifecycle.child_main" in child.cmdline():
                found.append(child)
    return sorted(found, key=lambda one: one.create_time())


@dataclass(frozen=True)
class Fetched:
    """The row of a Run that fetches, why its requests failed, and on which CPUs its upstream and
    its server were."""

    row: dict[str, Any]
    reasons: set[str]
    cpus: list[list[int]]


WARMUP_S = 0.2


def _connected(generator: Generator) -> bool:
    """Whether a load is under way."""
    connections = psutil.Process(generator.pid).net_connections("tcp")
    return any(one.status == psutil.CONN_ESTABLISHED for one in connections)


def _fetch(generator: Generator, others: int, *, window_s: float, kill: bool) -> Fetched:
    """One Run on aiohttp, whose upstream is killed in the middle where that is asked for. others:
    servers that this process has beside."""
    cpus: list[list[int]] = []

    def watch() -> None:
        eventually(lambda: len(_servers()) == others + 2)
        upstream, server = _servers()[others:]
        eventually(lambda: _connected(generator))
        time.sleep(WARMUP_S + window_s / 3)
        cpus.extend((upstream.cpu_affinity(), server.cpu_affinity()))
        if kill:
            upstream.kill()

    watching = threading.Thread(target=watch)
    watching.start()
    result = measure(
        PlannedRun("01.aiohttp.fetch-gather-1", 1, 1, "aiohttp", "fetch-gather-1"),
        STACKS["aiohttp"],
        SCENARIOS["fetch-gather-1"],
        generator,
        plan_cpus(allowed_cpus()),
        warmup_s=WARMUP_S,
        measured_s=window_s,
        seed=1,
        probe=True,
        log=None,
    )
    watching.join()
    rows = rows_of(result)
    (row,) = rows.runs
    return Fetched(dict(row), {str(one["reason"]) for one in rows.failures}, cpus)


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    """One generator, where the plan of the CPUs puts it."""
    with generator_process(cpus=plan_cpus(allowed_cpus()).generator) as running:
        yield running


@needs_proc
def test_an_upstream_that_dies_is_a_row_that_says_so(generator: Generator) -> None:
    """The server lives and answers 502 with the reason; the row has the code, and what was
    answered before stands. A dead one's CPU time is not known."""
    seen = _fetch(generator, len(_servers()), window_s=1.5, kill=True)
    assert {Code.UPSTREAM_DIED, Code.FAILURES} <= set(str(seen.row["warnings"]).split(";"))
    assert (seen.row["exit_code"], seen.row["killed"]) == (0, False)
    assert 0 < seen.row["failures"] < seen.row["requests"]
    assert seen.reasons
    assert all(one.startswith("status 502 instead of 200: upstream: ") for one in seen.reasons)
    assert seen.row["upstream_cpu_utilisation"] is None


@needs_proc
def test_an_upstream_runs_beside_the_generator(generator: Generator) -> None:
    """On the same CPUs, not the server's where there are others; what it takes is in the row."""
    seen = _fetch(generator, len(_servers()), window_s=0.6, kill=False)
    plan = plan_cpus(allowed_cpus())
    assert seen.cpus == [sorted(plan.generator or ()), sorted(plan.server or ())]
    assert seen.reasons == set()
    assert 0 < seen.row["upstream_cpu_utilisation"] < 1
    assert Code.UPSTREAM_DIED not in str(seen.row["warnings"]).split(";")


def test_an_upstream_that_cannot_start_says_whose_failure_it_is() -> None:
    """The address is nobody's here: the reason names the upstream."""
    nowhere = Place(host="192.0.2.1")
    with (
        pytest.raises(StartupFailed, match=r"^the upstream: "),
        upstream_process(True, nowhere, CpuPlan(None, None, ()), None),
    ):
        pass
