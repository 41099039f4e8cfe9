"""Any ASGI application on granian's embedded server, in this loop.

HTTP is spoken in granian's own threads, in Rust; the application runs here.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from typing import Any, Self

from granian.asgi import LifespanProtocol
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.embed import Server

from loopbench.servers.adapters import asgi, descriptors
from loopbench.servers.adapters.asgi import Application, TaskServing
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.errors import StartupFailed
from loopbench.servers.settings import Settings

_TO_STANDARD_ERROR: dict[str, dict[str, dict[str, object]]] = {
    "handlers": {},
    "loggers": {"_granian": {}, "granian.access": {}},
}
"""granian would write to standard output, with handlers of its own."""


class _Server(Server):
    """A granian that takes over a socket that is bound already."""

    def __init__(self, app: Application, listener: socket.socket, settings: Settings) -> None:
        super().__init__(
            app,
            # Without its start-up: granian would not say when that has ended, or how.
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,  # else it looks for HTTP/2 on every connection
            http1_settings=HTTP1Settings(header_read_timeout=int(settings.keep_alive_s * 1000)),
            backlog=settings.backlog,
            log_level=LogLevels.error,
            log_dictconfig=_TO_STANDARD_ERROR,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # What serves will close the descriptor, and does so as it refuses new connections.
        holder: Any = SocketHolder
        self._shd = holder(self._listener.detach(), False, self.backlog)

    def serves(self) -> bool:
        """Whether the one that serves has begun to; it needs no turn of the loop in between."""
        tasks: list[Any] = [worker._task for worker in self.wrks]
        states = [inspect.getcoroutinestate(task.get_coro()) for task in tasks]
        return bool(states) and inspect.CORO_CREATED not in states


class GranianServing(TaskServing):
    """An application that listens through `granian.server.embed.Server`."""

    def __init__(
        self, app: Application, lifespan: Any, listener: socket.socket, settings: Settings
    ) -> None:
        super().__init__(app, listener, settings)
        self._lifespan = lifespan
        self._server = _Server(app, listener, settings)

    async def _serve(self) -> None:
        try:
            await self._server.serve()
        finally:
            await self._lifespan.shutdown()

    async def begin(self) -> Self:
        """See `TaskServing`. One that is cancelled is stopped when it has begun: granian does not
        hear of it before."""
        self._task = asyncio.create_task(self._serve())
        listening = asyncio.create_task(self._listening())
        try:
            await asyncio.shield(listening)
        except asyncio.CancelledError:
            await asyncio.wait({listening})
            await self.stop()
            raise
        return self

    async def _listening(self) -> None:
        while not self._server.serves():
            if self._task.done():
                self._task.result()
                raise StartupFailed("granian ended before it accepted a connection; see its log")
            await asyncio.sleep(0)

    def _ask_to_stop(self) -> None:
        self._server.stop()  # type: ignore[no-untyped-call]

    def _abort(self) -> None:
        # granian waits for its clients without a bound, and has nothing to end them with.
        descriptors.shut_down(self.port)

    def in_force(self) -> InForce:
        server = self._server
        assert server.http1_settings is not None
        return {
            **self._app.in_force(),
            # It is also how long the head of a request may take.
            "keep_alive_s": server.http1_settings.header_read_timeout / 1000,
            "grace_s": self._grace_s,
            "backlog": server.backlog,
            "access_log": server.log_access,
            "http_parser": "hyper, within granian._granian",
            "max_requests_per_connection": None,
            "request_threads": None,
        }


async def _started(app: Application) -> Any:
    """Run the application's start-up as granian does. Raises what that raised."""
    lifespan: Any = LifespanProtocol(app)  # type: ignore[no-untyped-call]
    try:
        await lifespan.startup()
        if lifespan.interrupt:
            raise app.startup_failure or StartupFailed("the ASGI start-up failed; see the log")
    except BaseException:
        await asgi.end_lifespan(lifespan)
        raise
    return lifespan


async def serve(app: Application, host: str, port: int, settings: Settings) -> GranianServing:
    """Listen with `app`; see `protocol.Serve`."""
    listener = asgi.listen(host, port, settings)
    # As on a listener that granian makes; accepted connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        lifespan = await _started(app)
    except BaseException:
        listener.close()
        raise
    return await GranianServing(app, lifespan, listener, settings).begin()
