"""What a handler keeps with its response, for the layers around it."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, Response, g

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    NONE,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.state.warned import warned

COST = web.ResponseKey("cost", str)


def on_aiohttp(key: Any) -> Answer:
    seen = Seen()

    async def handler(_: web.Request) -> web.Response:
        response = web.Response()
        response[key] = "9"
        return response

    @web.middleware
    async def read(request: web.Request, handler: Any) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)
        seen(f"middleware finds {response.get(key)}")
        return response

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        seen(f"on_response_prepare finds {response.get(key)}")

    app = web.Application(middlewares=[read])
    app.router.add_get("/", handler)
    app.on_response_prepare.append(prepare)
    with warned() as names, aiohttp_server(app) as server:
        get(server.port, "/")
    return _answer(seen, names)


def on_quart() -> Answer:
    """Whether a response is a mapping at all."""
    has = [name for name in ("__setitem__", "__getitem__") if hasattr(Response, name)]
    if has:
        return Answer(f"a response has {', '.join(has)}", "Quart's Response is a mapping now")
    return Answer(NONE, "a Response of Quart has no __setitem__; the nearest thing is g")


def g_on_quart() -> Answer:
    seen = Seen()
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        g.cost = "9"
        return ""

    @app.after_request
    async def after(response: Any) -> Any:
        seen(f"after_request finds {g.get('cost')}")
        return response

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        seen(f"teardown_request finds {g.get('cost')}")

    with warned() as names, hypercorn_server(app) as server:
        get(server.port, "/")
    return _answer(seen, names)


def _answer(seen: Seen, warnings: list[str]) -> Answer:
    finders = [event.partition(" finds 9")[0] for event in seen.events if event.endswith(" 9")]
    found = f"found by {' and '.join(finders)}" if finders else "found by nobody"
    return Answer(
        ", ".join((found, *sorted(set(warnings)))),
        f"{', '.join(seen.events)}; warnings: {len(warnings)}",
    )


QUESTION = Question(
    asks="Can a handler put something into its response for the layers around it?",
    experiments=(
        Experiment("aiohttp", 'response["cost"]', partial(on_aiohttp, "cost")),
        Experiment("aiohttp", 'web.ResponseKey("cost", str)', partial(on_aiohttp, COST)),
        Experiment("quart-hypercorn", 'response["cost"]', on_quart),
        Experiment("quart-hypercorn", "g.cost", g_on_quart),
    ),
    claims=(
        Claim(
            "A response is a dictionary, as a request is one.",
            {"found by*Warning": Agrees.PARTLY, "found by middleware*": Agrees.YES},
            ("aiohttp",),
        ),
    ),
    follows={
        "*Warning": "Strings still work, with one warning for each name: make a `web.ResponseKey`.",
        "found by after_request and teardown_request": "`g` serves, since it belongs to the "
        "request.",
        NONE: "Keep it in `g`.",
    },
)
