"""Servers under their own managers: equal, whole, read as one, and not one process of them left."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from loopbench.loadtests.bench.checks import verify
from loopbench.servers.custom.look import Looks
from loopbench.servers.custom.stacks import rows
from loopbench.servers.errors import StartupFailed
from loopbench.servers.lifecycle.facts import Manager
from loopbench.servers.lifecycle.messages import Read
from loopbench.servers.lifecycle.parity import differences
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.managers.managed import ManagedGroup, managed_processes
from loopbench.servers.managers.table import MANAGERS, WITHOUT, available
from loopbench.servers.parts import AIOHTTP, ASGI, OwnApp
from loopbench.servers.probe.readings import Glance, Instants, Observe, Reset
from loopbench.servers.promises import keeps
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    STACKS,
    Stack,
)
from loopbench.servers.supervision.control_pipe import ControlClosed
from loopbench.servers.supervision.messages import to_json
from tests.servers.probe.probes import known
from tests.servers.processes import (
    PROC,
    Harness,
    ask,
    eventually,
    free,
    freeze,
    needs_proc,
    needs_waitid,
    nothing_left,
    running,
)

SETTINGS = Settings(probe=True, executor_threads=4, wait_ms=1)
ONE_EACH = ("aiohttp", "quart-hypercorn", "asgi-uvicorn")
"""A stack for each manager."""

EVERY = (*ONE_EACH, "aiohttp-uvloop", "quart-uvicorn-uvloop")
"""And on the other loop, with the other parser."""

REQUESTS = 20


def managed(names: tuple[str, ...]) -> list[Any]:
    """Parameters; what cannot run here is skipped by name."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(obstacle is not None, reason=str(obstacle)))
        for name in names
        for obstacle in (available(STACKS[name]),)
    ]


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves anything behind; those that share a server begin when it is there."""
    if "group" in request.fixturenames:
        request.getfixturevalue("group")
    with nothing_left():
        yield


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("managed") / "log"


@pytest.fixture(scope="module", params=managed(EVERY))
def group(request: pytest.FixtureRequest, log: Path) -> Iterator[ManagedGroup]:
    """Shared by the tests that only ask, and then by the one that stops it."""
    with managed_processes(request.param, 2, settings=SETTINGS, log=log) as running:
        yield running


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The facts of the stack that all are compared with, as one process."""
    with server_process("aiohttp", settings=SETTINGS) as running:
        return to_json(running.facts)


def pids(group: ManagedGroup) -> set[int]:
    return {group.manager.pid, *(worker.pid for worker in group.workers)}


def test_workers_are_on_equal_terms(group: ManagedGroup, reference: dict[str, Any]) -> None:
    """What differs from a server of one process is explained, and all that is explained does."""
    facts = group.facts
    found = {one.setting for one in differences({"aiohttp": reference, "managed": to_json(facts)})}
    assert found == facts.differs.keys() == group.stack.differs.keys()
    assert facts.settings == SETTINGS.described()
    manager = MANAGERS[group.stack.server]
    assert facts.manager == Manager(manager.name, 2)
    assert facts.packages.keys() >= set(manager.packages)


def test_workers_keep_the_contract_and_every_request_counts_once(group: ManagedGroup) -> None:
    """On the loop and in the threads that the stack names, by whichever worker got it."""
    group.ask(Reset(instants=True))
    cases = keeps(STACKS[group.stack.name])
    assert verify.problems(group.host, group.port, cases.values()) == []
    group.ask(Reset(instants=True))
    for _ in range(REQUESTS):
        ask(group.port, "plain")
    seen = group.ask(Observe())
    assert seen.failure is None
    tallies = seen.routes["plain"]
    assert sum(tally.requests for tally in tallies) == REQUESTS
    assert {tally.pid for tally in tallies} <= {worker.pid for worker in group.workers}
    assert {tally.loop_class for tally in tallies} == {group.facts.loop.class_}
    assert all(tally.is_main_thread for tally in tallies)


