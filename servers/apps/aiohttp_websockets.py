"""The contract's WebSockets on aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import WSMsgType, web

from loopbench.servers.apps.handlers import Handlers
from loopbench.servers.contract.close_codes import Close
from loopbench.servers.contract.limits import MESSAGE_LIMIT_BYTES
from loopbench.servers.handlers.broadcast import GOODBYE_S, pushing
from loopbench.servers.handlers.resources import Backing

BACKING: web.AppKey[Backing] = web.AppKey("backing", Backing)


sockets: Handlers[Callable[[web.Request], Awaitable[web.StreamResponse]]] = Handlers()


async def _socket(request: web.Request) -> web.WebSocketResponse:
    # aiohttp refuses a message of this size, too.
    limit = MESSAGE_LIMIT_BYTES + 1
    socket = web.WebSocketResponse(max_msg_size=limit, compress=False)
    await socket.prepare(request)
    return socket


@sockets
async def ws_echo(request: web.Request) -> web.StreamResponse:
    socket = await _socket(request)
    with suppress(ConnectionError):
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
    return socket


@sockets
async def ws_push(request: web.Request) -> web.StreamResponse:
    push = pushing(request.query.get("rate"), request.query.get("stamped"))
    socket = await _socket(request)
    return await _until_it_leaves(socket, push(socket.send_str))


@sockets
async def ws_feed(request: web.Request) -> web.StreamResponse:
    feed = request.app[BACKING].feed
    socket = await _socket(request)

    async def follow() -> None:
        code = await feed.follow(socket.send_bytes)
        if code is not None:
            await _dismiss(request, socket, code)

    return await _until_it_leaves(socket, follow())


async def _dismiss(request: web.Request, socket: web.WebSocketResponse, code: Close) -> None:
    """Close a connection whose client may not be reading: then it would wait for ever."""
    transport = request.transport
    with suppress(TimeoutError, ConnectionError):
        await asyncio.wait_for(socket.close(code=code), GOODBYE_S)
    if transport is not None:
        transport.abort()


async def _until_it_leaves(
    socket: web.WebSocketResponse, sending: Coroutine[Any, Any, None]
) -> web.StreamResponse:
    """Send, and read what the client says: only so is it seen that it has left."""
    task = asyncio.get_running_loop().create_task(sending)
    try:
        async for _ in socket:
            pass
    finally:
        task.cancel()
        await asyncio.wait({task})
    return socket
