"""An application with one handler, `GET /`, that awaits what it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import Begin, begins
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Body = Callable[[Seen], Awaitable[None]]
"""What the handler awaits; it reports `begun` first."""


def on_aiohttp(seen: Seen, body: Body, **options: Any) -> AbstractContextManager[Live]:
    """options: of AppRunner."""

    async def handler(_: web.Request) -> web.Response:
        await body(seen)
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app, **options)


def on_quart(seen: Seen, body: Body, **options: Any) -> AbstractContextManager[Live]:
    """options: of Hypercorn's Config."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await body(seen)
        return "done"

    return hypercorn_server(app, **options)


def with_body(body: Body, setting: str = "") -> list[tuple[str, str, Begin[Seen]]]:
    """Both stacks with that body, for `rows`."""
    return begins(partial(on_aiohttp, body=body), partial(on_quart, body=body), setting)