def test_workers_and_their_manager_are_read_as_one(group: ManagedGroup) -> None:
    """CPU time, memory and threads are sums over all of them, the manager included."""
    assert group.alive
    assert len(pids(group)) == 3
    both = group.read()
    each = [worker.talk.ask(Read(), 2.0) for worker in group.workers]
    above = group.manager.ask(Read(), 2.0)
    assert both.threads == above.threads + sum(one.threads for one in each)
    assert 0 < both.cpu_ns <= above.cpu_ns + sum(one.cpu_ns for one in each)
    assert both.cpu_ns > above.cpu_ns
    assert both.rss_bytes is None or both.rss_bytes > max(known(one.rss_bytes) for one in each)
    assert group.ask(Glance()).process.threads == both.threads
    threads = group.ask(Observe()).threads
    assert {thread.pid for thread in threads} == (pids(group) if PROC.is_dir() else set())
    assert group.ask(Instants("plain", 0, 1)).began_ns is None


def test_a_stop_is_the_managers_own(group: ManagedGroup, log: Path) -> None:
    """At SIGTERM all of them end in order, within the bound; the port is free again. No test of a
    shared server comes after this one."""
    ask(group.port, "plain")
    ended = group.stop()
    assert group.stop() is ended
    assert (ended.exit_code, ended.killed) == (0, False)
    assert ended.stop_ms is not None
    assert not any(map(running, pids(group)))
    assert group.failure is None
    assert not group.alive
    with pytest.raises(ControlClosed):
        group.read()
    assert free(group.port)
    told = log.read_text()
    assert told.count("Traceback") == told.count("GET /error failed")  # a case of the contract


@needs_proc
@pytest.mark.parametrize("name", managed(ONE_EACH))
def test_a_worker_that_dies_is_the_death_of_all(name: str) -> None:
    """Also where its manager has started another one in the meantime: the requests of that one
    would be missing from every sum."""
    with managed_processes(name, 2, settings=SETTINGS) as group:
        victim = group.workers[0]
        before = workers_of(group.manager.pid)
        os.kill(victim.pid, signal.SIGKILL)
        assert eventually(lambda: not group.alive)
        assert f"worker {victim.pid} of {MANAGERS[group.stack.server].name} ended by itself" in str(
            group.failure
        )
        with pytest.raises(ControlClosed):
            group.read()
        if name != "quart-hypercorn":  # which ends with its worker
            assert eventually(lambda: bool(workers_of(group.manager.pid) - before))
            assert not group.alive
        group.stop()
        assert f"worker {victim.pid} of" in str(group.failure)
        assert not any(map(running, pids(group)))


def workers_of(pid: int) -> set[int]:
    """The children of a process, by what the system says."""
    children = PROC / str(pid) / "task" / str(pid) / "children"
    return set(map(int, children.read_text().split())) if children.exists() else set()


@pytest.mark.parametrize("name", managed(("aiohttp",)))
def test_a_manager_that_is_killed_takes_its_workers_along(name: str) -> None:
    """It is named as what ended."""
    with managed_processes(name, 2, settings=SETTINGS) as group:
        os.kill(group.manager.pid, signal.SIGKILL)
        assert eventually(lambda: not any(worker.alive for worker in group.workers))
        assert not group.alive
        assert str(group.failure).startswith(f"{MANAGERS[group.stack.server].name} ended by itself")
        assert group.stop().exit_code == -signal.SIGKILL


@needs_proc
@needs_waitid
@pytest.mark.parametrize("end", [freeze, lambda pid: os.kill(pid, signal.SIGKILL)])
@pytest.mark.parametrize("name", managed(("quart-hypercorn",)))
def test_a_manager_that_cannot_clean_up_leaves_no_semaphore(
    name: str, end: Callable[[int], None]
) -> None:
    """Killed at the bound, or by somebody else: what multiprocessing has in the file system goes,
    too."""
    with managed_processes(name, 2, settings=SETTINGS, stop_timeout_s=0.3) as group:
        semaphores = semaphores_of(group.manager.pid)
        assert semaphores
        end(group.manager.pid)
        ended = group.stop()
    assert ended.exit_code == -signal.SIGKILL
    assert not any(map(running, pids(group)))
    assert not any(path.exists() for path in semaphores)


