"""Where a route runs whose code is synchronous."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get


def where() -> str:
    """The thread that this runs on, and whether a loop runs there."""
    loop = None
    with suppress(RuntimeError):
        loop = asyncio.get_running_loop()
    return f"{threading.current_thread().name}, {'on' if loop else 'without'} a running loop"


def placed(text: str) -> Answer:
    """What `where` said, as an answer."""
    thread, _, loop = text.partition(", ")
    place = "loop thread" if thread == "loop" else "worker thread"
    return Answer(f"{place}, {loop}", f"it ran on thread {thread!r}, {loop}")


def on_aiohttp() -> Answer:
    async def handler(_: web.Request) -> web.Response:
        text = await asyncio.get_running_loop().run_in_executor(None, where)
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/", handler)
    with aiohttp_server(app) as server:
        return placed(get(server.port, "/").text)


def on_quart() -> Answer:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return where()

    with hypercorn_server(app) as server:
        return placed(get(server.port, "/").text)


QUESTION = Question(
    asks="On which thread does a sync route run?",
    experiments=(
        Experiment("aiohttp", "through run_in_executor", on_aiohttp),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
    ),
    claims=(
        Claim(
            "Quart runs sync routes in a pool of threads.",
            {"worker thread*": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "worker thread*": "Blocking there does not hold up the loop, and nothing of asyncio "
        "that needs a running loop can be called directly.",
    },
)
