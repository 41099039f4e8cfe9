"""A layer that does not let a WebSocket come about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, websocket

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import aiohttp_app, quart_app, shake_hands

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def middleware(app: web.Application) -> None:
    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        raise web.HTTPForbidden

    app.middlewares.append(refuse)


def before_request(app: Quart) -> None:
    @app.before_request
    async def refuse() -> tuple[str, int]:
        return "no", 403


def before_websocket(app: Quart) -> None:
    @app.before_websocket
    async def refuse() -> tuple[str, int]:
        return "no", 403


def before_websocket_aborts(app: Quart) -> None:
    @app.before_websocket
    async def refuse() -> None:
        abort(403)


def before_websocket_accepts(app: Quart) -> None:
    @app.before_websocket
    async def refuse() -> tuple[str, int]:
        await websocket.accept()
        return "no", 403


def asgi_middleware(app: Quart) -> None:
    """`close` before `accept` is how ASGI refuses."""
    inner = app.asgi_app

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await inner(scope, receive, send)

    app.asgi_app = refuse  # type: ignore[method-assign]


def _answer(server: Live, seen: Seen) -> Answer:
    with Wire(server.port) as wire:
        try:
            status = shake_hands(wire).split(b" ")[1].decode()
        except NoAnswer as error:
            status, came = "no answer", f"the handshake had no answer: {error}"
        else:
            came = f"the handshake was answered {status}"
        if status == "101":
            seen.wait("accepted", 1.0)  # to leave earlier could keep the handler from noting it
    server.stop()
    ran = "the handler ran" if "accepted" in seen else "the handler did not run"
    return Answer(f"{status}, {ran}", f"{came}; {ran}")


def on_aiohttp() -> Answer:
    seen = Seen()
    app = aiohttp_app(seen)
    middleware(app)
    with aiohttp_server(app) as server:
        return _answer(server, seen)


def on_quart(layer: Callable[[Quart], None]) -> Answer:
    seen = Seen()
    app = quart_app(seen)
    layer(app)
    with hypercorn_server(app) as server:
        return _answer(server, seen)


QUESTION = Question(
    asks="A layer refuses a WebSocket: what does the client get, and does the handler run?",
    experiments=(
        Experiment("aiohttp", "middleware raises HTTPForbidden", on_aiohttp),
        *(
            Experiment("quart-hypercorn", name, partial(on_quart, layer))
            for name, layer in {
                "before_request returns 403": before_request,
                "before_websocket returns 403": before_websocket,
                "before_websocket aborts with 403": before_websocket_aborts,
                "before_websocket returns 403 after accept": before_websocket_accepts,
                "ASGI middleware closes": asgi_middleware,
            }.items()
        ),
    ),
    claims=(
        Claim(
            "before_request keeps out whoever is not logged in.",
            {"101, the handler ran": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "403, the handler did not run": "The client sees an ordinary refusal of the handshake.",
        "101, the handler ran": "Nothing is refused: use before_websocket, or ASGI middleware.",
        "101, the handler did not run": "The WebSocket opens and closes again: refuse before it "
        "is accepted.",
    },
)
