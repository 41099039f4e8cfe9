"""Where an async route runs, and plain code that it calls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loadtests.behaviour.dispatch.sync_route import placed, where
from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=where())

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return where()

    return hypercorn_server(app)


def ask(begin: Callable[[], AbstractContextManager[Live]]) -> Answer:
    with begin() as server:
        return placed(get(server.port, "/").text)


QUESTION = Question(
    asks="On which thread does an async route run, with the plain functions that it calls?",
    experiments=(
        Experiment("aiohttp", DEFAULT, lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(on_quart)),
    ),
    claims=(
        Claim(
            "aiohttp handles everything on one thread.",
            {"loop thread*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "Quart runs synchronous code in a pool.",
            {"worker thread*": Agrees.YES, "loop thread*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "loop thread*": "Plain functions that an async route calls run on the loop too: only a "
        "whole route can be synchronous, or a call through `asyncio.to_thread`.",
    },
)
