"""What the Questions about starting share: servers begun by hand in a loop of one's own."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from quart import Quart


def get(port: int, bound_s: float = 5.0) -> str | None:
    """The text of GET /; None where nobody listens. Tried again for a while, since a server that
    is started in a task does not listen at once."""
    until = time.monotonic() + bound_s
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Started:
    """A server in the running loop."""

    port: int
    stop: Callable[[], Awaitable[None]]


async def start_aiohttp(app: web.Application, port: int) -> Started:
    """As aiohttp's documentation shows it."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return Started(port, runner.cleanup)


async def start_hypercorn(app: Quart, port: int) -> Started:
    """As Hypercorn's documentation shows it."""
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


def aiohttp_app(text: str) -> web.Application:
    """GET / answers that text."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/", hello)
    return app


def quart_app(text: str) -> Quart:
    """GET / answers that text."""
    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        return text

    return app


async def on_aiohttp(text: str, port: int) -> Started:
    """A server that answers that text."""
    return await start_aiohttp(aiohttp_app(text), port)


async def on_hypercorn(text: str, port: int) -> Started:
    """A server that answers that text."""
    return await start_hypercorn(quart_app(text), port)


Start = Callable[[str, int], Awaitable[Started]]

STARTS: dict[str, Start] = {"aiohttp": on_aiohttp, "quart-hypercorn": on_hypercorn}
