"""The worker threads: how many at most, and what they are called."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.pool import default_size, in_words, set_pool, setting
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.many.crowd import Crowd

REQUESTS = 64
LARGER = 40
"""More than any machine's default."""


def on_aiohttp(crowd: Crowd, threads: int | None) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.to_thread(crowd.hold)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_pool, threads))
    return aiohttp_server(app)


def on_quart(crowd: Crowd, threads: int | None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        crowd.hold()
        return ""

    app.before_serving(partial(set_pool, threads))
    return hypercorn_server(app)


BEGIN = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}


def ask(begin: Callable[[Crowd], AbstractContextManager[Live]]) -> Answer:
    """Let more requests come than there can be threads, each of which holds its thread."""
    crowd = Crowd()
    with begin(crowd) as server:
        wires = [Wire(server.port) for _ in range(REQUESTS)]
        for wire in wires:
            wire.request("GET", "/")
        for wire in wires:
            wire.answer(60.0)
            wire.__exit__()
    count = len(crowd.threads)
    families = " and ".join(sorted({re.sub(r"\d+$", "N", name) for name in crowd.threads}))
    return Answer(
        f"{in_words(count)} threads, named {families}",
        f"{REQUESTS} requests at once ran on {count} threads, such as {min(crowd.threads)!r}, at "
        f"most {crowd.most} at a time; min(32, cpus + 4) is {default_size()} here",
    )


QUESTION = Question(
    asks="How many worker threads are there at most, and what are they called?",
    experiments=tuple(
        Experiment(stack, name, partial(ask, partial(begin, threads=threads)))
        for stack, begin in BEGIN.items()
        for name, threads in ((DEFAULT, None), (setting(LARGER), LARGER))
    ),
    claims=(
        Claim(
            "Each sync request gets a thread of its own.",
            {f"{REQUESTS} threads*": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
            (DEFAULT,),
        ),
    ),
    follows={
        "min(32, cpus + 4) threads*": "More blocking calls than that wait for a thread, and name "
        "look-ups share the same pool. Set the executor at start-up to a size that you chose.",
        f"{LARGER} threads*": "The size is that of the executor that you set.",
    },
)
