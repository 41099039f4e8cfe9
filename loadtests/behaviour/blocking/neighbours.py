"""Blocking calls and computations, on the loop, in threads and in processes: who else is served."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from math import ceil
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.applications import (
    Plain,
    Way,
    aiohttp_answering,
    aiohttp_app,
    called,
    hello,
    in_executor,
    quart_answering,
)
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.blocking.beside import asking, beside
from loopbench.loadtests.behaviour.dispatch.pools import set_pool
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.talking import Seen, Wire

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


def works(way: Way, blocks: Blocks, *, innocent_too: bool = False) -> dict[str, Work]:
    """innocent_too: the innocent one's plain code is run in that way as well."""

    async def blocking() -> str:
        await way(blocks.block)
        return ""

    async def innocent() -> object:
        return await (way if innocent_too else called)(lambda: blocks.done)

    return {"/blocking": blocking, "/innocent": innocent}


def aiohttp_blocking(
    way: Way, blocks: Blocks, *, innocent_too: bool = False, threads: int | None = None
) -> App:
    app = aiohttp_answering(works(way, blocks, innocent_too=innocent_too))
    app.on_startup.append(partial(set_pool, threads))
    return app


def aiohttp_plain(_: Way, blocks: Blocks) -> App:
    """aiohttp's deprecated handlers."""

    def blocking(_: web.Request) -> Any:
        blocks.block()
        return web.Response()

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{blocks.done}")

    return aiohttp_app(web.get("/blocking", blocking), web.get("/innocent", innocent))


def quart_sync(
    _: Way, blocks: Blocks, *, innocent_too: bool = False, threads: int | None = None
) -> App:
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
    return app


WAYS: dict[str, Way] = {
    "time.sleep in an async route": called,
    "asyncio.to_thread": asyncio.to_thread,
    "run_in_executor": in_executor,
}
BLOCKING_QUART = {QUART: lambda way, blocks: quart_answering(works(way, blocks))}
neighbour = partial(experiment, "innocent-neighbour", alone=True)


@experiments("innocent-neighbour", {AIOHTTP: aiohttp_blocking}, WAYS, alone=True)
@neighbour(AIOHTTP, "time.sleep in a plain function", aiohttp_plain, called)
@experiments(
    "innocent-neighbour",
    {QUART: lambda way, blocks: quart_answering(works(way, blocks))},
    WAYS,
    alone=True,
)
@neighbour(QUART, "time.sleep in a plain function, which is a sync route", quart_sync, called)
def ask_innocent(application: Build, way: Way, threads: int | None = None) -> Answer:
    """Send the twelve, then the innocent one, and count how many blocks were done when it ran.

    threads: how many blocks there can be at a time, where the innocent one waits for a thread.
    """
    blocks = Blocks()
    with serve(application(way, blocks)) as server, ExitStack() as stack:
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


SHARING: tuple[tuple[str, str, Build, Way], ...] = (
    (AIOHTTP, "asyncio.to_thread", aiohttp_blocking, asyncio.to_thread),
    (QUART, "time.sleep in a sync route", quart_sync, called),
)
"""What makes the innocent request wait for a thread of the pool as well."""

for stack, how, sharing, way in SHARING:
    for threads in (4, 6, 20):
        shared = partial(sharing, innocent_too=True, threads=threads)
        setting = f"{how}, the innocent one too, {threads} threads"
        neighbour(stack, setting, shared, way, threads)(ask_innocent)


def behind(done: int, threads: int | None) -> str:
    """How late it was, in blocks, or in rounds of a pool of so many threads."""
    if done and threads:
        rounds = ceil(done / threads)
        return f"behind {rounds} round{'s' * (rounds > 1)} of the pool"
    words = {0: "not delayed", BLOCKERS: "behind all twelve"}
    return words.get(done, f"behind {done} of the twelve")


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


@contextmanager
def processes() -> Iterator[Way]:
    """A pool of one process, which is ready before it is needed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(int).result()  # it has started, and imported what it needs

        async def in_process(computation: Plain) -> object:
            return await asyncio.get_running_loop().run_in_executor(executor, computation)

        yield in_process


def computing(answering: Build, way: Way, computation: Plain, seen: Seen) -> App:
    async def busy() -> str:
        seen("computing")
        await way(computation)
        seen("computed")
        return ""

    return answering({"/busy": busy, "/": hello})


def in_sync_route(_: Way, computation: Plain, seen: Seen) -> App:
    app = quart_answering({"/": hello})

    @app.get("/busy")
    def busy() -> str:
        seen("computing")
        computation()
        seen("computed")
        return ""

    return app


Ways = Callable[[], AbstractContextManager[Way]]
COMPUTING = {stack: partial(computing, answering) for stack, answering in ANSWERING.items()}
PLACES: dict[str, Ways] = {
    "Python code on the loop": lambda: nullcontext(called),
    "Python code in a ProcessPoolExecutor": processes,
}
THREADS: tuple[tuple[str, str, Build, Ways], ...] = (
    (AIOHTTP, "in a thread", COMPUTING[AIOHTTP], lambda: nullcontext(asyncio.to_thread)),
    (QUART, "in a sync route", in_sync_route, PLACES["Python code on the loop"]),
)
COMPUTATIONS = {
    "Python code": in_python,
    "a long regular expression": matching,
    "hashlib.pbkdf2_hmac": hashing,
}


@experiments("computing-thread", COMPUTING, PLACES, in_python, alone=True)
def ask_computing(application: Build, ways: Ways, computation: Plain) -> Answer:
    """Have somebody ask all the while, and see who was answered while another one computed."""
    seen = Seen()
    with (
        beside(asking) as client,
        ways() as way,
        serve(application(way, computation, seen)) as server,
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


in_thread = partial(experiment, "computing-thread", alone=True)
for stack, where, application, ways in THREADS:
    for name, computation in COMPUTATIONS.items():
        setting = f"{name} {where}"
        in_thread(stack, setting, application, ways, computation)(ask_computing)
