"""Where a route runs whose code is synchronous."""

from __future__ import annotations

import asyncio

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.places import Places
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import shake_hands


def run_in_executor() -> Answer:
    places = Places()

    async def handler(_: web.Request) -> web.Response:
        await asyncio.get_running_loop().run_in_executor(None, places.note)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    with aiohttp_server(app) as server:
        get(server.port, "/")
        return places.answer(server)


def on_quart() -> Answer:
    places = Places()
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        places.note()
        return ""

    with hypercorn_server(app) as server:
        get(server.port, "/")
        return places.answer(server)


def sync_websocket() -> Answer:
    """A plain function registered for a WebSocket, which it can neither read nor write."""
    places = Places()
    app = Quart(__name__)

    @app.websocket("/")
    def handler() -> None:
        places.note()

    with hypercorn_server(app) as server:
        with Wire(server.port) as wire:
            shake_hands(wire, "/")
        return places.answer(server)


QUESTION = Question(
    asks="On which thread does a sync route run?",
    experiments=(
        Experiment("aiohttp", "through run_in_executor", run_in_executor),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
        Experiment("quart-hypercorn", "a WebSocket's", sync_websocket),
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
