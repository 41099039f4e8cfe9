"""A hundred requests at once whose handlers wait half a second each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.pool import in_words, set_pool
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.many.crowd import Inside

REQUESTS = 100
WAIT_S = 0.5
SHORT_S = 0.02
"""Instead, where a hundred of them add up."""
LARGER = 50
"""Threads; more than any machine's default."""

Wait = Callable[[Inside], Awaitable[None]]


async def sleeping(inside: Inside) -> None:
    with inside:
        await asyncio.sleep(WAIT_S)


async def blocking(inside: Inside) -> None:
    with inside:
        time.sleep(SHORT_S)  # noqa: ASYNC251  the mistake that is asked about


async def in_threads(inside: Inside) -> None:
    await asyncio.to_thread(plain, inside)


def plain(inside: Inside) -> None:
    with inside:
        time.sleep(WAIT_S)


def on_aiohttp(
    inside: Inside, wait: Wait, *, threads: int | None = None
) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await wait(inside)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_pool, threads))
    return aiohttp_server(app)


def on_quart(inside: Inside, wait: Wait) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await wait(inside)
        return ""

    return hypercorn_server(app)


def sync_route(inside: Inside, *, threads: int | None = None) -> AbstractContextManager[Live]:
    app = Quart(__name__)
    app.before_serving(partial(set_pool, threads))

    @app.get("/")
    def handler() -> str:
        plain(inside)
        return ""

    return hypercorn_server(app)


def ask(begin: Callable[[Inside], AbstractContextManager[Live]], wait_s: float = WAIT_S) -> Answer:
    """How many of the hundred were inside at once, and how long all of them took."""
    inside = Inside()
    with begin(inside) as server, ThreadPoolExecutor(REQUESTS) as clients:
        began = time.perf_counter()
        list(clients.map(lambda _: get(server.port, "/", 60.0), range(REQUESTS)))
        took_s = time.perf_counter() - began
    words = {1: "one after another", REQUESTS: "all at once"}
    return Answer(
        words.get(inside.most, f"{in_words(inside.most)} at a time"),
        f"at most {inside.most} of {REQUESTS} were inside the handler at once; all were answered "
        f"after {took_s:.2f} s, where one waits {wait_s:g} s",
    )


BEGIN = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
"""With an async route."""

_THREADS: dict[str, tuple[str, Callable[..., AbstractContextManager[Live]]]] = {
    "aiohttp": ("through asyncio.to_thread", partial(on_aiohttp, wait=in_threads)),
    "quart-hypercorn": ("in a sync route", sync_route),
}


def with_threads(stack: str, threads: int | None) -> Callable[[], Answer]:
    """Each of them blocks a thread of a pool of that size."""
    return partial(ask, partial(_THREADS[stack][1], threads=threads))


QUESTION = Question(
    asks="A hundred requests come at once, and each handler waits half a second: how many wait "
    "side by side?",
    experiments=(
        *(
            Experiment(
                stack,
                "await asyncio.sleep(0.5)",
                partial(ask, partial(begin, wait=sleeping)),
                alone=True,
            )
            for stack, begin in BEGIN.items()
        ),
        *(
            Experiment(
                stack,
                f"time.sleep({SHORT_S}) in an async route",
                partial(ask, partial(begin, wait=blocking), SHORT_S),
            )
            for stack, begin in BEGIN.items()
        ),
        *(
            Experiment(stack, f"time.sleep(0.5) {where}{size}", with_threads(stack, threads), 60)
            for stack, (where, _) in _THREADS.items()
            for size, threads in (("", None), (f", {LARGER} threads", LARGER))
        ),
    ),
    claims=(
        Claim(
            "One process handles hundreds of waiting requests at once.",
            {"all at once": Agrees.YES, "*at a time": Agrees.PARTLY, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "all at once": "Waiting costs no thread: a hundred that wait take as long as one.",
        "*at a time": "Threads are the limit: the rest queues. Set the executor's size with "
        "`loop.set_default_executor`, or wait without a thread.",
        "one after another": "What does not `await` is done for one after another: a hundred take "
        "a hundred times as long as one.",
    },
)
