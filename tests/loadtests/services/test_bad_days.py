"""Databases that go away in the middle of a Run and come back, and pools that run dry."""

from __future__ import annotations

import http.client
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest

from loopbench.loadtests.bench.checks.verify import problems
from loopbench.loadtests.bench.loads.run import measure
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.messages.generator import At, WindowOpened
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_rows import RunRows, rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Scenario
from loopbench.loadtests.services.services import Service, postgres_server, redis_server
from loopbench.results.schema import Code
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.servers.choices import stacks
from tests.servers.processes import eventually

BOUND_S = 60.0
WINDOW_S = 4.0
"""Both stores are gone within it, on a busy machine too. When the servers answer again is not the
window's affair: psycopg's pool, for one, connects again a second, and then two, after its loss."""
WITH_STORES = ("aiohttp", "quart-hypercorn")
SAVES = Load("main", CASES["db-save"], Closed(8))
THREADS = Load("threads", CASES["db-sync"], Closed(4))
PAIRS = Load("pairs", CASES["save-both-none"], Closed(2))


Meddle = Callable[[str, int], None]


def nothing(host: str, port: int) -> None:
    """What is done where nothing is."""


class Meddling:
    """The generator, and beside it something that is done once the window has opened, and something
    when the load is over, each with the address of the server, which is still there."""

    def __init__(self, generator: Generator, meddle: Meddle, afterwards: Meddle) -> None:
        self._generator = generator
        self._meddle = meddle
        self._afterwards = afterwards

    @property
    def alive(self) -> bool:
        return self._generator.alive

    def load(
        self,
        spec: SessionSpec,
        *,
        bound_s: float,
        at: At,
        give_up: Callable[[], bool],
    ) -> Report:
        meddling = threading.Thread(target=self._meddle, args=(spec.host, spec.port))

        def opened() -> None:
            at[WindowOpened]()
            meddling.start()

        told = {**at, WindowOpened: opened}
        try:
            report = self._generator.load(spec, bound_s=bound_s, at=told, give_up=give_up)
        finally:
            meddling.join()
        self._afterwards(spec.host, spec.port)
        return report


def run(
    stack: str,
    generator: Generator,
    settings: Settings,
    *loads: Load,
    meddle: Meddle = nothing,
    afterwards: Meddle = nothing,
    measured_s: float = 0.5,
    cause: str | None = None,
) -> RunRows:
    """The rows of one Run, whose cause begins so."""
    result = measure(
        PlannedRun(f"01.{stack}.bad-day", 1, 1, stack, "bad-day"),
        STACKS[stack],
        Scenario("bad-day", "", loads, settings=settings),
        Meddling(generator, meddle, afterwards),
        CpuPlan(None, None, ()),
        warmup_s=0.2,
        measured_s=measured_s,
        seed=7,
        probe=True,
        log=None,
    )
    assert (result.cause or "").partition(":")[0] == (cause or ""), result.cause
    return rows_of(result)


def away(redis: Service, database: Service, addresses: Sequence[tuple[str, int]]) -> None:
    """One after the other is killed in the middle of the window, and is back at its end. The next
    step waits until each server has refused all work that needs the store that is gone."""
    redis.kill()
    refused(addresses, "redis", PAIRS.case)
    database.kill()
    redis.start()
    refused(addresses, "database", CASES["db-async"], THREADS.case, PAIRS.case)
    database.start()


def refused(addresses: Sequence[tuple[str, int]], store: str, *cases: Case) -> None:
    """Wait until each Case is refused for want of this store, and for a moment more."""

    def refuses(host: str, port: int, case: Case) -> bool:
        return any(f": {store}: " in line for line in problems(host, port, [case]))

    for address in addresses:
        for case in cases:
            assert eventually(partial(refuses, *address, case)), (store, case.name)
    time.sleep(0.2)


def answers_again(host: str, port: int) -> None:
    """Wait until the server does each kind of work again, but for saves, which are accounted for:
    on the loop, in a thread, and with both stores."""
    cases = [CASES["db-async"], THREADS.case, PAIRS.case]
    assert eventually(lambda: not problems(host, port, cases)), problems(host, port, cases)


def codes(row: Any) -> set[str]:
    return set(filter(None, str(row["warnings"] or "").split(";")))


def reasons(rows: RunRows, load: str = "main") -> dict[str, int]:
    return {
        str(one["reason"]): int(str(one["count"])) for one in rows.failures if one["load"] == load
    }


