"""A bare application on an asyncio.Protocol: the yardstick's server."""

from __future__ import annotations

import asyncio

import httptools

from loopbench.servers.adapters.asyncio_connection import Connection, Hub
from loopbench.servers.adapters.bare import Application
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.settings import Settings


class AsyncioServing:
    """A bare application that listens."""

    def __init__(self, hub: Hub, server: asyncio.Server) -> None:
        self.port: int = server.sockets[0].getsockname()[1]
        self._hub = hub
        self._server = server
        self._ended = asyncio.Event()

    async def stop(self) -> None:
        hub = self._hub
        hub.stopping = True
        hub.drained.clear()
        self._server.close()
        tasks = [connection.task for connection in hub.connections if connection.task]
        for connection in list(hub.connections):
            connection.retire()
        if hub.connections:
            try:
                await asyncio.wait_for(hub.drained.wait(), hub.app.settings.grace_s)
            except TimeoutError:
                for connection in list(hub.connections):
                    connection.abort()
                await hub.drained.wait()
        if tasks:
            await asyncio.wait(tasks)
        self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()

    def in_force(self) -> InForce:
        settings = self._hub.app.settings
        parser = httptools.HttpRequestParser
        return {
            **self._hub.app.in_force(),
            "keep_alive_s": None,
            "grace_s": settings.grace_s,
            "backlog": vars(self._server)["_backlog"],
            "access_log": False,
            "debug": asyncio.get_running_loop().get_debug(),
            "http_parser": f"{parser.__module__}.{parser.__qualname__}",
            "max_requests_per_connection": None,
            "request_threads": None,
        }


async def serve(app: Application, host: str, port: int, settings: Settings) -> AsyncioServing:
    """Listen with `app`; see `protocol.Serve`."""
    hub = Hub(app)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(hub),
        host,
        port,
        backlog=settings.backlog,
        reuse_address=True,
        reuse_port=settings.reuse_port,
        start_serving=False,
    )
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return AsyncioServing(hub, server)
