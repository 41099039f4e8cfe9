"""The worker threads: how many at most, and what they are called."""

from __future__ import annotations

import asyncio
import os
import re
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
from loadtests.behaviour.wire import Wire

REQUESTS = 64


class Names:
    """The threads that ran something."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seen: set[str] = set()

    def hold(self) -> None:
        """Holds its thread long enough that no thread comes round twice meanwhile."""
        with self._lock:
            self.seen.add(threading.current_thread().name)
        time.sleep(0.05)


async def set_executor(threads: int | None, _: object = None) -> None:
    """Exchange the loop's default executor."""
    if threads is not None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="mine")
        asyncio.get_running_loop().set_default_executor(executor)


def on_aiohttp(names: Names, threads: int | None) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.to_thread(names.hold)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_executor, threads))
    return aiohttp_server(app)


def on_quart(names: Names, threads: int | None) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        names.hold()
        return ""

    app.before_serving(partial(set_executor, threads, None))
    return hypercorn_server(app)


def ask(begin: Callable[[Names], AbstractContextManager[Live]]) -> Answer:
    names = Names()
    with begin(names) as server:
        wires = [Wire(server.port) for _ in range(REQUESTS)]
        for wire in wires:
            wire.request("GET", "/")
        for wire in wires:
            wire.answer()
            wire.__exit__()
    count = len(names.seen)
    size = "min(32, cpus + 4)" if count == min(32, (os.cpu_count() or 1) + 4) else f"{count}"
    families = " and ".join(sorted({re.sub(r"\d+$", "N", name) for name in names.seen}))
    return Answer(
        f"{size} threads, named {families}",
        f"{REQUESTS} requests at once ran on {count} threads, such as {min(names.seen)!r}; "
        f"{os.cpu_count()} CPUs",
    )


QUESTION = Question(
    asks="How many worker threads are there at most, and what are they called?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, partial(begin, threads=threads)))
        for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
        for setting, threads in (
            (DEFAULT, None),
            ("loop.set_default_executor(ThreadPoolExecutor(20))", 20),
        )
    ),
    claims=(
        Claim(
            "Each sync request gets a thread of its own.",
            {"min(32, cpus + 4) threads*": Agrees.NO, "64 threads*": Agrees.YES},
            ("quart-hypercorn",),
            (DEFAULT,),
        ),
    ),
    follows={
        "min(32, cpus + 4) threads*": "More blocking calls than that wait for a thread, and name "
        "look-ups share the same pool. Set the executor at start-up to a size that you chose.",
        "20 threads*": "The size is that of the executor that you set.",
    },
)
