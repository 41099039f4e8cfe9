"""An application inside another: whose layers run, in which order."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart

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
from loopbench.loadtests.behaviour.order.layers import STOP_S, told

TARGETS = {"a route": "/inner/", "no route": "/inner/missing"}


def subapps(seen: Seen) -> web.Application:
    def watched(name: str) -> web.Application:
        @web.middleware
        async def around(request: web.Request, handler: Any) -> web.StreamResponse:
            seen(f"{name} in")
            try:
                response: web.StreamResponse = await handler(request)
            finally:
                seen(f"{name} out")
            return response

        async def prepare(_: web.Request, response: web.StreamResponse) -> None:
            seen(f"{name} prepare")

        app = web.Application(middlewares=[around])
        app.on_response_prepare.append(prepare)
        return app

    async def handler(_: web.Request) -> web.Response:
        seen("handler")
        return web.Response(text="hello")

    outer, inner = watched("outer"), watched("inner")
    inner.router.add_get("/", handler)
    outer.add_subapp("/inner", inner)
    return outer


def blueprints(seen: Seen) -> Quart:
    def watch(name: str, where: Quart | Blueprint) -> None:
        @where.before_request
        async def enter() -> None:
            seen(f"{name} in")

        @where.after_request
        async def leave(response: Any) -> Any:
            seen(f"{name} out")
            return response

        @where.teardown_request
        async def teardown(_: BaseException | None) -> None:
            seen(f"{name} teardown")

    app, inner = Quart(__name__), Blueprint("inner", __name__, url_prefix="/inner")
    watch("outer", app)
    watch("inner", inner)

    @inner.get("/")
    async def handler() -> str:
        seen("handler")
        return "hello"

    app.register_blueprint(inner)
    return app


def _answer(seen: Seen, came_back: str) -> Answer:
    return Answer(", ".join(seen.events), f"{len(seen.events)} events; got {came_back}")


def on_aiohttp(target: str) -> Answer:
    seen = Seen()
    with aiohttp_server(subapps(seen)) as server:
        came_back = told(get(server.port, target))
        server.stop(STOP_S)
    return _answer(seen, came_back)


def on_quart(target: str) -> Answer:
    seen = Seen()
    with hypercorn_server(blueprints(seen)) as server:
        came_back = told(get(server.port, target))
        server.stop(STOP_S)
    return _answer(seen, came_back)


QUESTION = Question(
    asks="In which order do the layers of an application and of one nested in it run, and does "
    "the nested one see paths under its prefix that have no route?",
    experiments=(
        *(
            Experiment("aiohttp", f"add_subapp, {name}", partial(on_aiohttp, target))
            for name, target in TARGETS.items()
        ),
        *(
            Experiment("quart-hypercorn", f"Blueprint, {name}", partial(on_quart, target))
            for name, target in TARGETS.items()
        ),
    ),
    claims=(
        Claim(
            "The nested application's middlewares run for everything under its prefix.",
            {"outer in, inner in, *": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "A blueprint's hooks run for everything under its prefix.",
            {"outer in, inner in, *": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "outer in, inner in, *": "What the outer one does comes before, and after, what the inner "
        "one does: it has the last word on the response.",
        "outer in, outer out*": "Unknown paths under the prefix are the outer one's: a login check "
        "or an error page of the inner one does not meet them.",
    },
)
