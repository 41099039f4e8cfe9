"""How a query is read: keys that come twice, blanks, plus signs and escapes that are none."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, jsonify, request
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        query = request.query
        return web.json_response({"pairs": list(query.items()), "by name": query["a"]})

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> QuartResponse:
        query = request.args
        return jsonify({"pairs": list(query.items(multi=True)), "by name": query["a"]})

    return hypercorn_server(app)


def ask(serve: Serve, query: str) -> Answer:
    with serve() as server:
        reply = get(server.port, f"/{query}")
    if reply.status != 200:
        return Answer(f"{reply.status}", f"it said {reply.text[:80]!r}")
    seen = json.loads(reply.body)
    pairs = ", ".join(f"{name}={value!r}" for name, value in seen["pairs"])
    keys = [name for name, _ in seen["pairs"]]
    by_name = f"; by name {seen['by name']!r}" if keys.count("a") > 1 else ""
    return Answer(f"{pairs}{by_name}", f"the pairs were {pairs}, and a by name {seen['by name']!r}")


SERVERS = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}

QUESTION = Question(
    asks="How is a query read?",
    experiments=tuple(
        experiment
        for query in ("?a=1&a=2", "?a=&b", "?a=1+2", "?a=%zz", "?a=%FF", "?a=1;b=2", "?A=1&a=2")
        for experiment in both(query, ask, query, servers=SERVERS)
    ),
    follows={
        "*; by name '1'": "A look-up by name gives the first of several; `getall` (aiohttp) and "
        "`getlist` (Quart) give all.",
    },
)
