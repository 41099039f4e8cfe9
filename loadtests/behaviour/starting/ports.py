"""Servers begun by hand in a loop of one's own: several, again on the same port, early clients."""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from quart import Quart

from loopbench.loadtests.behaviour.applications import aiohttp_answering, quart_answering
from loopbench.loadtests.behaviour.asking import Answer, experiments
from loopbench.loadtests.behaviour.framework import raw_client
from loopbench.loadtests.behaviour.framework.servers import ASGI
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Apps, Build, Live, serve
from loopbench.loadtests.behaviour.talking import Seen
from loopbench.loadtests.services.free_port import free_port


def get(port: int, bound_s: float = 5.0) -> str | None:
    """The text of GET /; None where nobody listens. Tried again for a while, since a server that
    is started in a task does not listen at once."""
    until = time.monotonic() + bound_s
    while True:
        try:
            return raw_client.get(port, "/").text
        except ConnectionRefusedError:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Started:
    """A server in the running loop."""

    port: int
    stop: Callable[[], Awaitable[None]]


async def start(app: App, port: int) -> Started:
    """As the documentation of aiohttp and Hypercorn shows it."""
    if isinstance(app, web.Application):
        return await _start_aiohttp(app, port)
    return await _start_hypercorn(app, port)


async def _start_aiohttp(app: web.Application, port: int) -> Started:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return Started(port, runner.cleanup)


async def _start_hypercorn(app: ASGI, port: int) -> Started:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    stopping = asyncio.Event()
    serving = asyncio.create_task(
        hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait)
    )

    async def stop() -> None:
        stopping.set()
        await serving

    return Started(port, stop)


async def _say(text: str) -> str:
    return text


def aiohttp_saying(text: str = "hello") -> web.Application:
    """GET / answers that text."""
    return aiohttp_answering({"/": partial(_say, text)})


def quart_saying(text: str = "hello") -> Quart:
    """The same."""
    return quart_answering({"/": partial(_say, text)})


SAYING: Apps = {AIOHTTP: aiohttp_saying, QUART: quart_saying}
TIMES = 3


async def _several(saying: Build) -> Answer:
    started = [await start(saying(f"server {n}"), free_port()) for n in range(TIMES)]
    together = [await asyncio.to_thread(get, one.port) for one in started]
    await started[0].stop()
    rest = [await asyncio.to_thread(get, one.port) for one in started[1:]]
    gone = await asyncio.to_thread(get, started[0].port, 0.0)
    for one in started[1:]:
        await one.stop()
    all_served = together == [f"server {n}" for n in range(TIMES)]
    rest_served = rest == [f"server {n}" for n in range(1, TIMES)]
    answer = (
        f"{'all serve' if all_served else 'not all serve'}, after stopping one "
        f"{'the rest serve' if rest_served else 'the rest are gone'}"
    )
    return Answer(answer, f"answers: {together}; after the first was stopped: {[gone, *rest]}")


async def _again(saying: Build) -> Answer:
    """The client's connection is closed by the server, which leaves it in TIME_WAIT there."""
    port = free_port()
    answers = []
    for n in range(TIMES):
        try:
            started = await start(saying(f"start {n}"), port)
            answers.append(await asyncio.to_thread(get, port))
        except OSError as error:
            return Answer(f"{type(error).__name__} at start {n}", f"{error}")
        with raw_client.Wire(port) as wire:
            await asyncio.to_thread(wire.ask, "GET", "/")
            await started.stop()
    served = answers == [f"start {n}" for n in range(TIMES)]
    return Answer(
        "serves again at once" if served else "does not serve again", f"the answers: {answers}"
    )


@experiments("several-servers", SAYING, (), _several)
@experiments("same-port-again", SAYING, (), _again)
def ask_on_loop(saying: Build, measure: Callable[[Build], Coroutine[Any, Any, Answer]]) -> Answer:
    return asyncio.run(measure(saying))


HOOK_S = 0.5


def _client(port: int, seen: Seen, refused: list[bool]) -> None:
    """Comes in the middle of the hook, then waits until it is answered."""
    seen.wait("hook begun")
    refused.append(get(port, 0.0) is None)
    if get(port) is not None:
        seen("answered")


def aiohttp_hooked(hook: Callable[..., Awaitable[None]]) -> web.Application:
    app = aiohttp_saying()
    app.on_startup.append(hook)
    return app


def quart_hooked(hook: Callable[..., Awaitable[None]]) -> Quart:
    app = quart_saying()
    app.before_serving(hook)
    return app


async def _serve_once(hooked: Build, port: int, seen: Seen) -> None:
    async def hook(*_: object) -> None:
        seen("hook begun")
        await asyncio.sleep(HOOK_S)
        seen("hook done")

    started = await start(hooked(hook), port)
    await asyncio.to_thread(seen.wait, "answered")
    await started.stop()


@experiments("first-answer", {AIOHTTP: aiohttp_hooked, QUART: quart_hooked})
def ask_early(hooked: Build) -> Answer:
    seen, port = Seen(), free_port()
    refused: list[bool] = []
    client = threading.Thread(target=_client, args=(port, seen, refused))
    client.start()
    asyncio.run(_serve_once(hooked, port, seen))
    client.join()
    early = "refused meanwhile" if refused[0] else "accepted meanwhile"
    late = seen.events.index("answered") > seen.events.index("hook done")
    order = "answered after the hook" if late else "answered before the hook has ended"
    return Answer(f"{early}, {order}", f"a client in the middle of the hook: {early}; {order}")


REQUESTS = 10


def _accepted(live: Live) -> list[socket.socket]:
    """The server's own sockets of accepted connections, found among the process's objects."""

    async def look() -> list[Any]:
        loop = asyncio.get_running_loop()
        transports = getattr(loop, "_transports", {})
        return [one.get_extra_info("socket") for one in list(transports.values())]

    found = [one for one in live.call(look()) if one is not None]
    return [one for one in found if one.getsockname()[1] == live.port]


@experiments("small-answer-delay", SAYING)
def ask_delay(application: Build) -> Answer:
    """Read the option from the live socket; the times are evidence only."""
    with serve(application()) as server, raw_client.Wire(server.port) as wire:
        times = [wire.ask("GET", "/").took_s * 1000 for _ in range(REQUESTS)]
        options = {
            bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            for one in _accepted(server)
        }
    if len(options) != 1:
        raise LookupError(f"no accepted connection could be read, or they differ: {options}")
    answer = "TCP_NODELAY on" if options.pop() else "TCP_NODELAY off"
    return Answer(
        answer,
        f"{answer}; the median of {REQUESTS} answers on one connection took "
        f"{statistics.median(times):.1f} ms",
    )
