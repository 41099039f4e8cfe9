"""Twelve requests that block for a tenth of a second each, and an innocent one behind them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Wire

BLOCKERS = 12
BLOCK_S = 0.1


class Blocks:
    """Counts how many of the blocks are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done = 0

    def block(self) -> None:
        """The mistake, or the legitimate work, of each of the twelve."""
        time.sleep(BLOCK_S)
        with self._lock:
            self.done += 1


async def directly(blocks: Blocks) -> None:
    blocks.block()


async def to_thread(blocks: Blocks) -> None:
    await asyncio.to_thread(blocks.block)


async def run_in_executor(blocks: Blocks) -> None:
    await asyncio.get_running_loop().run_in_executor(None, blocks.block)


Way = Callable[[Blocks], Awaitable[None]]


def on_aiohttp(way: Way, blocks: Blocks) -> AbstractContextManager[Live]:
    async def blocking(_: web.Request) -> web.Response:
        await way(blocks)
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{blocks.done}")

    app = web.Application()
    app.router.add_get("/blocking", blocking)
    app.router.add_get("/innocent", innocent)
    return aiohttp_server(app)


def _quart(blocks: Blocks) -> Quart:
    app = Quart(__name__)

    @app.get("/innocent")
    async def innocent() -> str:
        return f"{blocks.done}"

    return app


def on_quart(way: Way, blocks: Blocks) -> AbstractContextManager[Live]:
    app = _quart(blocks)

    @app.get("/blocking")
    async def blocking() -> str:
        await way(blocks)
        return ""

    return hypercorn_server(app)


def sync_route(blocks: Blocks) -> AbstractContextManager[Live]:
    app = _quart(blocks)

    @app.get("/blocking")
    def blocking() -> str:
        blocks.block()
        return ""

    return hypercorn_server(app)


def innocent_in_a_thread(blocks: Blocks) -> AbstractContextManager[Live]:
    """The innocent request needs a worker thread too."""
    app = Quart(__name__)

    @app.get("/blocking")
    def blocking() -> str:
        blocks.block()
        return ""

    @app.get("/innocent")
    def innocent() -> str:
        return f"{blocks.done}"

    return hypercorn_server(app)


def ask(begin: Callable[[Blocks], AbstractContextManager[Live]]) -> Answer:
    """Send the twelve, then the innocent one, and count how many blocks were done when it ran."""
    blocks = Blocks()
    with begin(blocks) as server:
        wires = [Wire(server.port) for _ in range(BLOCKERS)]
        with Wire(server.port) as innocent:
            for wire in wires:
                wire.request("GET", "/blocking")
            time.sleep(BLOCK_S / 4)  # so that the twelve have come first
            innocent.request("GET", "/innocent")
            reply = innocent.answer()
            for wire in wires:
                wire.answer()
                wire.__exit__()
    done = int(reply.text)
    pool = min(32, (os.cpu_count() or 1) + 4)
    words = {0: "not delayed", BLOCKERS: "behind all twelve"}
    if done in words:
        answer = words[done]
    elif done >= pool:
        answer = "behind a round of the pool"
    else:
        answer = "behind some of them"
    return Answer(
        answer,
        f"{done} of {BLOCKERS} blocks of {BLOCK_S:g} s were done when the innocent handler ran; "
        f"its answer took {reply.took_s:.2f} s",
    )


QUESTION = Question(
    asks="Twelve requests block for a tenth of a second each: how late is an innocent one behind "
    "them?",
    experiments=(
        *(
            Experiment(stack, setting, partial(ask, partial(begin, way)))
            for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
            for setting, way in (
                ("time.sleep in an async route", directly),
                ("asyncio.to_thread", to_thread),
                ("run_in_executor", run_in_executor),
            )
        ),
        Experiment("quart-hypercorn", "time.sleep in a sync route", partial(ask, sync_route)),
        Experiment(
            "quart-hypercorn",
            "time.sleep in a sync route, the innocent one in a sync route too",
            partial(ask, innocent_in_a_thread),
        ),
    ),
    claims=(
        Claim(
            "A blocking call in an async route holds up only its own request.",
            {"not delayed": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            ("time.sleep in an async route",),
        ),
    ),
    follows={
        "behind all twelve": "One blocking call stops everybody, health checks too: move it into "
        "a thread, or use an asynchronous library.",
        "not delayed": "The loop is free while threads block.",
        "behind a round of the pool": "The loop is free, but the pool is not: what needs a thread "
        "waits for one. Size the pool for what may block at once.",
    },
)
