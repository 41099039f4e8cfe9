"""Cookies that come twice, in quotes, or malformed."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, jsonify, request
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both, head, reply_to

HEADERS = {
    "Cookie: a=1; a=2": ("Cookie: a=1; a=2",),
    "Cookie: a=1 and Cookie: b=2": ("Cookie: a=1", "Cookie: b=2"),
    'Cookie: a="x y"': ('Cookie: a="x y"',),
    "Cookie: a=x y": ("Cookie: a=x y",),
    "Cookie: a=%41": ("Cookie: a=%41",),
    "Cookie: b; a=1": ("Cookie: b; a=1",),
}


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(dict(request.cookies))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> QuartResponse:
        return jsonify({name: request.cookies[name] for name in request.cookies})

    return hypercorn_server(app)


def ask(serve: Serve, setting: str) -> Answer:
    with serve() as server:
        reply = reply_to(server.port, head("GET", "/", *HEADERS[setting]))
    if reply.status != 200:
        return Answer(f"{reply.status}", f"it said {reply.text[:60]!r}")
    found = json.loads(reply.body)
    twice = sum(header.count("a=") for header in HEADERS[setting]) > 1
    which = {"1": ", the first", "2": ", the last"}[found["a"]] if twice else ""
    words = ", ".join(f"{name} is {value!r}" for name, value in sorted(found.items())) or "nothing"
    return Answer(f"{words}{which}", f"the handler saw {words}")


QUESTION = Question(
    asks="How are cookies read?",
    experiments=tuple(
        experiment
        for setting in HEADERS
        for experiment in both(
            setting, ask, setting, servers={"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
        )
    ),
    follows={
        "*, the last": "The last of several of one name wins.",
        "*, the first": "The first of several of one name wins: browsers put that of the longest "
        "path first.",
        "a is '1'": "The second Cookie header is passed over. Clients of HTTP/2 may send several, "
        "which a proxy in front has to join.",
    },
)
