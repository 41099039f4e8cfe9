"""Two layers around a handler: which runs first."""

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
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import STOP_S, aiohttp_app, quart_app

BOTH = ("first", "second")
WRAPPERS = ("first wrapper", "second wrapper")
"""In the order in which they are registered."""


def middlewares(app: web.Application, seen: Seen, names: tuple[str, ...]) -> None:
    """Appended in this order."""

    def named(name: str) -> Any:
        @web.middleware
        async def layer(request: web.Request, handler: Any) -> web.StreamResponse:
            seen(f"{name} in")
            response: web.StreamResponse = await handler(request)
            seen(f"{name} out")
            return response

        return layer

    app.middlewares.extend(named(name) for name in names)


def hooks(app: Quart, seen: Seen, names: tuple[str, ...]) -> None:
    def named(name: str) -> None:
        @app.before_request
        async def enter() -> None:
            seen(f"{name} in")

        @app.after_request
        async def leave(response: Any) -> Any:
            seen(f"{name} out")
            return response

    for name in names:
        named(name)


def asgi_middlewares(app: Quart, seen: Seen, names: tuple[str, ...]) -> None:
    """Each wraps what was there before it."""

    def named(name: str, inner: Any) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            seen(f"{name} in")
            await inner(scope, receive, send)
            seen(f"{name} out")

        return layer

    for name in names:
        app.asgi_app = named(name, app.asgi_app)  # type: ignore[method-assign]


def hooks_and_asgi(app: Quart, seen: Seen, names: tuple[str, ...]) -> None:
    hooks(app, seen, ("hook",))
    asgi_middlewares(app, seen, ("ASGI middleware",))


def _answer(seen: Seen) -> Answer:
    return Answer(", ".join(seen.events), f"{len(seen.events)} events: {', '.join(seen.events)}")


def on_aiohttp(names: tuple[str, ...] = BOTH) -> Answer:
    seen = Seen()
    app = aiohttp_app(seen)
    middlewares(app, seen, names)
    with aiohttp_server(app) as server:
        get(server.port, "/")
        server.stop(STOP_S)
    return _answer(seen)


def on_quart(
    around: Callable[[Quart, Seen, tuple[str, ...]], None], names: tuple[str, ...] = BOTH
) -> Answer:
    seen = Seen()
    app = quart_app(seen)
    around(app, seen, names)
    with hypercorn_server(app) as server:
        get(server.port, "/")
        server.stop(STOP_S)
    return _answer(seen)


QUESTION = Question(
    asks="In which order do two layers run?",
    experiments=(
        Experiment("aiohttp", "middlewares=[first, second]", on_aiohttp),
        Experiment("quart-hypercorn", "before_request, after_request", partial(on_quart, hooks)),
        Experiment(
            "quart-hypercorn",
            "app.asgi_app = second(first(app.asgi_app))",
            partial(on_quart, asgi_middlewares, WRAPPERS),
        ),
        Experiment(
            "quart-hypercorn", "hooks and ASGI middleware", partial(on_quart, hooks_and_asgi)
        ),
    ),
    claims=(
        Claim(
            "The first middleware of the list is the outermost.",
            {
                "first in, second in, handler, second out, first out": Agrees.YES,
                "second in, first in, handler, first out, second out": Agrees.NO,
            },
            ("aiohttp",),
        ),
        Claim(
            "after_request hooks run in the reverse of the order in which they were registered.",
            {
                "first in, second in, handler, second out, first out": Agrees.YES,
                "*first out, second out": Agrees.NO,
            },
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "first in, second in, *, second out, first out": "Put what must see everything, such as "
        "timing and error handling, first.",
        "second wrapper in, first wrapper in, *": "What wraps last is the outermost, other than in "
        "a list of middlewares: add what must see everything at the end.",
        "ASGI middleware in, *": "ASGI middleware is outside every hook, whenever it was added.",
    },
)
