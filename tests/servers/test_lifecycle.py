"""Starting and stopping in this event loop: what works, what fails, and what is left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from types import ModuleType
from typing import Any

import psutil
import pytest
from aiohttp import web
from quart import Quart

from servers import aiohttp_stack, lifecycle, quart_hypercorn_stack, stacks
from servers.contract import CASES
from servers.errors import PortInUse, ServerError, StartupFailed, UnknownStack
from servers.settings import Settings
from servers.stacks import STACKS, Serving
from tests.servers import wire

Run = Callable[[Coroutine[Any, Any, None]], None]

BOTH_TWICE = ("aiohttp", "quart-hypercorn", "asyncio", "aiohttp", "quart-hypercorn")


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Afterwards there are the tasks, threads and open files of before."""
    process = psutil.Process()

    def traces() -> tuple[set[asyncio.Task[Any]], set[threading.Thread], int]:
        return asyncio.all_tasks(), set(threading.enumerate()), process.num_fds()

    before = traces()
    yield
    for _ in range(10):  # asyncio closes sockets in the loop's next turns
        await asyncio.sleep(0)
    assert traces() == before


async def plain_works(server: lifecycle.Server) -> None:
    reply = await wire.get(server, "/plain")
    assert CASES["plain"].expected.check(reply.status, reply.body) is None


