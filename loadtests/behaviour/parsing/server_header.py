"""What an answer says of the server by itself."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Reply, get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server


def _answer(reply: Reply) -> Answer:
    server = reply.header("server")
    date = "Date" if reply.header("date") else "no Date"
    said = re.sub(r"\d+(\.\d+)+", "(version)", server) if server else "nothing"
    return Answer(f"{said}, {date}", f"Server: {server}; Date: {reply.header('date')}")


async def remove(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


async def replace(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "mine"


def on_aiohttp(prepare: Any = None) -> Answer:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", handler)
    if prepare:
        app.on_response_prepare.append(prepare)
    with aiohttp_server(app) as server:
        return _answer(get(server.port, "/"))


def on_quart(named: bool = False, **options: Any) -> Answer:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return "hello"

    @app.after_request
    async def name(response: QuartResponse) -> QuartResponse:
        if named:
            response.headers["Server"] = "mine"
        return response

    with hypercorn_server(app, **options) as server:
        reply = get(server.port, "/")
    all_of = [value for name, value in reply.headers if name == "server"]
    if len(all_of) > 1:
        return Answer(f"Server twice: {' and '.join(all_of)}", f"Server: {' and '.join(all_of)}")
    return _answer(reply)


QUESTION = Question(
    asks="What does an answer say of its server by itself?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment("aiohttp", "Server removed in on_response_prepare", partial(on_aiohttp, remove)),
        Experiment("aiohttp", "Server set in on_response_prepare", partial(on_aiohttp, replace)),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
        Experiment(
            "quart-hypercorn",
            "include_server_header=False",
            partial(on_quart, include_server_header=False),
        ),
        Experiment(
            "quart-hypercorn",
            "include_date_header=False",
            partial(on_quart, include_date_header=False),
        ),
        Experiment("quart-hypercorn", "Server set in after_request", partial(on_quart, named=True)),
    ),
    follows={
        "*(version)*": "It names versions, which those who look for known holes like to read.",
        "Server twice*": "Switch Hypercorn's off where the application sets its own.",
    },
)
