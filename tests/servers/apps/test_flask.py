"""What is different where requests run in threads: Flask on gunicorn's gthread and on waitress."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import warnings

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]

from loopbench.servers.adapters import gthread_server
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Request
from loopbench.servers.handlers import basic
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.settings import Settings
from tests.servers.choices import IN_THREADS, stacks
from tests.servers.conftest import Lab
from tests.servers.contract import wire
from tests.servers.lifecycle.traces import Run, nothing_left, refuses
from tests.servers.processes import descriptors, needs_proc

in_threads = pytest.mark.parametrize("stack_name", stacks(IN_THREADS))
gthread = pytest.mark.parametrize("stack_name", stacks(["flask-gthread"]))


@in_threads
@pytest.mark.parametrize("name", ["async", "blocking"])
def test_a_coroutine_runs_on_a_loop_of_its_own(lab: Lab, server: Server, name: str) -> None:
    """The hole that the stacks name: a loop, but not on the main thread, and every time in a
    thread that is new."""
    case = CASES[name]
    replies = [lab.run(wire.ask(server, case.request)) for _ in range(3)]
    said = [json.loads(reply.body) for reply in replies]
    assert {reply.status for reply in replies} == {200}
    assert all(one["event_loop"] and one["thread"] != "MainThread" for one in said)
    assert len({one["thread"] for one in said}) == 3
    assert case.expected.check(200, replies[0].body) is not None


@in_threads
def test_a_task_does_not_outlive_its_request(
    lab: Lab, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other hole: the answer says saved, and the task has written the first half only."""
    written: list[bytes] = []
    monkeypatch.setattr(basic, "_write", written.append)
    for protect, lines in {"none": 2, "shield": 2, "thread": 2, "task": 1}.items():
        written.clear()
        reply = lab.run(wire.ask(server, Request("POST", f"/save?protect={protect}")))
        assert (reply.status, len(written)) == (200, lines), protect


@in_threads
def test_waits_hold_threads(lab: Lab, server: Server) -> None:
    """Two requests more than there are threads: the last of them wait for the first."""
    threads = server.in_force()["request_threads"]
    assert isinstance(threads, int)

    async def ask() -> list[float]:
        begun = time.perf_counter()

        async def one() -> float:
            reply = await wire.get(server, "/?wait_ms=200")
            assert reply.status == 200
            return time.perf_counter() - begun

        return sorted(await asyncio.gather(*(one() for _ in range(threads + 2))))

    took = lab.run(ask())
    assert all(seconds >= 0.4 for seconds in took[-2:])
    assert took[0] < took[-1]


@in_threads
@pytest.mark.parametrize(
    "sent",
    [
        b"GET /?wait_ms=2500 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[",
    ],
    ids=["waiting", "half a body"],
)
def test_the_grace_ends_the_connection_but_not_the_thread(
    run: Run, stack_name: str, sent: bytes
) -> None:
    """A thread cannot be cancelled: the client loses its connection at the end of the grace, and
    the handler's wait goes on to its end."""

    async def scenario() -> None:
        async with nothing_left(settled_s=5.0):
            async with in_loop.serving(stack_name, settings=Settings(grace_s=0.3)) as server:
                async with wire.connection(server) as client:
                    await client.send(sent)
                    await asyncio.sleep(0.1)
                    begun = time.perf_counter()
                    await server.stop()
                    assert await client.closed()
                    assert time.perf_counter() - begun < 2.4
                    assert await refuses(server.host, server.port)

    run(scenario())


@needs_proc
@pytest.mark.parametrize("stack_name", stacks(["flask-waitress"]))
def test_waitress_closes_the_files_of_bodies_that_it_gives_up(run: Run, stack_name: str) -> None:
    """One waits for the only thread, one has come in half, and both are too large for memory."""
    body = b'"' + b"x" * 999_998 + b'"'
    head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    settings = Settings(grace_s=0.1, executor_threads=1)

    def kept() -> int:
        """Temporary files, which have no name."""
        return sum(target.endswith("(deleted)") for _, target in descriptors())

    async def scenario() -> None:
        before = kept()
        async with in_loop.serving(stack_name, settings=settings) as server:
            async with (
                wire.connection(server) as holder,
                wire.connection(server) as waiting,
                wire.connection(server) as half,
            ):
                await holder.send(b"GET /?wait_ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n")
                await waiting.send(head + body)
                await half.send(head + body[:-1])
                while kept() < before + 2:
                    await asyncio.sleep(0.01)
                await server.stop()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(scenario())
        gc.collect()
    assert [str(one.message) for one in seen] == []


@gthread
def test_gthread_waits_for_idle_connections(run: Run, stack_name: str) -> None:
    """gunicorn's worker gives a connection that was used two seconds more, for a request that
    may be on its way, and answers that one; new connections wait in vain meanwhile."""

    async def scenario() -> None:
        async with nothing_left():
            async with in_loop.serving(stack_name) as server:
                async with wire.connection(server) as client:
                    await client.ask(CASES["plain"].request)
                    stopping = asyncio.create_task(server.stop())
                    await asyncio.sleep(0.5)
                    assert not stopping.done()
                    assert not await refuses(server.host, server.port)
                    reply = await client.ask(CASES["plain"].request)
                    assert CASES["plain"].expected.check(reply.status, reply.body) is None
                    assert reply.header("connection") == "close"
                    await stopping
                    assert await refuses(server.host, server.port)

    run(scenario())


@gthread
def test_the_loop_s_executor_is_only_borrowed(run: Run, stack_name: str) -> None:
    """It runs the requests, and is there for the loop and the next server after a stop."""

    async def scenario() -> None:
        assert await asyncio.to_thread(int) == 0
        for _ in range(2):
            async with in_loop.serving(stack_name) as server:
                said = json.loads((await wire.get(server, "/sync")).body)
                assert said["thread"].startswith("asyncio_")
            assert await asyncio.to_thread(int) == 0

    run(scenario())


def test_the_logger_of_gthread_works_nothing_out_for_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether there is an access log is known when the worker starts, as with gunicorn's own."""
    logger = gthread_server._Logger(Config())
    monkeypatch.setattr(gthread_server._Logger, "_compute_access_log_enabled", pytest.fail)
    assert logger.access_log_enabled is False
