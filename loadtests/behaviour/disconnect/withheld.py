"""An ASGI middleware that keeps it from an application that its client has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope

ASGI = Callable[[Scope, ASGIReceiveCallable, ASGISendCallable], Coroutine[Any, Any, None]]
"""An ASGI application, as Quart's `app.asgi_app` is one."""


class DisconnectWithheld:
    """Everything is handed on but `http.disconnect`.

    Use it as `app.asgi_app = DisconnectWithheld(app.asgi_app)`.
    """

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        async def patient() -> ASGIReceiveEvent:
            message = await receive()
            if message["type"] == "http.disconnect":
                # Until whoever waits for messages is cancelled, since the handler is done.
                await asyncio.Event().wait()
            return message

        await self._app(scope, patient, send)
