"""What the Questions about paths share: an application with one route, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aiohttp import web
from quart import Quart, jsonify
from quart import Response as QuartResponse

from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import head, reply_to


def aiohttp_route(path: str, **options: Any) -> AbstractContextManager[Live]:
    """GET path answers with the parameters of the path. options: of the Application."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(dict(request.match_info))

    app = web.Application(**options)
    app.router.add_get(path, handler)
    return aiohttp_server(app)


def quart_route(
    path: str, change: Callable[[Quart], None] = lambda _: None, **options: Any
) -> AbstractContextManager[Live]:
    """GET path answers with the parameters of the path. options: of the route."""
    app = Quart(__name__)
    change(app)

    @app.get(path, **options)
    async def handler(**parameters: Any) -> QuartResponse:
        return jsonify(parameters)

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], target: str) -> Answer:
    """GET target: the status, and the parameters or the place that it is sent to."""
    with server as live:
        reply = reply_to(live.port, head("GET", target))
    if reply.status == 200:
        found = json.loads(reply.body).items()
        values = ", ".join(f"{name} is {value!r}" for name, value in found)
        text = f"200, {values}" if values else "200"
        return Answer(text, f"GET {target[:60]} gave {text}")
    to = reply.header("location")
    text = f"{reply.status} to {to.removeprefix('http://localhost')}" if to else f"{reply.status}"
    place = f" with Location: {to}" if to else ""
    return Answer(text, f"GET {target[:60]} gave {reply.status}{place}")