async def refuses(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return False


def test_ready_when_started(run: Run, stack_name: str) -> None:
    """`start` returns a server that answers at once; after `stop` its port refuses."""

    async def scenario() -> None:
        async with nothing_left():
            server = await lifecycle.start(stack_name)
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
                async with lifecycle.serving(stack_name) as server:
                    raise LookupError
            assert await refuses(server.host, server.port)

    run(scenario())


def test_side_by_side(run: Run) -> None:
    """Several servers of each kind share one loop and one thread; one stops, the rest serve."""

    async def scenario() -> None:
        async with nothing_left():
            async with AsyncExitStack() as stack:
                servers = [
                    await stack.enter_async_context(lifecycle.serving(name)) for name in BOTH_TWICE
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


def test_same_port_again_at_once(run: Run, stack_name: str) -> None:
    """A port can be taken again right after a stop, with connections that the server closed."""

    async def scenario() -> None:
        port = 0
        for _ in range(3):
            async with lifecycle.serving(stack_name, port=port) as server:
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
        for name in STACKS:
            async with lifecycle.serving(name, port=port) as server:
                port = server.port
                await plain_works(server)

    run(scenario())


def test_host_names_and_ipv6(run: Run, stack_name: str) -> None:
    """A name is resolved to one address; an IPv6 address is bracketed in the URL."""

    async def scenario() -> None:
        async with lifecycle.serving(stack_name, host="localhost") as server:
            assert server.host in {"127.0.0.1", "::1"}
            await plain_works(server)
        if socket.has_ipv6:
            async with lifecycle.serving(stack_name, host="::1") as server:
                assert server.url == f"http://[::1]:{server.port}"
                await plain_works(server)

    run(scenario())


def test_loop_stays_the_owners(run: Run, stack_name: str) -> None:
    """Starting and stopping touch neither the loop's handlers nor its default executor."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with lifecycle.serving(stack_name) as server:
            await plain_works(server)
            assert vars(loop)["_default_executor"] is None
            assert loop.get_exception_handler() is None
        assert not loop.get_debug()

    run(scenario())


def test_stop_twice_and_cancelled(run: Run, stack_name: str) -> None:
    """Stops wait for the same end, and a stop whose caller is cancelled goes on."""

    async def scenario() -> None:
        async with nothing_left():
            server = await lifecycle.start(stack_name)
            ended = asyncio.create_task(server.ended())
            first = asyncio.create_task(server.stop())
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.gather(server.stop(), server.stop(), ended)
            assert first.cancelled()
            await server.stop()
            assert await refuses(server.host, server.port)

    run(scenario())


def test_idle_connections_do_not_delay_a_stop(run: Run, stack_name: str) -> None:
    """Idle connections are closed at once, used or never used, however long the grace."""

    async def scenario() -> None:
        async with nothing_left():
            async with lifecycle.serving(stack_name, settings=Settings(grace_s=3600)) as server:
                async with wire.connection(server) as used, wire.connection(server) as unused:
                    await used.ask(CASES["plain"].request)
                    await server.stop()
                    assert await used.closed()
                    assert await unused.closed()

    run(scenario())


@pytest.mark.parametrize("target", ["/?wait_ms=1400", "/hello/x?wait_ms=200"])
def test_request_in_flight_is_answered(run: Run, stack_name: str, target: str) -> None:
    """A request that fits into the grace is answered in full, while new ones are refused."""

    async def scenario() -> None:
        async with nothing_left():
            server = await lifecycle.start(stack_name, settings=Settings(grace_s=2.0))
            async with wire.connection(server) as client:
                await client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target.encode())
                await asyncio.sleep(0.1)
                stopping = asyncio.create_task(server.stop())
                for _ in range(20):  # the turns that a stop needs to close its listener
                    await asyncio.sleep(0)
                assert await refuses(server.host, server.port)
                assert not stopping.done()
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
def test_request_beyond_the_grace_is_ended(run: Run, stack_name: str, sent: bytes) -> None:
    """A request that outlasts the grace is ended without a success, and nothing of it is left."""

    async def scenario() -> None:
        async with nothing_left():
            async with lifecycle.serving(stack_name, settings=Settings(grace_s=0.3)) as server:
                async with wire.connection(server) as client:
                    await client.send(sent)
                    await asyncio.sleep(0.1)
                    await server.stop()
                    reply = await client.reply()
                    assert reply is None or reply.status == 500
                    assert await client.closed()

    run(scenario())


def test_a_client_that_does_not_read(run: Run, stack_name: str) -> None:
    """An answer that nobody takes does not keep a stop from ending."""

    async def scenario() -> None:
        body = b'"' + b"x" * 1_000_000 + b'"'
        head = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        async with nothing_left():
            async with lifecycle.serving(stack_name, settings=Settings(grace_s=0.3)) as server:
                with socket.create_connection((server.host, server.port)) as client:
                    client.setblocking(False)
                    loop = asyncio.get_running_loop()
                    sending = asyncio.create_task(loop.sock_sendall(client, (head + body) * 20))
                    await asyncio.sleep(0.3)
                    await server.stop()
                    with suppress(ConnectionError):
                        await sending

    run(scenario())


def test_unknown_stack(run: Run) -> None:
    """The message gives the nearest name and all names."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(UnknownStack) as caught:
                await lifecycle.start("quart-hypercron")
        names = ", ".join(STACKS)
        assert str(caught.value) == (
            "unknown stack 'quart-hypercron'; did you mean 'quart-hypercorn'? "
            f"known stacks: {names}"
        )
        with pytest.raises(UnknownStack, match="unknown stack 'xyz'; known stacks: "):
            stacks.find("xyz")

    run(scenario())


def test_port_in_use(run: Run, stack_name: str) -> None:
    """A port that is taken is one clear line, and what listens there goes on undisturbed."""

    async def scenario() -> None:
        async with nothing_left():
            async with lifecycle.serving("asyncio") as holder:
                with pytest.raises(PortInUse) as caught:
                    await lifecycle.start(stack_name, port=holder.port)
                await plain_works(holder)
        assert str(caught.value) == (
            f"127.0.0.1 port {holder.port} is in use; "
            "stop what listens there, or take another port or 0"
        )

    run(scenario())


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("192.0.2.1", "192.0.2.1 is no address of this machine; take one that is"),
        ("no.such.host.invalid", "cannot resolve host 'no.such.host.invalid'; name an address"),
    ],
)
def test_bad_host(run: Run, stack_name: str, host: str, line: str) -> None:
    """An address that is not here and a name that is nowhere are one clear line each."""

    async def scenario() -> None:
        await asyncio.to_thread(int)  # so that the executor's thread is there before
        async with nothing_left():
            with pytest.raises(ServerError) as caught:
                await lifecycle.start(stack_name, host=host)
        assert str(caught.value).startswith(line)
        assert "\n" not in str(caught.value)

    run(scenario())


