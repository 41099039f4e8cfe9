"""A layer with parameters, used twice with different ones."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
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
from loopbench.loadtests.behaviour.framework.raw_client import Reply, get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import aiohttp_app, quart_app

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def factory(name: str) -> Any:
    """A function that makes the middleware."""

    @web.middleware
    async def tag(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers[name] = "1"
        return response

    return tag


def undecorated(name: str) -> Any:
    """The same without the decorator, which is what marks a middleware as new-style."""

    async def tag(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers[name] = "1"
        return response

    return tag


def old_style(name: str) -> Any:
    """As middlewares were before the decorator: called once a request, they return a handler."""

    async def make(_: web.Application, handler: Handler) -> Handler:
        async def tag(request: web.Request) -> web.StreamResponse:
            response = await handler(request)
            response.headers[name] = "1"
            return response

        return tag

    return make


@web.middleware
class Tag:
    """A decorated class, whose objects are called."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers[self.name] = "1"
        return response


def hook_factory(app: Quart, name: str) -> None:
    def tag(response: Any) -> Any:
        response.headers[name] = "1"
        return response

    app.after_request(tag)


def asgi_class(app: Quart, name: str) -> None:
    class Asgi:
        def __init__(self, inner: Any, name: str) -> None:
            self.inner, self.name = inner, name

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def tagging(message: Any) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], (self.name.encode(), b"1")]
                await send(message)

            await self.inner(scope, receive, tagging)

    app.asgi_app = Asgi(app.asgi_app, name)  # type: ignore[method-assign]


def _answer(reply: Reply, warned: list[str]) -> Answer:
    tags = [name for name in ("x-one", "x-two") if reply.header(name)]
    worked = {0: "neither ran", 1: "one of the two ran", 2: "each with its own parameter"}
    said = f", {' and '.join(sorted(set(warned)))}" if warned else ""
    return Answer(
        f"{reply.status}, {worked[len(tags)]}{said}",
        f"headers {' and '.join(tags) or 'of neither'}; warnings: {len(warned)}",
    )


def on_aiohttp(make: Callable[[str], Any]) -> Answer:
    app = aiohttp_app(Seen())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        app.middlewares.extend([make("X-One"), make("X-Two")])
        with aiohttp_server(app) as server:
            reply = get(server.port, "/")
    return _answer(reply, [warning.category.__name__ for warning in caught])


def on_quart(install: Callable[[Quart, str], None]) -> Answer:
    app = quart_app(Seen())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name in ("X-One", "X-Two"):
            install(app, name)
        with hypercorn_server(app) as server:
            reply = get(server.port, "/")
    return _answer(reply, [warning.category.__name__ for warning in caught])


QUESTION = Question(
    asks="How does one give a middleware parameters?",
    experiments=(
        Experiment("aiohttp", "factory", partial(on_aiohttp, factory)),
        Experiment("aiohttp", "factory, without @web.middleware", partial(on_aiohttp, undecorated)),
        Experiment("aiohttp", "async def make(app, handler)", partial(on_aiohttp, old_style)),
        Experiment("aiohttp", "class under @web.middleware", partial(on_aiohttp, Tag)),
        Experiment("quart-hypercorn", "after_request(factory(…))", partial(on_quart, hook_factory)),
        Experiment("quart-hypercorn", "ASGI class", partial(on_quart, asgi_class)),
    ),
    claims=(
        Claim(
            "A middleware is a coroutine that takes application and handler.",
            {"200, each with its own parameter, DeprecationWarning": Agrees.PARTLY},
            ("aiohttp",),
        ),
    ),
    follows={
        "200, *DeprecationWarning": "The old style still works, and is announced to end: decorate "
        "a coroutine that takes request and handler.",
        "200, each with its own parameter": "Make as many as you like; each keeps its own.",
        "500, *DeprecationWarning": "Without the decorator it is taken for one of the old style, "
        "and given the application in place of the request: decorate the inner function.",
    },
)
