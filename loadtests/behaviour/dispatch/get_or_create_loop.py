"""A helper that "gets or creates" an event loop for each thread."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Wire

REQUESTS = 64


def get_or_create_loop() -> asyncio.AbstractEventLoop:
    """The helper as it is passed around."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return asyncio.get_event_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            return loop


class Used:
    """The loops that the helper gave."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ids: set[int] = set()
        self.threads: set[str] = set()

    def work(self) -> str:
        """What a sync route does with the helper."""
        loop = get_or_create_loop()
        with self._lock:
            self.ids.add(id(loop))
            self.threads.add(threading.current_thread().name)
        time.sleep(0.02)
        return loop.run_until_complete(asyncio.sleep(0, "worked"))


def on_aiohttp(used: Used) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=await asyncio.to_thread(used.work))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(used: Used) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        return used.work()

    return hypercorn_server(app)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def ask(begin: Callable[[Used], AbstractContextManager[Live]]) -> Answer:
    """Ask often, and see how many loops there are and what stays open of them."""
    used = Used()
    with begin(used) as server:
        before = _descriptors()
        for _ in range(REQUESTS // 8):
            wires = [Wire(server.port) for _ in range(8)]
            for wire in wires:
                wire.request("GET", "/")
            worked = all(wire.answer().text == "worked" for wire in wires)
            for wire in wires:
                wire.__exit__()
        gc.collect()
        time.sleep(0.3)  # the server closes its ends
        left = _descriptors() - before
    a_thread = "a loop a thread" if len(used.ids) == len(used.threads) else "other than by thread"
    stays = "which stay open" if left >= 2 * len(used.ids) else "which are closed"
    return Answer(
        f"{'works' if worked else 'fails'}, {a_thread}, {stays}",
        f"{REQUESTS} requests used {len(used.ids)} loops on {len(used.threads)} threads; {left} "
        "descriptors more were open afterwards",
    )


QUESTION = Question(
    asks="Does a helper that gets or creates a loop for each thread work, and does it leak?",
    experiments=(
        Experiment("aiohttp", "through asyncio.to_thread", lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", "in a sync route", lambda: ask(on_quart)),
    ),
    claims=(
        Claim(
            "Such a helper is the safe way to call asynchronous code from threads.",
            {"works*which stay open": Agrees.PARTLY, "works*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*which stay open": "Each thread of the pool keeps a loop with its descriptors for as long "
        "as it lives, and what belongs to the server's loop cannot be used in it: use "
        "`run_coroutine_threadsafe`, or `asyncio.run` for what stands alone.",
    },
)
