"""Plain functions that an async route calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart
from quart.utils import run_sync

from loopbench.loadtests.behaviour.dispatch.places import Places
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Plain = Callable[[], None]
Way = Callable[[Plain], Awaitable[None]]


async def called(function: Plain) -> None:
    function()


async def to_thread(function: Plain) -> None:
    await asyncio.to_thread(function)


async def in_executor(function: Plain) -> None:
    await asyncio.get_running_loop().run_in_executor(None, function)


async def through_run_sync(function: Plain) -> None:
    await run_sync(function)()


def on_aiohttp(way: Way, places: Places) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await way(places.note)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(way: Way, places: Places) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await way(places.note)
        return ""

    return hypercorn_server(app)


def ask(begin: Callable[[Places], AbstractContextManager[Live]]) -> Answer:
    places = Places()
    with begin(places) as server:
        get(server.port, "/")
        return places.answer(server)


WAYS: dict[str, Way] = {
    "called directly": called,
    "await asyncio.to_thread": to_thread,
    "await loop.run_in_executor": in_executor,
}

QUESTION = Question(
    asks="On which thread does a plain function run that an async route calls?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, way)))
        for stack, begin, ways in (
            ("aiohttp", on_aiohttp, WAYS),
            ("quart-hypercorn", on_quart, WAYS | {"await quart.utils.run_sync": through_run_sync}),
        )
        for setting, way in ways.items()
    ),
    claims=(
        Claim(
            "Quart runs synchronous code in a pool of threads.",
            {"worker thread*": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
            ("called directly",),
        ),
    ),
    follows={
        "the loop's thread*": "A plain function that is called runs where the caller runs, on the "
        "loop: hand it to `asyncio.to_thread` where it may block.",
        "worker thread*": "It may block there, and nothing that needs the running loop can be "
        "called in it.",
    },
)
