"""A hundred requests at once whose handlers wait half a second each."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get

REQUESTS = 100
WAIT_S = 0.5


class Inside:
    """How many are inside a handler at once, and the most there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._now -= 1


def awaiting_on_aiohttp(inside: Inside) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        with inside:
            await asyncio.sleep(WAIT_S)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def awaiting_on_quart(inside: Inside) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        with inside:
            await asyncio.sleep(WAIT_S)
        return ""

    return hypercorn_server(app)


def _sleep(inside: Inside) -> None:
    with inside:
        time.sleep(WAIT_S)


def threads_on_aiohttp(inside: Inside, threads: int | None = None) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.to_thread(_sleep, inside)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(_set_executor, threads))
    return aiohttp_server(app)


def threads_on_quart(inside: Inside, threads: int | None = None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        _sleep(inside)
        return ""

    app.before_serving(partial(_set_executor, threads, None))
    return hypercorn_server(app)


async def _set_executor(threads: int | None, _: object) -> None:
    if threads is not None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))


def ask(begin: Callable[[Inside], AbstractContextManager[Live]]) -> Answer:
    """In how many waves the hundred are served, by how many were inside at once."""
    inside = Inside()
    with begin(inside) as server, ThreadPoolExecutor(REQUESTS) as clients:
        began = time.perf_counter()
        list(clients.map(lambda _: get(server.port, "/", 60.0), range(REQUESTS)))
        took_s = time.perf_counter() - began
    default = min(32, (os.cpu_count() or 1) + 4)
    size = "min(32, cpus + 4)" if inside.most == default else f"{inside.most}"
    how = "all at once" if inside.most == REQUESTS else f"{size} at a time"
    return Answer(
        how,
        f"at most {inside.most} of {REQUESTS} were inside the handler at once; all were answered "
        f"after {took_s:.2f} s, where one takes {WAIT_S:g} s",
    )


QUESTION = Question(
    asks="A hundred requests come at once, and each handler waits half a second: how many wait "
    "side by side?",
    experiments=(
        Experiment("aiohttp", "await asyncio.sleep", lambda: ask(awaiting_on_aiohttp)),
        Experiment("aiohttp", "time.sleep through to_thread", lambda: ask(threads_on_aiohttp), 60),
        Experiment(
            "aiohttp",
            "time.sleep through to_thread, 50 threads set",
            lambda: ask(partial(threads_on_aiohttp, threads=50)),
        ),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(awaiting_on_quart)),
        Experiment(
            "quart-hypercorn", "time.sleep in a sync route", lambda: ask(threads_on_quart), 60
        ),
        Experiment(
            "quart-hypercorn",
            "time.sleep in a sync route, 50 threads set",
            lambda: ask(partial(threads_on_quart, threads=50)),
        ),
    ),
    claims=(
        Claim(
            "One process handles hundreds of waiting requests at once.",
            {"all at once": Agrees.YES, "*at a time": Agrees.PARTLY},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "all at once": "Waiting costs no thread: a hundred that wait take as long as one.",
        "*at a time": "Threads are the limit: the rest queues. Set the executor's size with "
        "`loop.set_default_executor`, or wait without a thread.",
    },
)
