"""A layer that wants another route to be taken than the one that the path leads to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OLD, NEW = "/old", "/new"


@web.middleware
async def clone(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Gives the handler a request with another path."""
    return await handler(request.clone(rel_url=NEW))


@web.middleware
async def redirect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets the client ask again."""
    if request.path == OLD:
        raise web.HTTPPermanentRedirect(NEW)
    return await handler(request)


def on_aiohttp(middleware: Any) -> Answer:
    def route(name: str) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            return web.Response(text=f"{name} route, request.path {request.path}")

        return handler

    app = web.Application(middlewares=[middleware])
    for path in (OLD, NEW):
        app.router.add_get(path, route(path))
    with aiohttp_server(app) as server:
        return _answer(server)


def in_before_request(app: Quart) -> None:
    @app.before_request
    async def rewrite() -> None:
        request.path = NEW


def in_asgi_middleware(app: Quart) -> None:
    inner = app.asgi_app

    async def rewrite(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == OLD:
            scope = {**scope, "path": NEW, "raw_path": NEW.encode()}
        await inner(scope, receive, send)

    app.asgi_app = rewrite  # type: ignore[method-assign]


def on_quart(install: Callable[[Quart], None]) -> Answer:
    app = Quart(__name__)
    for path in (OLD, NEW):

        @app.get(path, endpoint=path)
        async def handler(path: str = path) -> str:
            return f"{path} route, request.path {request.path}"

    install(app)
    with hypercorn_server(app) as server:
        return _answer(server)


def _answer(server: Live) -> Answer:
    reply = get(server.port, OLD)
    to = reply.header("location")
    if to:
        return Answer(f"{reply.status} to {to}", f"GET {OLD} gave {reply.status}, Location: {to}")
    return Answer(f"{reply.status}, {reply.text}", f"GET {OLD} gave {reply.status}: {reply.text}")


QUESTION = Question(
    asks="Can a layer choose another route by changing the path?",
    experiments=(
        Experiment("aiohttp", "middleware, request.clone(rel_url=…)", partial(on_aiohttp, clone)),
        Experiment("aiohttp", "middleware redirects", partial(on_aiohttp, redirect)),
        Experiment(
            "quart-hypercorn",
            "before_request, request.path = …",
            partial(on_quart, in_before_request),
        ),
        Experiment("quart-hypercorn", "ASGI middleware", partial(on_quart, in_asgi_middleware)),
    ),
    claims=(
        Claim(
            "Middlewares run before routing.",
            {"200, /old route, *": Agrees.NO, "200, /new route, *": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "200, /old route, *": "The route has been found by then: this only changes what the "
        "handler reads.",
        "200, /new route, *": "This stands before the router, so that the path may be changed.",
        "30? to *": "The client asks again, at the price of a round trip.",
    },
)
