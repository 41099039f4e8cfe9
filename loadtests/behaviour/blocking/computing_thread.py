"""Threads that compute, which hold the interpreter's lock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.seen import Seen
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Wire, get

BURN_S = 1.0


def burn(seen: Seen) -> None:
    """Computes in Python for that long by the clock."""
    seen("computing")
    until = time.perf_counter() + BURN_S
    while time.perf_counter() < until:
        sum(range(1000))
    seen("computed")


def on_aiohttp(seen: Seen, in_thread: bool) -> AbstractContextManager[Live]:
    async def busy(_: web.Request) -> web.Response:
        if in_thread:
            await asyncio.to_thread(burn, seen)
        else:
            burn(seen)
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/busy", busy)
    app.router.add_get("/", innocent)
    return aiohttp_server(app)


def on_quart(seen: Seen, in_thread: bool) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    if in_thread:

        @app.get("/busy")
        def busy_sync() -> str:
            burn(seen)
            return ""

    else:

        @app.get("/busy")
        async def busy() -> str:
            burn(seen)
            return ""

    @app.get("/")
    async def innocent() -> str:
        return ""

    return hypercorn_server(app)


def ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    """How many innocent requests are answered while one request computes for a second."""
    seen = Seen()
    answered = 0
    with begin(seen) as server, Wire(server.port) as busy:
        busy.request("GET", "/busy")
        seen.wait("computing")
        slowest = 0.0
        while "computed" not in seen:
            took_s = get(server.port, "/").took_s
            if "computed" in seen:
                break
            slowest = max(slowest, took_s)
            answered += 1
        busy.answer()
    how = "others are served meanwhile" if answered else "others wait until it is done"
    return Answer(
        how,
        f"{answered} innocent requests were answered within {BURN_S:g} s, the slowest after "
        f"{slowest * 1000:.0f} ms",
    )


QUESTION = Question(
    asks="Does a computation in a thread leave the loop free, under the interpreter's lock?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, in_thread=in_thread)), alone=True)
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, in_thread in (
            ("computing on the loop", False),
            ("computing in a thread", True),
        )
    ),
    claims=(
        Claim(
            "Threads do not help with computation, because of the interpreter's lock.",
            {"others are served*": Agrees.PARTLY, "others wait*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
            ("computing in a thread",),
        ),
    ),
    follows={
        "others are served meanwhile": "The lock changes hands every 5 ms: others are slower, but "
        "served. For more than that, use processes.",
        "others wait*": "Everybody waits for the whole computation: at least put it into a thread.",
    },
)
