"""A header that is to be on every answer: set in each of the places where it can be set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import (
    AiohttpLayer,
    Talk,
    aiohttp_app,
    quart_app,
    shake_hands,
    until_closed,
)

NAME = "X-Everywhere"


def _get(target: str) -> Talk:
    return lambda port: get(port, target).header(NAME) or ""


def _handshake(port: int) -> str:
    with Wire(port) as wire:
        head = shake_hands(wire).decode().lower()
        until_closed(wire)
    return "1" if f"{NAME.lower()}: 1" in head else ""


TALKS = {
    "an answer": _get("/"),
    "a stream": _get("/stream"),
    "404": _get("/missing"),
    "500": _get("/raise"),
    "a WebSocket's handshake": _handshake,
}


def on_response_prepare(app: web.Application, _: Seen) -> None:
    async def tag(_: web.Request, response: web.StreamResponse) -> None:
        response.headers[NAME] = "1"

    app.on_response_prepare.append(tag)


def middleware(app: web.Application, _: Seen) -> None:
    @web.middleware
    async def tag(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        response.headers[NAME] = "1"
        return response

    app.middlewares.append(tag)


def middleware_for_exceptions(app: web.Application, _: Seen) -> None:
    @web.middleware
    async def tag(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            error.headers[NAME] = "1"
            raise
        response.headers[NAME] = "1"
        return response

    app.middlewares.append(tag)


def after_request(app: Quart) -> None:
    @app.after_request
    async def tag(response: Any) -> Any:
        response.headers[NAME] = "1"
        return response


def asgi_middleware(app: Quart) -> None:
    inner = app.asgi_app
    carriers = ("http.response.start", "websocket.accept", "websocket.http.response.start")

    async def tag(scope: Any, receive: Any, send: Any) -> None:
        async def tagging(message: Any) -> None:
            if message["type"] in carriers:
                headers = [*message.get("headers", ()), (NAME.lower().encode(), b"1")]
                message = {**message, "headers": headers}
            await send(message)

        await inner(scope, receive, tagging)

    app.asgi_app = tag  # type: ignore[method-assign]


def _answer(server: Live) -> Answer:
    found = {name: talk(server.port) == "1" for name, talk in TALKS.items()}
    lacking = [name for name, has in found.items() if not has]
    on = ", ".join(name for name, has in found.items() if has) or "none of them"
    answer = f"on all but {', '.join(lacking)}" if lacking else "on all of them"
    return Answer(answer, f"of {len(found)} kinds of answers it is on {on}")


def on_aiohttp(layer: AiohttpLayer) -> Answer:
    seen = Seen()
    app = aiohttp_app(seen)
    layer(app, seen)
    with aiohttp_server(app) as server:
        return _answer(server)


def on_quart(layer: Callable[[Quart], None]) -> Answer:
    app = quart_app(Seen())
    layer(app)
    with hypercorn_server(app) as server:
        return _answer(server)


QUESTION = Question(
    asks="Is a header that a layer sets on an ordinary answer, a stream, a 404, a 500 and a "
    "WebSocket's handshake?",
    experiments=(
        Experiment("aiohttp", "on_response_prepare", partial(on_aiohttp, on_response_prepare)),
        Experiment("aiohttp", "middleware", partial(on_aiohttp, middleware)),
        Experiment(
            "aiohttp",
            "middleware, except web.HTTPException",
            partial(on_aiohttp, middleware_for_exceptions),
        ),
        Experiment("quart-hypercorn", "after_request", partial(on_quart, after_request)),
        Experiment("quart-hypercorn", "ASGI middleware", partial(on_quart, asgi_middleware)),
    ),
    claims=(
        Claim(
            "One place is enough to put a header on every answer.",
            {"on all of them": Agrees.YES, "on all but*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "on all of them": "This is the place for headers such as those of security.",
        "on all but*a stream*": "What streams has sent its head when the handler returns: nothing "
        "fails, the header is just not there. Use `on_response_prepare`.",
        "on all but a WebSocket's handshake": "Give the header to `websocket.accept(headers=…)` "
        "too, or set it in ASGI middleware.",
    },
)
