"""The contract's WebSockets on Quart, for any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

from quart import current_app, websocket

from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.handlers.broadcast import GOODBYE_S, Feed, pushing

sockets: Handlers[Callable[[], Awaitable[None]]] = Handlers()


@sockets
async def ws_echo() -> None:
    while True:
        # Quart hands on an empty binary message as None.
        message = cast(str | bytes | None, await websocket.receive())
        await websocket.send(b"" if message is None else message)


@sockets
async def ws_push() -> None:
    push = pushing(websocket.args.get("rate"), websocket.args.get("stamped"))
    await push(websocket.send)


@sockets
async def ws_feed() -> None:
    feed: Feed = cast(Any, current_app).backing.feed
    await websocket.accept()
    code = await feed.follow(websocket.send)
    if code is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(websocket.close(code), GOODBYE_S)
