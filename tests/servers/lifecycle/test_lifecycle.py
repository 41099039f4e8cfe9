"""Starting and stopping in this event loop, several servers side by side."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import AsyncExitStack, suppress

import pytest

from loopbench.servers.adapters.default_executor import default_executor
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from tests.servers.choices import KINDS, ON_A_LOOP, STOP_AT_ONCE, here, stacks
from tests.servers.contract import wire
from tests.servers.lifecycle.traces import Run, nothing_left, plain_works, refuses

LISTENS_IN_A_THREAD = ("quart-granian", "flask-waitress")
"""Of the slow stacks, those whose listener is closed by a thread of their server."""

BOTH_TWICE = ("aiohttp", "quart-hypercorn", "asyncio", "aiohttp", "quart-hypercorn")


def test_ready_when_started(run: Run, stack_name: str) -> None:
    """`start` returns a server that answers at once; after `stop` its port refuses."""

    async def scenario() -> None:
        async with nothing_left():
            server = await in_loop.start(stack_name)
            assert server.stack is STACKS[stack_name]
            assert server.url == f"http://127.0.0.1:{server.port}"
            await plain_works(server)
            await server.stop()
            assert await refuses(server.host, server.port)

    run(scenario())


def test_context_manager_stops_on_error(run: Run, stack_name: str) -> None:
    """However the block is left, the server is stopped."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(LookupError):
                async with in_loop.serving(stack_name) as server:
                    raise LookupError
            assert await refuses(server.host, server.port)

    run(scenario())


def test_side_by_side(run: Run) -> None:
    """Several servers of each kind share one loop and one thread; one stops, the rest serve."""

    async def scenario() -> None:
        async with nothing_left():
            async with AsyncExitStack() as stack:
                servers = [
                    await stack.enter_async_context(in_loop.serving(name)) for name in BOTH_TWICE
                ]
                assert len({server.port for server in servers}) == len(servers)
                here = {
                    "event_loop": repr(asyncio.get_running_loop()),
                    "thread": threading.current_thread().name,
                }
                while servers:
                    for reply in await asyncio.gather(*(wire.get(s, "/async") for s in servers)):
                        assert json.loads(reply.body) == here
                    await servers.pop(0).stop()

    run(scenario())


@pytest.mark.parametrize("stack_name", stacks(STOP_AT_ONCE))
def test_same_port_again_at_once(run: Run, stack_name: str) -> None:
    """A port can be taken again right after a stop, with connections that the server closed."""

    async def scenario() -> None:
        port = 0
        for _ in range(3):
            async with in_loop.serving(stack_name, port=port) as server:
                port = port or server.port
                assert server.port == port
                async with wire.connection(server) as client:
                    await client.ask(CASES["plain"].request)
                    await server.stop()
                    assert await client.closed()

    run(scenario())


def test_port_moves_between_stacks(run: Run) -> None:
    """The port that one stack gave up is free for the next."""

    async def scenario() -> None:
        port = 0
        for name in here(STACKS):
            async with in_loop.serving(name, port=port) as server:
                port = server.port
                await plain_works(server)

    run(scenario())


def test_host_names_and_ipv6(run: Run, stack_name: str) -> None:
    """A name is resolved to one address; an IPv6 address is bracketed in the URL."""

    async def scenario() -> None:
        async with in_loop.serving(stack_name, host="localhost") as server:
            assert server.host in {"127.0.0.1", "::1"}
            await plain_works(server)
        if socket.has_ipv6:
            async with in_loop.serving(stack_name, host="::1") as server:
                assert server.url == f"http://[::1]:{server.port}"
                await plain_works(server)

    run(scenario())