@pytest.fixture(scope="module")
def in_memory() -> Iterator[None]:
    """Temporary folders in memory, where there is such a place: a killed PostgreSQL syncs all its
    files before it is back, which on a busy disk takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        if os.access("/dev/shm", os.W_OK):
            patch.setattr(tempfile, "tempdir", "/dev/shm")
        yield


@pytest.fixture(scope="module")
def survived(generator: Generator, in_memory: None) -> dict[str, RunRows]:
    """The rows of a Run of each stack, side by side, in whose middle Redis and then PostgreSQL are
    killed; both come back, and each server answers again."""
    windows = threading.Barrier(len(WITH_STORES))
    addresses: list[tuple[str, int]] = []
    with generator_process() as another, redis_server() as redis, postgres_server() as database:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE another")  # whose saves are an account of their own

        def meddle(host: str, port: int) -> None:
            addresses.append((host, port))
            if windows.wait(BOUND_S) == 0:
                away(redis, database, addresses)

        def survive(stack: str, own: Generator) -> RunRows:
            name = "postgres" if own is generator else "another"
            url = database.url.rpartition("/")[0] + f"/{name}"
            settings = Settings(database_url=url, redis_url=redis.url, pool_timeout_s=2.0)
            # No more users than the pool has connections: none waits for another one's.
            loads = (replace(SAVES, model=Closed(4)), THREADS, PAIRS)
            return run(
                stack,
                own,
                settings,
                *loads,
                meddle=meddle,
                afterwards=answers_again,
                measured_s=WINDOW_S,
            )

        with ThreadPoolExecutor(len(WITH_STORES)) as side_by_side:
            rows = side_by_side.map(survive, WITH_STORES, (generator, another))
            return dict(zip(WITH_STORES, rows, strict=True))


@pytest.mark.parametrize("stack", WITH_STORES)
def test_stores_that_are_killed_and_come_back(survived: dict[str, RunRows], stack: str) -> None:
    """Meanwhile 503 with the reason, on the loop and in threads; the same server answers again
    afterwards (`answers_again` has seen it), every answered save is in the table, and no CPU time
    is made up."""
    rows = survived[stack]
    for row in rows.runs:
        load = str(row["load"])
        said = reasons(rows, load)
        assert sum(said.values()) == row["failures"], said
        of = {text.removeprefix("status 503 instead of 200: ").partition(":")[0] for text in said}
        # By name only: nothing but refusals, which say which store it was.
        assert of == ({"database", "redis"} if load == "pairs" else {"database"}), said
        found = codes(row)
        assert Code.FAILURES in found
        assert not found & {Code.SAVES_DIFFER, Code.SAVES_UNCHECKED, Code.SERVER_DIED}
        assert row["exit_code"] == 0
        assert row["database_cpu_s"] is None
        assert row["redis_cpu_s"] is None


@pytest.mark.parametrize("stack", stacks(WITH_STORES))
def test_a_pool_that_runs_dry(stack: str, generator: Generator) -> None:
    """One connection for 64 users who each wait for it no longer than 20 ms: some are refused with
    that reason, the wait shows, and the saves add up all the same. How long it takes until a save
    comes through among so many refusals is the machine's affair: the window is as long as that."""
    crowd = replace(SAVES, model=Closed(64))
    settings = Settings(pool_size=1, pool_timeout_s=0.02)
    for measured_s in (0.5, 2.0, 8.0):
        rows = run(stack, generator, settings, crowd, measured_s=measured_s)
        (row,) = rows.runs
        assert reasons(rows) == {
            "status 503 instead of 200: no connection of the pool was free in time": row["failures"]
        }
        if float(str(row["throughput_rps"])) > 0:
            break
    else:
        pytest.fail("no save came through")
    assert row["pool_size"] == 1
    assert row.get("database_cpu_s") is None, "an embedded database has no process of its own"
    assert 8 <= int(str(row["pool_most_waiting"])) <= 64
    assert float(str(row["pool_wait_p99_us"])) >= 20_000
    assert not codes(row) & {Code.SAVES_DIFFER, Code.SAVES_UNCHECKED}


def test_a_save_beside_the_load_is_found(generator: Generator) -> None:
    """One more than the load has asked for fails the Run, and is counted as what it is."""

    def save_too(host: str, port: int) -> None:
        with closing(http.client.HTTPConnection(host, port, timeout=BOUND_S)) as connection:
            connection.request("POST", "/db/save?amount=7")
            assert connection.getresponse().status == 200

    reason = "more saves than were asked for"
    rows = run("aiohttp", generator, Settings(), SAVES, meddle=save_too, cause=reason)
    assert reasons(rows) == {reason: 1}
    assert Code.SAVES_DIFFER in codes(rows.runs[0])


def test_columns_of_real_stores(generator: Generator, in_memory: None) -> None:
    """CPU time of PostgreSQL and of Redis in the window, and its share of it."""
    with redis_server() as redis, postgres_server() as database:
        settings = Settings(database_url=database.url, redis_url=redis.url)
        (both,) = run("aiohttp", generator, settings, PAIRS).runs
    assert float(str(both["database_cpu_s"])) > 0
    assert float(str(both["redis_cpu_s"])) > 0
    window_s = float(str(both["measured_s"]))
    for store in ("database", "redis"):
        spent_s = float(str(both[f"{store}_cpu_s"]))
        share = float(str(both[f"{store}_cpu_share"]))
        # Each reading is taken a moment after its edge of the window, and the window is short.
        assert 1 / 3 < share / (spent_s / window_s) < 3
    assert both["pool_size"] == 8
