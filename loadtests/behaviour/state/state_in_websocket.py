"""What a WebSocket's handler has of the state that a request has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, current_app, g, request, session, websocket

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import shake_hands, until_closed

USER = web.RequestKey("user", str)


def _answer(server: Live) -> Answer:
    with Wire(server.port) as wire:
        shake_hands(wire, "/ws?user=Ada")
        frame = until_closed(wire)
    # Frames of a short text: a byte of kind, a byte of length, the text; then the closing one.
    said = [part[1:].decode() for part in frame.partition(b"\x88")[0].split(b"\x81") if part]
    if len(said) != 2:
        return Answer("no two messages", f"the WebSocket said {frame!r}")
    same = "the same for the second message" if said[0] == said[1] else "not for the second message"
    return Answer(f"{said[0]}, {same}", f"the two messages were {said[0]!r} and {said[1]!r}")


def on_aiohttp() -> Answer:
    @web.middleware
    async def store(request: web.Request, handler: Any) -> web.StreamResponse:
        request[USER] = request.query["user"]
        response: web.StreamResponse = await handler(request)
        return response

    async def talk(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for _ in range(2):
            await socket.send_str(f"found {request[USER]}")
        await socket.close()
        return socket

    app = web.Application(middlewares=[store])
    app.router.add_get("/ws", talk)
    with aiohttp_server(app) as server:
        return _answer(server)


def _in_session() -> str:
    session["user"] = "Ada"
    return str(session["user"])


WAYS: dict[str, Callable[[], str]] = {
    "websocket.args": lambda: str(websocket.args["user"]),
    "request.args": lambda: str(request.args["user"]),
    "g, set in before_websocket": lambda: str(g.user),
    "current_app.config": lambda: str(current_app.config["USER"]),
    "session": _in_session,
}


def on_quart(look: Callable[[], str]) -> Answer:
    app = Quart(__name__)
    app.config["USER"] = "Ada"
    app.secret_key = "not a secret"

    @app.before_websocket
    async def store() -> None:
        g.user = websocket.args["user"]

    @app.websocket("/ws")
    async def talk() -> None:
        for _ in range(2):
            try:
                await websocket.send(f"found {look()}")
            except Exception as error:
                await websocket.send(type(error).__name__)

    with hypercorn_server(app) as server:
        return _answer(server)


QUESTION = Question(
    asks="Which of the state of a request is there in a WebSocket's handler?",
    experiments=(
        Experiment("aiohttp", "request[key], set in a middleware", on_aiohttp),
        *(
            Experiment("quart-hypercorn", name, partial(on_quart, look))
            for name, look in WAYS.items()
        ),
    ),
    claims=(
        Claim(
            "`request` is there in every handler.",
            {"RuntimeError*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "RuntimeError*": "A WebSocket has `websocket` in place of `request`: code for both has to "
        "ask `has_websocket_context()`.",
        "found Ada, the same*": "It lives as long as the WebSocket does, not as long as a message.",
    },
)
