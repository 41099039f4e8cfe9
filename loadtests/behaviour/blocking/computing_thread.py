"""Computation on the loop, in threads and in processes: who else gets a turn."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.blocking.beside import asking, beside
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

BURN_S = 0.5

_TRYING = re.compile(r"(a*)*b")


def in_python() -> None:
    """Many small steps, for so long by the clock."""
    until = time.perf_counter() + BURN_S
    while time.perf_counter() < until:
        sum(range(1000))


def matching() -> None:
    """One call into C that keeps the lock: a regular expression that tries everything."""
    _TRYING.match("a" * 22)


def hashing() -> None:
    """One call into C that lets go of the lock, as it is made for each password."""
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 1_000_000)


Way = Callable[[Callable[[], None]], Awaitable[None]]
"""How a coroutine has a computation done."""


async def on_the_loop(computation: Callable[[], None]) -> None:
    computation()


def _ready() -> None:
    """Having been called, the process has imported what it needs."""


@contextmanager
def processes() -> Iterator[Way]:
    """A pool of one process, which is ready before it is needed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(_ready).result()

        async def in_process(computation: Callable[[], None]) -> None:
            await asyncio.get_running_loop().run_in_executor(executor, computation)

        yield in_process


Begin = Callable[[Way, Callable[[], None], Seen], AbstractContextManager[Live]]


def on_aiohttp(
    way: Way, computation: Callable[[], None], seen: Seen
) -> AbstractContextManager[Live]:
    async def busy(_: web.Request) -> web.Response:
        seen("computing")
        await way(computation)
        seen("computed")
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/busy", busy)
    app.router.add_get("/", innocent)
    return aiohttp_server(app)


def on_quart(way: Way, computation: Callable[[], None], seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/busy")
    async def busy() -> str:
        seen("computing")
        await way(computation)
        seen("computed")
        return ""

    @app.get("/")
    async def innocent() -> str:
        return ""

    return hypercorn_server(app)


def sync_route(_: Way, computation: Callable[[], None], seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/busy")
    def busy() -> str:
        seen("computing")
        computation()
        seen("computed")
        return ""

    @app.get("/")
    async def innocent() -> str:
        return ""

    return hypercorn_server(app)


def ask(
    begin: Begin, ways: Callable[[], AbstractContextManager[Way]], computation: Callable[[], None]
) -> Answer:
    """Have somebody ask all the while, and see who was answered while another one computed."""
    seen = Seen()
    with (
        beside(asking) as client,
        ways() as way,
        begin(way, computation, seen) as server,
        Wire(server.port) as busy,
    ):
        client.send(server.port)
        client.recv()
        busy.request("GET", "/busy")
        busy.answer()
        client.send("stop")
        times: list[tuple[float, float]] = client.recv()
    began, ended = seen.at("computing"), seen.at("computed")
    answered = sum(began < asked and there < ended for asked, there in times)
    slowest = max(there - asked for asked, there in times if there > began)
    # Before it has really begun, and when it is about to end, somebody may get in.
    waited = slowest > (ended - began) / 2
    return Answer(
        "others wait until it is done" if waited else "others are served meanwhile",
        f"{answered} requests of one client were asked for and answered within the "
        f"{ended - began:.2f} s that it took; the slowest took {slowest * 1000:.0f} ms",
    )


_THREAD: dict[str, tuple[Begin, Callable[[], AbstractContextManager[Way]], str]] = {
    "aiohttp": (on_aiohttp, lambda: nullcontext(asyncio.to_thread), "in a thread"),
    "quart-hypercorn": (sync_route, lambda: nullcontext(on_the_loop), "in a sync route"),
}

QUESTION = Question(
    asks="Does a computation in a thread leave the loop free, under the interpreter's lock?",
    experiments=(
        *(
            Experiment(
                stack,
                f"Python code {where}",
                partial(ask, begin, ways, in_python),
                alone=True,
            )
            for stack, begin in (("aiohttp", on_aiohttp), ("quart-hypercorn", on_quart))
            for where, ways in (
                ("on the loop", lambda: nullcontext(on_the_loop)),
                ("in a ProcessPoolExecutor", processes),
            )
        ),
        *(
            Experiment(stack, f"{name} {where}", partial(ask, begin, ways, computation), alone=True)
            for stack, (begin, ways, where) in _THREAD.items()
            for name, computation in (
                ("Python code", in_python),
                ("a long regular expression", matching),
                ("hashlib.pbkdf2_hmac", hashing),
            )
        ),
    ),
    claims=(
        Claim(
            "Threads do not help with computation, because of the interpreter's lock.",
            {"others are served*": Agrees.PARTLY, "others wait*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
            ("Python code in a thread", "Python code in a sync route"),
        ),
        Claim(
            "What runs in a thread does not hold up the loop.",
            {"others are served*": Agrees.YES, "others wait*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(
                f"{name} {where}"
                for name in ("a long regular expression", "hashlib.pbkdf2_hmac")
                for _, _, where in _THREAD.values()
            ),
        ),
    ),
    follows={
        "others are served meanwhile": "A thread that runs Python code hands the lock on every "
        "5 ms, so that others are slower, but served; a call into C may let go of it. What "
        "computes for long is better off in a process.",
        "others wait*": "Everybody waits for the whole of it. A single call into C that keeps the "
        "interpreter's lock stops the loop from any thread: only a process helps.",
    },
)
