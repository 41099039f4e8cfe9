"""A person's own application, as the servers here take it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Mapping
from typing import Any

from loopbench.servers.adapters import asgi
from loopbench.servers.adapters.protocol import InForce
from loopbench.servers.custom import application
from loopbench.servers.custom.own_output import last_line, last_line_before
from loopbench.servers.custom.traceback_text import named, place
from loopbench.servers.errors import StartupFailed
from loopbench.servers.parts import ASGI, OwnApp


async def create_app(own: OwnApp) -> Any:
    """The application, imported in this process. Raises as `application.application` does."""
    app = await application.application(own)
    return Hosted(app) if application.kind(own, app) == ASGI else app


def prepare(own: OwnApp) -> None:
    """See `application.prepare`."""
    application.prepare(own)


class Hosted:
    """A person's ASGI application as `asgi.Application`.

    A request costs one plain call more. A start-up that fails, or exits, is remembered, and one
    that the application does not know (it raises, as ASGI allows) is taken for done.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.startup_failure: BaseException | None = None

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._lifespan(scope, receive, send)
        answering: Awaitable[None] = self._app(scope, receive, send)
        return answering

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        last_type = ""

        async def note(message: Any) -> None:
            nonlocal last_type
            last_type = message["type"]
            if last_type == "lifespan.startup.failed":
                # Some give their whole traceback.
                text = message.get("message", "").rstrip().rpartition("\n")[2]
                text = text or f"it gave no reason{last_line()}"
                self.startup_failure = StartupFailed(f"the application's start-up failed: {text}")
            await send(message)

        try:
            await self._app(scope, receive, note)
        except SystemExit as error:  # out of a task it would end the loop
            if last_type:
                raise
            text = f"{named(error)}{place(error, os.getcwd())}{last_line_before(error)}"
            await note({"type": "lifespan.startup.failed", "message": text})
        except Exception as error:
            if last_type:
                raise
            print(f"no ASGI lifespan: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if not last_type:
            await send({"type": "lifespan.startup.complete"})
            while (await receive())["type"] != "lifespan.shutdown":
                pass
            await send({"type": "lifespan.shutdown.complete"})

    def handling(self) -> set[asyncio.Task[Any]]:
        """See `asgi.Application`: every task in the midst of a call with a request's scope."""
        return {
            task
            for task in asyncio.all_tasks()
            if any(_of_a_request(names.get("scope")) for names in asgi.awaited_frames(task))
        }

    def in_force(self) -> InForce:
        """See `asgi.Application`. Only the application knows, and there is no one way to ask."""
        return {"body_limit_bytes": None, "debug": None, "json": None}


def _of_a_request(scope: object) -> bool:
    return isinstance(scope, Mapping) and scope.get("type") == "http"
