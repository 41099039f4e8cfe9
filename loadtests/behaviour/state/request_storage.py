"""What is kept with a request: who finds it, and until when."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, g, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.state.warned import warned

USER = web.RequestKey("user", str)


def on_aiohttp(key: Any) -> Answer:
    """A middleware stores, if it is told to; the handler says what it finds."""

    @web.middleware
    async def store(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.query_string == "store":
            request[key] = "Ada"
        response: web.StreamResponse = await handler(request)
        return response

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.get(key, "nothing"))

    app = web.Application(middlewares=[store])
    app.router.add_get("/", handler)
    with warned() as names, aiohttp_server(app) as server:
        return _answer(server, names)


def on_quart(in_g: bool) -> Answer:
    app = Quart(__name__)

    @app.before_request
    async def store() -> None:
        if request.query_string == b"store":
            where: Any = g if in_g else request
            where.user = "Ada"

    @app.get("/")
    async def handler() -> str:
        where: Any = g if in_g else request
        return str(getattr(where, "user", "nothing"))

    with warned() as names, hypercorn_server(app) as server:
        return _answer(server, names)


def _answer(server: Live, warnings: list[str]) -> Answer:
    """The same connection carries both requests."""
    found = []
    with Wire(server.port) as wire:
        for target in ("/?store", "/"):
            wire.request("GET", target)
            found.append(wire.answer().text)
    here = "found by the handler" if found[0] == "Ada" else "not found by the handler"
    after = "gone with the request" if found[1] == "nothing" else "still there for the next one"
    words = [here, after, *sorted(set(warnings))]
    return Answer(
        ", ".join(words),
        f"the handler found {found[0]}, and with the next request {found[1]}; "
        f"warnings: {len(warnings)}",
    )


QUESTION = Question(
    asks="Is what is stored with a request found by its handler, and gone with the next request "
    "of the same connection?",
    experiments=(
        Experiment("aiohttp", 'request["user"]', partial(on_aiohttp, "user")),
        Experiment("aiohttp", 'web.RequestKey("user", str)', partial(on_aiohttp, USER)),
        Experiment("quart-hypercorn", "g.user", partial(on_quart, True)),
        Experiment("quart-hypercorn", "request.user", partial(on_quart, False)),
    ),
    claims=(
        Claim(
            'A middleware passes things on to the handler as request["name"].',
            {
                "found by the handler, gone with the request": Agrees.YES,
                "found by the handler, gone with the request, *": Agrees.PARTLY,
            },
            ("aiohttp",),
        ),
    ),
    follows={
        "*Warning": "Strings still work, with one warning for each name: make a `web.RequestKey`.",
        "found by the handler, gone with the request": "Safe for what belongs to one request, "
        "such as the user.",
    },
)
