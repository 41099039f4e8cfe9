"""A handler that pushes WebSocket messages without ever sleeping."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, websocket

from loopbench.loadtests.behaviour.blocking.pushing import question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import shake_hands

MESSAGE = "hello " * 10


def on_aiohttp(sleep_s: float | None) -> AbstractContextManager[Live]:
    async def push(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while not socket.closed:
            await socket.send_str(MESSAGE)
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)
        return socket

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text="served")

    app = web.Application()
    app.router.add_get("/push", push)
    app.router.add_get("/", innocent)
    return aiohttp_server(app)


def on_quart(sleep_s: float | None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.websocket("/push")
    async def push() -> None:
        while True:
            await websocket.send(MESSAGE)
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)

    @app.get("/")
    async def innocent() -> str:
        return "served"

    return hypercorn_server(app)


QUESTION = question(
    "Does a loop that pushes WebSocket messages without sleeping starve the others?",
    {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart},
    lambda wire: shake_hands(wire, "/push"),
)
