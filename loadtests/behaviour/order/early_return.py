"""A layer that answers by itself: what still runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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
from loopbench.loadtests.behaviour.order.layers import STOP_S, aiohttp_app, quart_app, told
from loopbench.loadtests.behaviour.order.middleware_order import hooks, middlewares

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def on_aiohttp(raises: bool) -> Answer:
    """The second of three middlewares answers."""
    seen = Seen()
    app = aiohttp_app(seen)

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen("second answers")
        if raises:
            raise web.HTTPForbidden
        return web.Response(status=403)

    middlewares(app, seen, ("first",))
    app.middlewares.append(refuse)
    middlewares(app, seen, ("third",))

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        seen("on_response_prepare")

    app.on_response_prepare.append(prepare)
    with aiohttp_server(app) as server:
        came_back = told(get(server.port, "/"))
        server.stop(STOP_S)
    return Answer(", ".join(seen.events), f"got {came_back}")


def on_quart() -> Answer:
    """The second of three pairs of hooks answers."""
    seen = Seen()
    app = quart_app(seen)
    hooks(app, seen, ("first",))
    _refuse(app, seen)
    hooks(app, seen, ("third",))

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        seen("teardown")

    with hypercorn_server(app) as server:
        came_back = told(get(server.port, "/"))
        server.stop(STOP_S)
    return Answer(", ".join(seen.events), f"got {came_back}")


def _refuse(app: Quart, seen: Seen) -> None:
    @app.before_request
    async def refuse() -> tuple[str, int]:
        seen("second answers")
        return "no", 403

    @app.after_request
    async def leave(response: Any) -> Any:
        seen("second out")
        return response


QUESTION = Question(
    asks="Of three layers the second one answers by itself: what still runs?",
    experiments=(
        Experiment("aiohttp", "middleware returns a response", lambda: on_aiohttp(False)),
        Experiment("aiohttp", "middleware raises HTTPForbidden", lambda: on_aiohttp(True)),
        Experiment("quart-hypercorn", "before_request returns a response", on_quart),
    ),
    claims=(
        Claim(
            "A before_request that answers skips the after_request hooks too.",
            {"*second answers, third out*": Agrees.NO, "*": Agrees.YES},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "*second answers, third out*": "Every after hook runs, also those whose before hook did "
        "not: it must not rely on what the latter sets up, in `g` for instance.",
        "*second answers, first out*": "Only what is further out runs on: what must see refusals, "
        "such as logging, goes before what refuses.",
        "*second answers, on_response_prepare": "The exception passes the outer middleware by, "
        "unless it has `try`/`finally`; the signal sees the answer.",
    },
)
