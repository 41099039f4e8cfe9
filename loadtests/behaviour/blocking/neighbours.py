"""Blocking calls and computations, on the loop, in threads and in processes: who else is served."""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from math import ceil
from typing import Any

from aiohttp import web

from loopbench.loadtests.behaviour.applications import (
    Plain,
    Way,
    aiohttp_app,
    called,
    each,
    hello,
    in_executor,
    quart_answering,
)
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.blocking.beside import asking, beside
from loopbench.loadtests.behaviour.dispatch.pools import connected, set_pool
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.talking import Seen, Wire

BLOCKERS = 12
BLOCK_S = 0.1
HEAD_START_S = 0.025
"""How much earlier the twelve are sent."""


def block(seen: Seen) -> str:
    """The mistake, or the legitimate work, of each of the twelve."""
    time.sleep(BLOCK_S)
    seen("block done")
    return ""


def done(seen: Seen) -> int:
    """What the innocent one answers: how many of the blocks are done."""
    return seen.events.count("block done")


def in_async_route(answers: Build, way: Way, seen: Seen) -> App:
    innocent = partial(called, partial(done, seen))
    return answers({"/blocking": partial(way, partial(block, seen)), "/innocent": innocent})


def in_plain_function(_: Way, seen: Seen) -> App:
    """aiohttp's deprecated handlers."""

    def blocking(_: web.Request) -> Any:
        return web.Response(text=block(seen))

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{done(seen)}")

    return aiohttp_app(web.get("/blocking", blocking), web.get("/innocent", innocent))


def in_sync_route(way: Way, seen: Seen) -> App:
    innocent = partial(way, partial(done, seen))
    return quart_answering({"/innocent": innocent}, sync={"/blocking": partial(block, seen)})


def in_threads(answers: Build, _: Way, seen: Seen) -> App:
    """The innocent request waits for a thread of the pool as well."""
    return answers({}, sync={"/blocking": partial(block, seen), "/innocent": partial(done, seen)})


WAYS: dict[str, Way] = {
    "time.sleep in an async route": called,
    "asyncio.to_thread": asyncio.to_thread,
    "run_in_executor": in_executor,
}
BLOCKING, SHARING = each(in_async_route), each(in_threads)
TOO = {
    AIOHTTP: "asyncio.to_thread, the innocent one too",
    QUART: "time.sleep in a sync route, the innocent one too",
}
neighbour = partial(experiment, "innocent-neighbour", alone=True)


@experiments("innocent-neighbour", BLOCKING, WAYS, alone=True)
@neighbour(AIOHTTP, "time.sleep in a plain function", in_plain_function, called)
@neighbour(QUART, "time.sleep in a plain function, which is a sync route", in_sync_route, called)
def ask_innocent(application: Build, way: Way, threads: int | None = None) -> Answer:
    """Send the twelve, then the innocent one, and count how many blocks were done when it ran.

    threads: how many blocks there can be at a time, where the innocent one waits for a thread.
    """
    with (
        serve(application(way, Seen())) as server,
        connected(server.port, BLOCKERS + 1) as (innocent, *wires),
    ):
        server.call(set_pool(threads))
        for wire in wires:
            wire.request("GET", "/blocking")
        time.sleep(HEAD_START_S)
        reply = innocent.ask("GET", "/innocent")
        for wire in wires:
            wire.answer()
    return Answer(
        behind(int(reply.text), threads),
        f"{reply.text} of {BLOCKERS} blocks of {BLOCK_S:g} s were done when the innocent handler "
        f"ran; its answer took {reply.took_s:.2f} s",
    )


for stack, how in TOO.items():
    for threads in (4, 6, 20):
        neighbour(stack, f"{how}, {threads} threads", SHARING[stack], called, threads)(ask_innocent)


def behind(blocks: int, threads: int | None) -> str:
    """How late it was, in blocks, or in rounds of a pool of so many threads."""
    if blocks and threads:
        rounds = ceil(blocks / threads)
        return f"behind {rounds} round{'s' * (rounds > 1)} of the pool"
    words = {0: "not delayed", BLOCKERS: "behind all twelve"}
    return words.get(blocks, f"behind {blocks} of the twelve")


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
        executor.submit(behind, 0, None).result()  # it has started, and imported this module

        async def in_process(computation: Plain) -> object:
            return await asyncio.get_running_loop().run_in_executor(executor, computation)

        yield in_process


def computing(answers: Build, way: Way, computation: Plain, seen: Seen) -> App:
    async def busy() -> None:
        seen("computing")
        await way(computation)
        seen("computed")

    return answers({"/busy": busy, "/": hello})


def computing_in_thread(answers: Build, _: Way, computation: Plain, seen: Seen) -> App:
    def busy() -> None:
        seen("computing")
        computation()
        seen("computed")

    return answers({"/": hello}, sync={"/busy": busy})


Ways = Callable[[], AbstractContextManager[Way]]
COMPUTING, IN_THREADS = each(computing), each(computing_in_thread)
PLACES: dict[str, Ways] = {
    "Python code on the loop": lambda: nullcontext(called),
    "Python code in a ProcessPoolExecutor": processes,
}
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
for stack, where in ((AIOHTTP, "in a thread"), (QUART, "in a sync route")):
    for name, computation in COMPUTATIONS.items():
        row = in_thread(
            stack, f"{name} {where}", IN_THREADS[stack], lambda: nullcontext(called), computation
        )
        row(ask_computing)
