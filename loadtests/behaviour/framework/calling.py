"""Applications of either framework whose GET / awaits a body or calls plain code.

The client gets what that returns, as text. Where a question is about the handler itself,
its module has one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

Body = Callable[[], Awaitable[object]]
"""What an async handler awaits."""

Plain = Callable[[], object]
"""What plain code does."""

Way = Callable[[Plain], Awaitable[object]]
"""How an async handler has plain code run, such as asyncio.to_thread."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""A handler of aiohttp, and what a middleware is given as one."""


def answering(handler: Handler, *middlewares: Any) -> web.Application:
    """An aiohttp application whose GET / is that handler."""
    app = web.Application(middlewares=middlewares)
    app.router.add_get("/", handler)
    return app


def aiohttp_awaiting(body: Body) -> web.Application:
    """On aiohttp, an async handler."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=str(await body()))

    return answering(handler)


def quart_awaiting(body: Body) -> Quart:
    """On Quart, an async route."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return str(await body())

    return app


def quart_sync(plain: Plain) -> Quart:
    """On Quart, a sync route, which Quart runs in a thread."""
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return str(plain())

    return app


async def called(plain: Plain) -> object:
    """The way of an async handler that calls plain code on the loop."""
    return plain()


async def in_executor(plain: Plain) -> object:
    """The way through the loop's default executor."""
    return await asyncio.get_running_loop().run_in_executor(None, plain)


def aiohttp_calling(plain: Plain, way: Way = called) -> web.Application:
    """On aiohttp, plain code run in that way."""
    return aiohttp_awaiting(partial(way, plain))


def quart_calling(plain: Plain, way: Way = called) -> Quart:
    """On Quart, plain code that an async route runs in that way."""
    return quart_awaiting(partial(way, plain))


def aiohttp_in_thread(plain: Plain) -> web.Application:
    """On aiohttp, plain code in a thread: what is nearest to a sync route of Quart."""
    return aiohttp_calling(plain, asyncio.to_thread)
