"""Servers begun by hand in a loop of one's own: several, again on the same port, early clients."""

from __future__ import annotations

import asyncio
import socket
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config

from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework import raw_client
from loopbench.loadtests.behaviour.serving import (
    AIOHTTP,
    ANSWERING,
    QUART,
    App,
    Apps,
    Build,
    Live,
    serve,
)
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


Stop = Callable[[], Awaitable[None]]
"""Stops a server that runs in this loop."""


async def start(app: App, port: int) -> Stop:
    """As the documentation of aiohttp and Hypercorn shows it."""
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner.cleanup
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    stopping = asyncio.Event()
    running = hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait)
    serving = asyncio.create_task(running)

    async def stop() -> None:
        stopping.set()
        await serving

    return stop


async def _say(text: str) -> str:
    return text


def saying(stack: str, text: str = "hello") -> Any:
    """An application whose GET / answers that text."""
    return ANSWERING[stack]({"/": partial(_say, text)})


SAYING: Apps = {stack: partial(saying, stack) for stack in ANSWERING}
TIMES = 3


async def _several(saying: Build) -> Answer:
    ports = [free_port() for _ in range(TIMES)]
    stops = [await start(saying(f"server {n}"), port) for n, port in enumerate(ports)]
    together = [await asyncio.to_thread(get, port) for port in ports]
    await stops[0]()
    rest = [await asyncio.to_thread(get, port) for port in ports[1:]]
    gone = await asyncio.to_thread(get, ports[0], 0.0)
    for stop in stops[1:]:
        await stop()
    served = [f"server {n}" for n in range(TIMES)]
    all_serve = "all serve" if together == served else "not all serve"
    still = "the rest serve" if rest == served[1:] else "the rest are gone"
    return Answer(
        f"{all_serve}, after stopping one {still}",
        f"answers: {together}; after the first was stopped: {[gone, *rest]}",
    )


async def _again(saying: Build) -> Answer:
    """The client's connection is closed by the server, which leaves it in TIME_WAIT there."""
    port = free_port()
    answers = []
    for n in range(TIMES):
        try:
            stop = await start(saying(f"start {n}"), port)
            answers.append(await asyncio.to_thread(get, port))
        except OSError as error:
            return Answer(f"{type(error).__name__} at start {n}", f"{error}")
        with raw_client.Wire(port) as wire:
            await asyncio.to_thread(wire.ask, "GET", "/")
            await stop()
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


STARTING: dict[str, Callable[[Any, Callable[..., Any]], object]] = {
    AIOHTTP: lambda app, hook: app.on_startup.append(hook),
    QUART: lambda app, hook: app.before_serving(hook),
}


async def _serve_once(app: App, port: int, seen: Seen) -> None:
    stop = await start(app, port)
    await asyncio.to_thread(seen.wait, "answered")
    await stop()


@experiment("first-answer", AIOHTTP, DEFAULT, AIOHTTP)
@experiment("first-answer", QUART, DEFAULT, QUART)
def ask_early(stack: str) -> Answer:
    seen, port = Seen(), free_port()

    async def hook(*_: object) -> None:
        seen("hook begun")
        await asyncio.sleep(HOOK_S)
        seen("hook done")

    app = saying(stack)
    STARTING[stack](app, hook)
    refused: list[bool] = []
    client = threading.Thread(target=_client, args=(port, seen, refused))
    client.start()
    asyncio.run(_serve_once(app, port, seen))
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
