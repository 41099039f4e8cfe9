"""How a handler can find out, without being cancelled, that its client has left."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from aiohttp import web
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope
from quart import Quart, request

from loopbench.loadtests.behaviour.disconnect.handling import with_body
from loopbench.loadtests.behaviour.disconnect.leaving import Begin, leave, rows
from loopbench.loadtests.behaviour.disconnect.withheld import ASGI
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    NONE,
    Answer,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

CHECKS = 100
BETWEEN_S = 0.02


def transport(seen: Seen) -> AbstractContextManager[Live]:
    """request.transport is None once the connection is lost."""

    async def handler(request: web.Request) -> web.Response:
        seen("begun")
        try:
            for _ in range(CHECKS):
                if request.transport is None:
                    seen("noticed")
                    break
                seen("checked")
                await asyncio.sleep(BETWEEN_S)
        finally:
            seen("over")
        return web.Response(text="done")

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


async def until_cancelled(seen: Seen) -> None:
    """Without asking: wait, and see whether one is told."""
    seen("begun")
    try:
        await asyncio.sleep(0.3)
    except asyncio.CancelledError:
        seen("noticed")
        raise
    finally:
        seen("over")


class Told:
    """An ASGI middleware that puts an event into the scope, set when the client has left.

    The disconnect itself is withheld, since Quart would cancel the handler.
    """

    def __init__(self, app: ASGI) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        left = asyncio.Event()

        async def telling() -> ASGIReceiveEvent:
            message = await receive()
            if message["type"] == "http.disconnect":
                left.set()
                await asyncio.Event().wait()
            return message

        if scope["type"] == "http":
            scope["extensions"]["client_left"] = {"event": left}
        await self._app(scope, telling, send)


def told(seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        left: asyncio.Event = request.scope["extensions"]["client_left"]["event"]
        seen("begun")
        try:
            for _ in range(CHECKS):
                if left.is_set():
                    seen("noticed")
                    break
                seen("checked")
                await asyncio.sleep(BETWEEN_S)
        finally:
            seen("over")
        return "done"

    app.asgi_app = Told(app.asgi_app)  # type: ignore[method-assign]
    return hypercorn_server(app)


def ask(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave once the handler has begun to look."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        leave(wire, seen, leaving)
        if not seen.wait("over"):
            raise TimeoutError("the handler never ended")
    noticed = "noticed" in seen
    checks = seen.events.count("checked")
    took = f"{seen.at('noticed') - seen.at('begun'):.3f} s after it began" if noticed else "never"
    asked = f"asked {checks} times in vain; " if checks else ""
    return Answer("noticed" if noticed else "not noticed", f"{asked}noticed: {took}")


def on_request_of_quart() -> Answer:
    """Look for it among what the request has to offer."""
    app = Quart(__name__)
    words = ("connect", "transport", "closed", "gone", "left", "alive")

    @app.get("/")
    async def handler() -> str:
        names = dir(request._get_current_object())  # type: ignore[attr-defined]
        return ",".join(
            name for name in names if not name.startswith("_") and any(w in name for w in words)
        )

    with hypercorn_server(app) as server:
        found = get(server.port, "/").text
    if found:
        return Answer(found, "the request has these")
    return Answer(
        NONE,
        f"nothing of the request has a name with any of {', '.join(words)}; the nearest thing is "
        "the cancellation, or an ASGI middleware that watches for http.disconnect",
    )


QUESTION = Question(
    asks="How can a handler find out that its client has left?",
    experiments=(
        *rows(ask, [("aiohttp", "request.transport is None", transport)]),
        Experiment("quart-hypercorn", DEFAULT, on_request_of_quart),
        *rows(ask, with_body(until_cancelled, "except CancelledError"), (Leaving.FIN,)),
        *rows(ask, [("quart-hypercorn", "an event set by an ASGI middleware", told)]),
    ),
    follows={
        "noticed": "It can be asked for between two pieces of work.",
        "not noticed": "It is found out at the next write only, if then.",
        "none": "Be cancelled, or have an ASGI middleware tell.",
    },
)
