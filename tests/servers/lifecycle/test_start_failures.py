"""Starts that fail: one clear line each, and nothing left behind."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web

from loopbench.servers import stacks
from loopbench.servers.adapters import (
    aiohttp_server,
    granian_server,
    hypercorn_server,
    uvicorn_server,
)
from loopbench.servers.adapters.asgi import Application
from loopbench.servers.adapters.protocol import Serving, Start
from loopbench.servers.apps import aiohttp_app, quart_app
from loopbench.servers.errors import PortInUse, ServerError, StartupFailed, UnknownStack
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import DEFAULT, STACKS
from loopbench.servers.starting import load
from tests.servers import choices
from tests.servers.lifecycle.traces import Run, nothing_left, plain_works, refuses


def test_unknown_stack(run: Run) -> None:
    """The message gives the nearest name and all names."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(UnknownStack) as caught:
                await in_loop.start("quart-hypercron")
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
            async with in_loop.serving("asyncio") as holder:
                with pytest.raises(PortInUse) as caught:
                    await in_loop.start(stack_name, port=holder.port)
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
                await in_loop.start(stack_name, host=host)
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

    app = aiohttp_app.create_app(settings)
    app.on_startup.append(on_startup)
    return await aiohttp_server.serve(app, host, port, settings)


Serve = Callable[[Application, str, int, Settings], Awaitable[Serving]]

ASGI_SERVERS: dict[str, Serve] = {
    "hypercorn": hypercorn_server.serve,
    "uvicorn": partial(uvicorn_server.serve, parser="h11"),
    "granian": granian_server.serve,
}
"""Each way to serve an ASGI application."""


def _quart(serve: Serve, before_serving: Callable[[], Awaitable[None]]) -> Start:
    async def start(host: str, port: int, settings: Settings) -> Serving:
        app = quart_app.create_app(settings)
        app.before_serving(before_serving)
        return await serve(app, host, port, settings)

    return start


async def _fail_later() -> None:
    await asyncio.sleep(0)
    _fail()


async def _take_long() -> None:
    await asyncio.sleep(0.02)


FAILING = {"aiohttp": _aiohttp_fails} | {
    name: _quart(serve, _fail_later) for name, serve in ASGI_SERVERS.items()
}


async def _answers_wrongly(host: str, port: int, settings: Settings) -> Serving:
    return await aiohttp_server.serve(web.Application(), host, port, settings)


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Callable[[Start], str]:
    """Adds a stack that is started so to STACKS, and returns its name."""

    def add(start: Start) -> str:
        module = ModuleType("private_stack")
        vars(module)["create_app"] = lambda settings: None
        vars(module)["serve"] = lambda app, host, port, settings: start(host, port, settings)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        own = module.__name__
        row = replace(STACKS["asyncio"], name="private", application=own, adapter=own)
        monkeypatch.setitem(STACKS, row.name, row)
        return row.name

    return add


@pytest.mark.parametrize("start", FAILING.values(), ids=FAILING)
def test_startup_that_raises(run: Run, private: Callable[[Start], str], start: Start) -> None:
    """The framework's own exception is the cause; the message is one line that names it."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(StartupFailed) as caught:
                await in_loop.start(private(start))
            assert isinstance(caught.value.__cause__, NoDatabase)
            assert str(caught.value) == (
                "private failed to start: NoDatabase: the database is away; "
                "the traceback of the cause shows where"
            )
            # Drops the traceback, whose frames hold what the start had made.
            del caught

    run(scenario())


def test_startup_that_raises_gives_up_its_port(run: Run, private: Callable[[Start], str]) -> None:
    """The port of a start-up that raised can be taken at once."""

    async def scenario() -> None:
        async with in_loop.serving("asyncio") as server:
            port = server.port
        for start in FAILING.values():
            with pytest.raises(StartupFailed):
                await in_loop.start(private(start), port=port)
            assert await refuses("127.0.0.1", port)

    run(scenario())


def cancelled(name: str, step: int) -> Coroutine[Any, Any, None]:
    """Start that stack again and again, and cancel each start some turns of the loop later."""

    async def scenario() -> None:
        for turns in range(0, 30, step):
            async with nothing_left():
                starting = asyncio.create_task(in_loop.start(name))
                for _ in range(turns):
                    await asyncio.sleep(0)
                starting.cancel()
                await asyncio.wait({starting})
                if not starting.cancelled():
                    await starting.result().stop()

    return scenario()


@pytest.mark.parametrize("name", choices.stacks(choices.KINDS))
def test_cancelled_start(run: Run, private: Callable[[Start], str], name: str) -> None:
    """A start that is cancelled, at whatever point, leaves nothing behind."""
    run(cancelled(private(load(STACKS[name])), 1 if name in DEFAULT else 6))


@pytest.mark.parametrize("server", ASGI_SERVERS)
def test_cancelled_start_that_takes_long(
    run: Run, private: Callable[[Start], str], server: str
) -> None:
    """Likewise, where the application of Quart's is not ready at once."""
    run(cancelled(private(_quart(ASGI_SERVERS[server], _take_long)), 1))


def test_wrong_first_answer(run: Run, private: Callable[[Start], str]) -> None:
    """A server that listens but does not serve the contract has not started."""

    async def scenario() -> None:
        async with nothing_left():
            with pytest.raises(StartupFailed, match="answered /plain with status 404 on http://"):
                await in_loop.start(private(_answers_wrongly))

    run(scenario())


@pytest.mark.parametrize(
    ("adapter", "packages", "why", "remedy"),
    [
        (
            "no_such_package",
            ("loopbench-is-not-installed", "httptools"),
            "No module named 'no_such_package'",
            "install loopbench-is-not-installed (`make setup` does)",
        ),
        (
            "no_such_package.server",
            ("httptools",),
            "No module named 'no_such_package'",
            f"install 'no_such_package' into this environment ({sys.executable} -m pip install …)",
        ),
        (
            "servers.no_such_stack",
            ("httptools",),
            "No module named 'servers.no_such_stack'",
            (
                "servers is there and has no servers.no_such_stack: correct the import, or servers "
                "itself"
            ),
        ),
        (
            "imports_wrongly",
            ("httptools",),
            "cannot import name 'no_such_name' from 'httptools' (FILE)",
            "correct that import, or have the versions of the lock again (`make clean setup`)",
        ),
    ],
)
def test_missing_module(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    adapter: str,
    packages: tuple[str, ...],
    why: str,
    remedy: str,
) -> None:
    """A stack that cannot be imported names what is missing: a package of its row, or what its
    modules import beside these; packages that are there are not to be installed."""
    (tmp_path / "imports_wrongly.py").write_text("from httptools import no_such_name\n")
    monkeypatch.syspath_prepend(tmp_path)
    row = replace(STACKS["asyncio"], name="away", adapter=adapter, packages=packages)
    monkeypatch.setitem(STACKS, row.name, row)

    async def scenario() -> None:
        with pytest.raises(StartupFailed) as caught:
            await in_loop.start("away")
        said = re.sub(r"\(/.*httptools.*\.py\)", "(FILE)", str(caught.value))
        assert said == f"stack away cannot be imported: {why}; {remedy}"

    run(scenario())
