"""Twelve requests that block for a tenth of a second each, and an innocent one behind them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from math import ceil
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.pool import set_pool
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

BLOCKERS = 12
BLOCK_S = 0.1
HEAD_START_S = 0.025
"""How much earlier the twelve are sent."""


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


Way = Callable[[Callable[[], Any]], Awaitable[Any]]
"""How a coroutine has plain code run."""


async def directly(plain: Callable[[], Any]) -> Any:
    return plain()


async def in_executor(plain: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, plain)


def on_aiohttp(
    blocks: Blocks, way: Way, *, innocent_too: bool = False, threads: int | None = None
) -> AbstractContextManager[Live]:
    """innocent_too: the innocent one's plain code is run in that way as well."""

    def told() -> str:
        return f"{blocks.done}"

    async def blocking(_: web.Request) -> web.Response:
        await way(blocks.block)
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=await (way if innocent_too else directly)(told))

    app = web.Application()
    app.on_startup.append(partial(set_pool, threads))
    app.router.add_get("/blocking", blocking)
    app.router.add_get("/innocent", innocent)
    return aiohttp_server(app)


def plain_function(blocks: Blocks) -> AbstractContextManager[Live]:
    """aiohttp's deprecated handlers."""

    def blocking(_: web.Request) -> Any:
        blocks.block()
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{blocks.done}")

    app = web.Application()
    app.router.add_get("/blocking", blocking)
    app.router.add_get("/innocent", innocent)
    return aiohttp_server(app)


def on_quart(blocks: Blocks, way: Way) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/blocking")
    async def blocking() -> str:
        await way(blocks.block)
        return ""

    @app.get("/innocent")
    async def innocent() -> str:
        return f"{blocks.done}"

    return hypercorn_server(app)


def sync_routes(
    blocks: Blocks, *, innocent_too: bool = False, threads: int | None = None
) -> AbstractContextManager[Live]:
    """The blocking one is a sync route; innocent_too: the innocent one as well."""
    app = Quart(__name__)
    app.before_serving(partial(set_pool, threads))

    @app.get("/blocking")
    def blocking() -> str:
        blocks.block()
        return ""

    def innocent() -> str:
        return f"{blocks.done}"

    async def innocent_async() -> str:
        return innocent()

    app.add_url_rule("/innocent", "innocent", innocent if innocent_too else innocent_async)
    return hypercorn_server(app)


def ask(
    begin: Callable[[Blocks], AbstractContextManager[Live]], threads: int | None = None
) -> Answer:
    """Send the twelve, then the innocent one, and count how many blocks were done when it ran.

    threads: how many blocks there can be at a time, where the innocent one waits for a thread.
    """
    blocks = Blocks()
    with begin(blocks) as server, ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port)) for _ in range(BLOCKERS)]
        innocent = stack.enter_context(Wire(server.port))
        for wire in wires:
            wire.request("GET", "/blocking")
        time.sleep(HEAD_START_S)
        innocent.request("GET", "/innocent")
        reply = innocent.answer()
        for wire in wires:
            wire.answer()
    done = int(reply.text)
    return Answer(
        behind(done, threads),
        f"{done} of {BLOCKERS} blocks of {BLOCK_S:g} s were done when the innocent handler ran; "
        f"its answer took {reply.took_s:.2f} s",
    )


def behind(done: int, threads: int | None) -> str:
    """How late it was, in blocks, or in rounds of a pool of so many threads."""
    if done and threads:
        rounds = ceil(done / threads)
        return f"behind {rounds} round{'s' * (rounds > 1)} of the pool"
    words = {0: "not delayed", BLOCKERS: "behind all twelve"}
    return words.get(done, f"behind {done} of the twelve")


WAYS: dict[str, Way] = {
    "time.sleep in an async route": directly,
    "asyncio.to_thread": asyncio.to_thread,
    "run_in_executor": in_executor,
}
THREADS = (4, 6, 20)

_SHARED: dict[str, tuple[str, Callable[..., AbstractContextManager[Live]]]] = {
    "aiohttp": ("asyncio.to_thread", partial(on_aiohttp, way=asyncio.to_thread)),
    "quart-hypercorn": ("time.sleep in a sync route", sync_routes),
}
"""What makes an innocent request wait for a thread, too, and its name."""


def sharing(stack: str, threads: int) -> Callable[[], Answer]:
    """The innocent request needs a thread as well, of a pool of that size."""
    begin = partial(_SHARED[stack][1], innocent_too=True, threads=threads)
    return partial(ask, begin, threads)


QUESTION = Question(
    asks="Twelve requests block for a tenth of a second each: how late is an innocent one behind "
    "them?",
    experiments=(
        *(
            Experiment(stack, setting, partial(ask, partial(begin, way=way)), alone=True)
            for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
            for setting, way in WAYS.items()
        ),
        Experiment(
            "aiohttp", "time.sleep in a plain function", partial(ask, plain_function), alone=True
        ),
        Experiment(
            "quart-hypercorn",
            "time.sleep in a plain function, which is a sync route",
            partial(ask, sync_routes),
            alone=True,
        ),
        *(
            Experiment(
                stack,
                f"{name}, the innocent one too, {threads} threads",
                sharing(stack, threads),
                alone=True,
            )
            for stack, (name, _) in _SHARED.items()
            for threads in THREADS
        ),
    ),
    claims=(
        Claim(
            "A blocking call holds up only its own request.",
            {"not delayed": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "behind all twelve": "One blocking call stops everybody, health checks too: move it into "
        "a thread, or use an asynchronous library.",
        "not delayed": "The loop is free while threads block, and so are threads that are left.",
        "*of the pool": "The loop is free, but the pool is not: what needs a thread waits for one. "
        "Size the pool for what may block at once.",
    },
)