class NoDatabase(Exception):
    """What the applications below raise when they start."""


def _fail() -> None:
    raise NoDatabase("the database\nis away")


async def _aiohttp_fails(host: str, port: int, settings: Settings) -> Serving:
    async def on_startup(app: web.Application) -> None:
        _fail()

    app = aiohttp_stack.create_app(settings)
    app.on_startup.append(on_startup)
    return await aiohttp_stack.serve(app, host, port, settings)


async def _quart_fails(host: str, port: int, settings: Settings) -> Serving:
    app: Quart = quart_hypercorn_stack.create_app(settings)

    @app.before_serving
    async def before_serving() -> None:
        _fail()

    return await quart_hypercorn_stack.serve(app, host, port, settings)


async def _quart_is_slow(host: str, port: int, settings: Settings) -> Serving:
    app: Quart = quart_hypercorn_stack.create_app(settings)

    @app.before_serving
    async def before_serving() -> None:
        await asyncio.sleep(0.02)

    return await quart_hypercorn_stack.serve(app, host, port, settings)


async def _answers_wrongly(host: str, port: int, settings: Settings) -> Serving:
    return await aiohttp_stack.serve(web.Application(), host, port, settings)


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Callable[[stacks.Start], str]:
    """Adds a stack with the given `start` to STACKS, and returns its name."""

    def add(start: stacks.Start) -> str:
        module = ModuleType("private_stack")
        vars(module)["start"] = start
        monkeypatch.setitem(sys.modules, module.__name__, module)
        row = replace(STACKS["asyncio"], name="private", module=module.__name__)
        monkeypatch.setitem(STACKS, row.name, row)
        return row.name

    return add


@pytest.mark.parametrize("start", [_aiohttp_fails, _quart_fails])
def test_startup_that_raises(
    run: Run, private: Callable[[stacks.Start], str], start: stacks.Start
) -> None:
    """The framework's own exception is the cause; the message is one line that names it."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(StartupFailed) as caught:
                await lifecycle.start(private(start))
            assert isinstance(caught.value.__cause__, NoDatabase)
            assert str(caught.value) == (
                "private failed to start: NoDatabase: the database is away; "
                "the traceback of the cause shows where"
            )
            # Drops the traceback, whose frames hold what the start had made.
            del caught

    run(scenario())


def test_startup_that_raises_gives_up_its_port(
    run: Run, private: Callable[[stacks.Start], str]
) -> None:
    """The port of a start-up that raised can be taken at once."""

    async def scenario() -> None:
        async with lifecycle.serving("asyncio") as server:
            port = server.port
        for start in (_aiohttp_fails, _quart_fails):
            with pytest.raises(StartupFailed):
                await lifecycle.start(private(start), port=port)
            assert await refuses("127.0.0.1", port)

    run(scenario())


def test_cancelled_start(run: Run, private: Callable[[stacks.Start], str]) -> None:
    """A start that is cancelled, at whatever point, leaves nothing behind."""

    async def scenario() -> None:
        for start in [*(stacks.load(stack) for stack in STACKS.values()), _quart_is_slow]:
            name = private(start)
            for turns in range(30):
                async with nothing_left():
                    starting = asyncio.create_task(lifecycle.start(name))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    starting.cancel()
                    await asyncio.wait({starting})
                    if not starting.cancelled():
                        await starting.result().stop()

    run(scenario())


def test_wrong_first_answer(run: Run, private: Callable[[stacks.Start], str]) -> None:
    """A server that listens but does not serve the contract has not started."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(StartupFailed, match="answered /plain with status 404 on http://"):
                await lifecycle.start(private(_answers_wrongly))

    run(scenario())


def test_missing_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack whose packages are not installed says which to install, and how."""
    row = replace(STACKS["asyncio"], name="away", module="servers.no_such_stack")
    monkeypatch.setitem(STACKS, row.name, row)

    async def scenario() -> None:
        with pytest.raises(StartupFailed) as caught:
            await lifecycle.start("away")
        assert str(caught.value) == (
            "stack away cannot be imported: No module named 'servers.no_such_stack'; "
            "install httptools (`make setup` does)"
        )

    run(scenario())
