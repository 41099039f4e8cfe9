"""Blocking calls and computations, on the loop, in threads and in processes: who else is served."""

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

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.asking import Answer, experiments, variants
from loopbench.loadtests.behaviour.blocking.beside import asking, beside
from loopbench.loadtests.behaviour.dispatch.pools import connected, set_pool
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.talking import Wire, seen

BLOCKERS = 12
BLOCK_S = 0.1
HEAD_START_S = 0.025
"""How much earlier the twelve are sent."""


def block() -> str:
    """The mistake, or the legitimate work, of each of the twelve."""
    time.sleep(BLOCK_S)
    seen("block done")
    return ""


def done() -> int:
    """What the innocent one answers: how many of the blocks are done."""
    return seen.events.count("block done")


def in_async_route(answers: Build, way: apps.Way) -> App:
    return answers({"/blocking": partial(way, block), "/innocent": partial(apps.called, done)})


def in_plain_function() -> App:
    """aiohttp's deprecated handlers."""

    def blocking(_: web.Request) -> Any:
        return web.Response(text=block())

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{done()}")

    return apps.aiohttp_app(web.get("/blocking", blocking), web.get("/innocent", innocent))


def in_sync_route() -> App:
    return apps.quart_answering(
        {"/innocent": partial(apps.called, done)}, sync={"/blocking": block}
    )


def in_threads(answers: Build) -> App:
    """The innocent request waits for a thread of the pool as well."""
    return answers({}, sync={"/blocking": block, "/innocent": done})


WAYS: dict[str, apps.Way] = {
    "time.sleep in an async route": apps.called,
    "asyncio.to_thread": asyncio.to_thread,
    "run_in_executor": apps.in_executor,
}
IN_ASYNC_ROUTES = {
    stack: {name: partial(make, way) for name, way in WAYS.items()}
    for stack, make in apps.each(in_async_route).items()
}
IN_PLAIN_FUNCTIONS = {
    AIOHTTP: {"time.sleep in a plain function": in_plain_function},
    QUART: {"time.sleep in a plain function, which is a sync route": in_sync_route},
}
SHARING = apps.each(in_threads)
TOO = {
    AIOHTTP: {"asyncio.to_thread, the innocent one too": SHARING[AIOHTTP]},
    QUART: {"time.sleep in a sync route, the innocent one too": SHARING[QUART]},
}
THREADS = {f"{threads} threads": threads for threads in (4, 6, 20)}


@variants("innocent-neighbour", IN_ASYNC_ROUTES, alone=True)
@variants("innocent-neighbour", IN_PLAIN_FUNCTIONS, alone=True)
@variants("innocent-neighbour", TOO, each=THREADS, alone=True)
def ask_innocent(application: Build, threads: int | None = None) -> Answer:
    """Send the twelve, then the innocent one, and count how many blocks were done when it ran.

    threads: how many blocks there can be at a time, where the innocent one waits for a thread.
    """
    with (
        serve(application()) as server,
        connected(server.port, BLOCKERS + 1) as (innocent, *wires),
    ):
        server.call(set_pool(threads))
        for wire in wires:
            wire.request("GET", "/blocking")
        time.sleep(HEAD_START_S)
        reply = innocent.ask("GET", "/innocent")
        for wire in wires:
            wire.answer()
    told = f"{reply.text} of {BLOCKERS} blocks of {BLOCK_S:g} s were done when it was handled"
    return Answer(behind(int(reply.text), threads), f"{told}; it took {reply.took_s:.2f} s")


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
def processes() -> Iterator[apps.Way]:
    """A pool of one process, which is ready before it is needed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(behind, 0, None).result()  # it has started, and imported this module

        async def in_process(computation: apps.Plain) -> object:
            return await asyncio.get_running_loop().run_in_executor(executor, computation)

        yield in_process


def computing(answers: Build, computation: apps.Plain, way: apps.Way) -> App:
    async def busy() -> None:
        seen("computing")
        await way(computation)
        seen("computed")

    return answers({"/busy": busy, "/": apps.hello})


def computing_in_thread(answers: Build, computation: apps.Plain, _: apps.Way) -> App:
    def busy() -> None:
        seen("computing")
        computation()
        seen("computed")

    return answers({"/": apps.hello}, sync={"/busy": busy})


Ways = Callable[[], AbstractContextManager[apps.Way]]
COMPUTING, IN_THREAD = apps.each(computing), apps.each(computing_in_thread)
COMPUTATIONS = {
    "Python code": in_python,
    "a long regular expression": matching,
    "hashlib.pbkdf2_hmac": hashing,
}
IN_PROCESS = {"Python code in a ProcessPoolExecutor": in_python}
IN_THREADS = {
    AIOHTTP: {"in a thread": IN_THREAD[AIOHTTP]},
    QUART: {"in a sync route": IN_THREAD[QUART]},
}


@variants("computing-thread", IN_THREADS, each=COMPUTATIONS, named="{1} {0}", alone=True)
@experiments("computing-thread", COMPUTING, {"Python code on the loop": in_python}, alone=True)
@experiments("computing-thread", COMPUTING, IN_PROCESS, processes, alone=True)
def ask_computing(
    application: Build, computation: apps.Plain, ways: Ways = lambda: nullcontext(apps.called)
) -> Answer:
    """Have somebody ask all the while, and see who was answered while another one computed."""
    with (
        beside(asking) as client,
        ways() as way,
        serve(application(computation, way)) as server,
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
    told = f"{answered} requests of one client were answered within the {ended - began:.2f} s"
    told += f" that it took; the slowest took {slowest * 1000:.0f} ms"
    return Answer("others wait until it is done" if waited else "others are served meanwhile", told)