def semaphores_of(pid: int) -> list[Path]:
    """The named semaphores that a process has mapped, by their inodes (proc(5), maps)."""
    maps = (PROC / str(pid) / "maps").read_text()
    inodes = {int(line.split()[4]) for line in maps.splitlines() if "/dev/shm/" in line}
    return [path for path in Path("/dev/shm").glob("sem.*") if path.stat().st_ino in inodes]


@needs_proc
@pytest.mark.parametrize("name", managed(ONE_EACH))
def test_a_harness_that_is_killed_leaves_no_process(name: str) -> None:
    """Manager, workers and what they have beside them go with it."""
    with Harness("managed", name) as harness:
        pid, port = harness.server()
        ask(port, "plain")
        assert len(harness.left()) >= 4
        assert running(pid)
        harness.process.kill()
        assert eventually(lambda: harness.left() == {harness.process.pid} or not harness.left())


OWN = """
import os

from aiohttp import web

async def fail(app):
    raise RuntimeError("no database")

def aio():
    app = web.Application()
    app.on_startup.append(fail)
    return app

async def asgi(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

async def sound(scope, receive, send):
    assert scope["type"] == "http"  # which says that it knows no lifespan
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""


LOOKS = {
    "aio": Looks(AIOHTTP, "aiohttp", ("aiohttp",), made=True),
    "asgi": Looks(ASGI, ASGI, (), made=False),
    "sound": Looks(ASGI, ASGI, (), made=False),
}
"""What `look_at` says of the applications of OWN; it would take as long as a server's start."""


def own_row(target: str, on: str, folder: Path) -> Stack:
    """A row of one of the applications of OWN, on a server; skips where that cannot run."""
    (folder / "owned.py").write_text(OWN)
    own = OwnApp(f"owned:{target}", str(folder), "/")
    (row,) = rows(own, LOOKS[target], (on,)).values()
    if available(row) is not None:
        pytest.skip(str(available(row)))
    return row


def test_a_persons_own_application_is_loaded_by_each_worker(tmp_path: Path) -> None:
    """Nobody knows its own settings; the server's are there."""
    row = own_row("sound", "hypercorn", tmp_path)
    with managed_processes(row, 2, settings=SETTINGS) as group:
        facts = group.facts
        assert facts.in_force["json"] is None
        assert facts.in_force["keep_alive_s"] == SETTINGS.keep_alive_s
        assert facts.manager is not None and facts.manager.workers == 2
        with urlopen(f"http://127.0.0.1:{group.port}/") as answer:
            assert int(answer.read()) in {worker.pid for worker in group.workers}


@pytest.mark.parametrize(
    ("target", "on"), [("aio", "aiohttp"), ("asgi", "hypercorn"), ("asgi", "uvicorn")]
)
def test_a_start_that_fails_says_why(target: str, on: str, tmp_path: Path) -> None:
    """In the words of the application of a worker, at once, whatever its manager goes on to do."""
    row = own_row(target, on, tmp_path)
    with (
        pytest.raises(StartupFailed, match="no database"),
        managed_processes(row, 2, settings=SETTINGS),
    ):
        pass


@pytest.mark.parametrize("name", managed(("aiohttp",)))
def test_an_address_of_another_machine_is_refused(name: str) -> None:
    """As one process does, before anything of the server is started."""
    with (
        pytest.raises(StartupFailed, match="is no address of this machine"),
        managed_processes(name, 2, settings=SETTINGS, host="192.0.2.1"),
    ):
        pass


def test_every_server_has_a_manager_or_a_reason() -> None:
    """No stack is left out without a word."""
    servers = {stack.server for stack in STACKS.values()}
    assert servers == MANAGERS.keys() | WITHOUT.keys()
    assert not MANAGERS.keys() & WITHOUT.keys()
    with (
        pytest.raises(StartupFailed, match="no manager of its server's own: the yardstick"),
        managed_processes("asyncio", 2, settings=SETTINGS),
    ):
        pass
