"""Ways to run a coroutine from a sync route."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTime
from contextlib import AbstractContextManager
from functools import partial

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

PATIENCE_S = 2.0

Way = Callable[[asyncio.AbstractEventLoop], str]
"""Runs the coroutine `which`, given the server's loop."""


async def which(server_loop: asyncio.AbstractEventLoop) -> str:
    """A coroutine that says which loop it runs on."""
    await asyncio.sleep(0)
    same = asyncio.get_running_loop() is server_loop
    return "on the server's loop" if same else "on a loop of its own"


async def which_in_thread(server_loop: asyncio.AbstractEventLoop) -> str:
    """One that needs a worker thread itself, as for a name look-up or a file."""
    await asyncio.to_thread(str)
    return await which(server_loop)


def asyncio_run(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run(which(loop))


def new_event_loop(loop: asyncio.AbstractEventLoop) -> str:
    coroutine, mine = which(loop), asyncio.new_event_loop()
    try:
        return mine.run_until_complete(coroutine)
    finally:
        coroutine.close()
        mine.close()


def threadsafe(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run_coroutine_threadsafe(which(loop), loop).result(PATIENCE_S)


def threadsafe_to_thread(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run_coroutine_threadsafe(which_in_thread(loop), loop).result(PATIENCE_S)


def run_to_thread(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run(which_in_thread(loop))


class Caller:
    """Plain code that runs the coroutine in that way, in all threads of a small pool at once.

    threads: the size of the pool; None: the default pool, and one call.
    """

    def __init__(self, way: Way, threads: int | None) -> None:
        self.threads = threads
        self.calls = threads or 1
        self._way = way
        self._together = threading.Barrier(self.calls)

    def call(self, loop: asyncio.AbstractEventLoop) -> str:
        """What becomes of it. No call begins or ends before all of them do."""
        self._together.wait(PATIENCE_S)
        said = self._said(loop)
        self._together.wait(2 * PATIENCE_S)
        return said

    def _said(self, loop: asyncio.AbstractEventLoop) -> str:
        try:
            return f"runs {self._way(loop)}"
        except (NotInTime, TimeoutError):
            return f"hangs: nothing within {PATIENCE_S:g} s"
        except RuntimeError as error:
            return f"raises RuntimeError: {error}"


Begin = Callable[[Caller], AbstractContextManager[Live]]


def in_a_thread(caller: Caller) -> AbstractContextManager[Live]:
    """On aiohttp: through to_thread."""

    async def handler(_: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        return web.Response(text=await asyncio.to_thread(caller.call, loop))

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_pool, caller.threads))
    return aiohttp_server(app)


def on_the_loop(caller: Caller) -> AbstractContextManager[Live]:
    """The mistake: the same from plain code on the loop's own thread."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=caller.call(asyncio.get_running_loop()))

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def sync_route(caller: Caller) -> AbstractContextManager[Live]:
    """On Quart: in a sync route."""
    app = Quart(__name__)

    @app.before_serving
    async def start() -> None:
        await set_pool(caller.threads)
        app.extensions["loop"] = asyncio.get_running_loop()

    @app.get("/")
    def handler() -> str:
        return caller.call(app.extensions["loop"])

    return hypercorn_server(app)


def async_route(caller: Caller) -> AbstractContextManager[Live]:
    """The mistake on Quart."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return caller.call(asyncio.get_running_loop())

    return hypercorn_server(app)


def ask(begin: Begin, way: Way, threads: int | None = None) -> Answer:
    caller = Caller(way, threads)
    with begin(caller) as server:
        wires = [Wire(server.port) for _ in range(caller.calls)]
        for wire in wires:
            wire.request("GET", "/")
        texts = [wire.answer().text for wire in wires]
        for wire in wires:
            wire.__exit__()
    answers = dict.fromkeys(text.partition(":")[0] for text in texts)
    return Answer(" and ".join(answers), "; and at the same time: ".join(texts))


WAYS: dict[str, Way] = {
    "asyncio.run": asyncio_run,
    "new_event_loop().run_until_complete": new_event_loop,
    "run_coroutine_threadsafe": threadsafe,
}
_PLACES: tuple[tuple[str, str, Begin], ...] = (
    ("aiohttp", "in a thread", in_a_thread),
    ("aiohttp", "on the loop's thread", on_the_loop),
    ("quart-hypercorn", "in a sync route", sync_route),
    ("quart-hypercorn", "in an async route", async_route),
)
FULL = 2
_NEEDY: dict[str, Way] = {
    "run_coroutine_threadsafe": threadsafe_to_thread,
    "asyncio.run": run_to_thread,
}
_FULL = f"of a coroutine that needs a thread, in all {FULL} threads of the pool"

QUESTION = Question(
    asks="How is a coroutine run from plain code, and which way can hang?",
    experiments=(
        *(
            Experiment(stack, f"{name} {where}", partial(ask, begin, way))
            for stack, where, begin in _PLACES
            for name, way in WAYS.items()
        ),
        *(
            Experiment(stack, f"{name} {where}, {_FULL}", partial(ask, begin, way, FULL))
            for stack, where, begin in (_PLACES[0], _PLACES[2])
            for name, way in _NEEDY.items()
        ),
    ),
    claims=(
        Claim(
            "asyncio.run works anywhere.",
            {"runs*": Agrees.YES, "raises*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(f"asyncio.run {where}" for _, where, _ in _PLACES),
        ),
        Claim(
            "From a thread, run_coroutine_threadsafe is the safe way.",
            {"runs*": Agrees.YES, "hangs": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(
                f"run_coroutine_threadsafe {where}{beside}"
                for where in ("in a thread", "in a sync route")
                for beside in ("", f", {_FULL}")
            ),
        ),
    ),
    follows={
        "runs on the server's loop": "From a thread this is the way to reach what belongs to the "
        "server's loop: its pools, its sessions. Give `result` a bound.",
        "runs on a loop of its own": "Nothing that belongs to the server's loop may be used in it, "
        "and each call pays for a loop.",
        "hangs": "Whoever would have to run the coroutine is waiting for it: on the loop's own "
        "thread use `await`, and from a full pool wait for nothing that needs a thread itself. "
        "Give `result` a bound in any case.",
        "raises*": "A loop runs on this thread already: use `await`.",
    },
)
