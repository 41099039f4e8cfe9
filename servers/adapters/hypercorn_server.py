"""Any ASGI application on Hypercorn, in this loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

import h11
import hypercorn.asyncio
from hypercorn.config import Config, Sockets
from hypercorn.utils import LifespanFailureError

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.asgi import LAST_WORDS_S, Application, TaskServing
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.contract.limits import MESSAGE_LIMIT_BYTES
from loopbench.servers.settings import Settings


def settle(config: Config, settings: Settings) -> None:
    """Set Hypercorn's options to the settings of every stack."""
    config.accesslog = None
    config.backlog = settings.backlog
    config.keep_alive_timeout = settings.keep_alive_s
    config.keep_alive_max_requests = sys.maxsize
    config.websocket_max_message_size = MESSAGE_LIMIT_BYTES


class _BoundConfig(Config):
    """A Hypercorn configuration that hands over a socket that is bound already.

    Hypercorn can take a descriptor by number, but then nobody knows whether
    to close it after a start-up that failed, and child processes inherit it.
    """

    def __init__(self, listener: socket.socket, settings: Settings) -> None:
        super().__init__()
        self._listener = listener
        settle(self, settings)
        # Without a handler and a level of its own, which would be the process's.
        self.errorlog = logging.getLogger("hypercorn.error")
        # Too late to matter, see `TaskServing.stop`.
        self.graceful_timeout = settings.grace_s + 2 * LAST_WORDS_S

    def create_sockets(self) -> Sockets:
        return Sockets([], [self._listener], [])


class HypercornServing(TaskServing):
    """An application that listens through `hypercorn.asyncio.serve`."""

    def __init__(self, app: Application, listener: socket.socket, settings: Settings) -> None:
        super().__init__(app, listener, settings)
        self._config = _BoundConfig(listener, settings)
        self._asked_to_stop = asyncio.Event()

    async def _serve(self) -> None:
        try:
            await hypercorn.asyncio.serve(
                self._app, self._config, shutdown_trigger=self._until_asked, mode="asgi"
            )
        except LifespanFailureError as failure:
            raise self._app.startup_failure or failure from None
        finally:
            self._listener.close()

    async def _until_asked(self) -> None:
        self.accepting.set()  # Hypercorn calls this once it accepts connections
        await self._asked_to_stop.wait()

    def _ask_to_stop(self) -> None:
        self._asked_to_stop.set()

    def _abort(self) -> None:
        for _, names in asgi.outermost_frames():
            if names.get("config") is self._config and "writer" in names:
                names["writer"].transport.abort()

    def in_force(self) -> InForce:
        return {**in_force(self._app, self._config), "grace_s": self._grace_s}


def in_force(app: Application, config: Config) -> InForce:
    """What the live objects say, see `protocol.Serving.in_force`."""
    return {
        **app.in_force(),
        "keep_alive_s": config.keep_alive_timeout,
        "grace_s": config.graceful_timeout,
        "backlog": config.backlog,
        "access_log": config.log.access_logger is not None,
        "http_parser": f"{h11.Connection.__module__}.{h11.Connection.__qualname__}",
        "max_requests_per_connection": config.keep_alive_max_requests,
        "request_threads": None,
    }


async def serve(app: Application, host: str, port: int, settings: Settings) -> HypercornServing:
    """Listen with `app`; see `protocol.Serve`."""
    return await HypercornServing(app, asgi.listen(host, port, settings), settings).begin()
