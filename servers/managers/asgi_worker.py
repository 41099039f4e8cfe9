"""The ASGI application that a worker of a server's own manager loads: the stack's, reporting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from loopbench.servers.adapters.asgi import Application, Receive, Scope, Send
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.errors import StartupFailed
from loopbench.servers.managers import worker as worker_process


class Reporting:
    """The stack's application, made at its start-up; the harness is told how that went.

    A request costs one plain call more than without.

    in_force: of the live server, asked on its loop.
    """

    def __init__(
        self, worker: worker_process.Worker, in_force: Callable[[Application], InForce]
    ) -> None:
        self._worker = worker
        self._in_force = in_force
        self._app: Any = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._worker.begin()
        try:
            self._app = await self._worker.application()
            await self._app(scope, receive, self._noting(send))
        except Exception as error:
            self._worker.failed(error)
            raise
        finally:
            self._worker.end()

    def _noting(self, send: Send) -> Send:
        async def note(message: Any) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                # The server goes on with it in this loop's next turns.
                asyncio.get_running_loop().call_soon(
                    self._worker.listening, lambda: self._in_force(self._app)
                )
            elif message["type"] == "lifespan.startup.failed":
                failure = StartupFailed(message.get("message", "") or "it gave no reason")
                self._worker.failed(self._app.startup_failure or failure)

        return note