def test_loop_stays_the_owners(run: Run, stack_name: str) -> None:
    """Starting and stopping touch neither the loop's handlers nor its default executor."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with in_loop.serving(stack_name) as server:
            await plain_works(server)
            assert default_executor(loop) is None
            assert loop.get_exception_handler() is None
        assert not loop.get_debug()

    run(scenario())


def test_stop_twice_and_cancelled(run: Run, stack_name: str) -> None:
    """Stops wait for the same end, and a stop whose caller is cancelled goes on."""

    async def scenario() -> None:
        async with nothing_left():
            server = await in_loop.start(stack_name)
            ended = asyncio.create_task(server.ended())
            first = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(server.stop(), server.stop(), ended)
            assert first.cancelled()
            await server.stop()
            assert await refuses(server.host, server.port)

    run(scenario())


@pytest.mark.parametrize("stack_name", stacks(STOP_AT_ONCE))
def test_idle_connections_do_not_delay_a_stop(run: Run, stack_name: str) -> None:
    """Idle connections are closed at once, used or never used, however long the grace."""

    async def scenario() -> None:
        async with nothing_left():
            async with in_loop.serving(stack_name, settings=Settings(grace_s=3600)) as server:
                async with wire.connection(server) as used, wire.connection(server) as unused:
                    await used.ask(CASES["plain"].request)
                    await server.stop()
                    assert await used.closed()
                    assert await unused.closed()

    run(scenario())


@pytest.mark.parametrize("target", ["/?wait_ms=1400", "/hello/x?wait_ms=200"])
@pytest.mark.parametrize("slow_stack", stacks(KINDS))
def test_request_in_flight_is_answered(run: Run, slow_stack: str, target: str) -> None:
    """A request that fits into the grace is answered in full, while new ones are refused."""
    wait_s = int(target.rpartition("=")[2]) / 1000

    async def scenario() -> None:
        async with nothing_left():
            server = await in_loop.start(slow_stack, settings=Settings(grace_s=2.0))
            async with wire.connection(server) as client:
                sent_at = time.perf_counter()
                await client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
                for _ in range(2):  # once these are answered, the other is in flight
                    await plain_works(server)
                stopping = asyncio.create_task(server.stop())
                for _ in range(20):  # the turns that a stop needs to close its listener
                    await asyncio.sleep(0)
                while slow_stack in LISTENS_IN_A_THREAD and not stopping.done():
                    if await refuses(server.host, server.port):
                        break
                    await asyncio.sleep(0.01)
                assert await refuses(server.host, server.port)
                # Where the machine took so long that the request may have ended, so may the stop.
                stopped = stopping.done()
                assert not stopped or time.perf_counter() - sent_at > 0.9 * wait_s
                reply = await client.reply()
                assert reply is not None
                assert reply.status == 200
                assert reply.body in (b"<h1>Index</h1>", b"<h1>hello, x!</h1>")
                assert await client.closed()
                await stopping

    run(scenario())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /?wait_ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[",
    ],
    ids=["waiting", "half a body"],
)
@pytest.mark.parametrize("stack_name", stacks(ON_A_LOOP))
def test_request_beyond_the_grace_is_ended(run: Run, stack_name: str, sent: bytes) -> None:
    """A request that outlasts the grace is ended without a success, and nothing of it is left."""

    async def scenario() -> None:
        async with nothing_left():
            async with in_loop.serving(stack_name, settings=Settings(grace_s=0.3)) as server:
                async with wire.connection(server) as client:
                    await client.send(sent)
                    await asyncio.sleep(0.1)
                    await server.stop()
                    reply = await client.reply()
                    assert reply is None or reply.status == 500
                    assert await client.closed()

    run(scenario())


def test_a_client_that_does_not_read(run: Run, slow_stack: str) -> None:
    """An answer that nobody takes does not keep a stop from ending."""

    async def scenario() -> None:
        body = b'"' + b"x" * 1_000_000 + b'"'
        head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        async with nothing_left():
            async with in_loop.serving(slow_stack, settings=Settings(grace_s=0.3)) as server:
                with socket.create_connection((server.host, server.port)) as client:
                    client.setblocking(False)
                    loop = asyncio.get_running_loop()
                    sending = asyncio.create_task(loop.sock_sendall(client, (head + body) * 20))
                    await asyncio.sleep(0.3)
                    await server.stop()
                    with suppress(ConnectionError):
                        await sending

    run(scenario())
