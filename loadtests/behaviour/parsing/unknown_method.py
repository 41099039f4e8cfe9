"""Methods that HTTP does not know, or that are written in lower case."""

from __future__ import annotations

from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import both, head, outcome


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.method)

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_route("PURGE", "/purge", handler)
    app.router.add_route("FOO", "/foo", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    async def handler() -> str:
        return request.method

    app.add_url_rule("/", "root", handler)
    app.add_url_rule("/purge", "purge", handler, methods=["PURGE"])
    app.add_url_rule("/foo", "foo", handler, methods=["FOO"])
    return hypercorn_server(app)


REQUESTS = {
    "FOO to a GET route": head("FOO", "/"),
    "FOO to a FOO route": head("FOO", "/foo"),
    "PURGE to a PURGE route": head("PURGE", "/purge"),
    "get to a GET route": head("get", "/"),
}

QUESTION = Question(
    asks="What becomes of a method that HTTP does not know?",
    experiments=tuple(
        experiment
        for setting, data in REQUESTS.items()
        for experiment in both(
            setting, outcome, data, servers={"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
        )
    ),
    follows={
        "400*": "aiohttp's parser refuses a method that it does not know before it looks for a "
        "route: a route for it can be registered and is never reached.",
    },
)
