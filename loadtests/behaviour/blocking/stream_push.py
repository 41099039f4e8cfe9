"""A handler that streams a body without ever sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.blocking.pushing import question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

PIECE = b"hello " * 10


def on_aiohttp(sleep_s: float | None) -> AbstractContextManager[Live]:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(PIECE)
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text="served")

    app = web.Application()
    app.router.add_get("/stream", stream)
    app.router.add_get("/", innocent)
    return aiohttp_server(app)


def on_quart(sleep_s: float | None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield PIECE
                if sleep_s is not None:
                    await asyncio.sleep(sleep_s)

        return pieces()

    @app.get("/")
    async def innocent() -> str:
        return "served"

    return hypercorn_server(app)


QUESTION = question(
    "Does a handler that streams without sleeping starve the others?",
    {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart},
    lambda wire: wire.request("GET", "/stream"),
)
