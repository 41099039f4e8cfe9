"""`asyncio.get_event_loop()` inside a sync route."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get


def look() -> str:
    """What the call gives on this thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError as error:
            return f"raises RuntimeError: {error}"
    return "the running loop" if loop.is_running() else "a loop that does not run"


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(look))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return look()

    return hypercorn_server(app)


def ask(begin: Callable[[], AbstractContextManager[Live]]) -> Answer:
    with begin() as server:
        text = get(server.port, "/").text
    return Answer(text.partition(":")[0], text)


QUESTION = Question(
    asks="What does `asyncio.get_event_loop()` do in a worker thread?",
    experiments=(
        Experiment("aiohttp", "through asyncio.to_thread", lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", "in a sync route", lambda: ask(on_quart)),
    ),
    claims=(
        Claim(
            "asyncio.get_event_loop() returns the application's loop.",
            {"the running loop": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "raises*": "Take the loop while you are on it (`asyncio.get_running_loop()` at start-up) "
        "and hand it to the thread.",
    },
)
