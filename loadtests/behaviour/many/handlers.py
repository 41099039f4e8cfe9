"""Many requests at once, on many connections or on one: how many handlers work side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.applications import AWAITING, SYNC
from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment, experiments
from loopbench.loadtests.behaviour.dispatch.pools import in_words, set_pool
from loopbench.loadtests.behaviour.framework.crowd import Inside
from loopbench.loadtests.behaviour.framework.http2_client import in_streams, pipelined
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Seen, Wire, get

REQUESTS = 100
WAIT_S = 0.5
SHORT_S = 0.02
"""Instead, where a hundred of them add up."""
LARGER = 50
"""Threads; more than any machine's default."""


async def sleeping(inside: Inside) -> None:
    with inside:
        await asyncio.sleep(WAIT_S)


async def blocking(inside: Inside) -> None:
    with inside:
        time.sleep(SHORT_S)  # noqa: ASYNC251  the mistake that is asked about


def plain(inside: Inside) -> None:
    with inside:
        time.sleep(WAIT_S)


SLEEPING = {"await asyncio.sleep(0.5)": sleeping}
BLOCKING = {f"time.sleep({SHORT_S}) in an async route": blocking}
IN_A_THREAD = "time.sleep(0.5) through asyncio.to_thread"
IN_A_ROUTE = "time.sleep(0.5) in a sync route"
hundred = partial(experiment, "hundred-handlers", bound_s=60, sensitive=True)


@experiments("hundred-handlers", AWAITING, SLEEPING, alone=True)
@experiments("hundred-handlers", AWAITING, BLOCKING, SHORT_S, sensitive=True)
@hundred(AIOHTTP, IN_A_THREAD, SYNC[AIOHTTP], plain)
@hundred(AIOHTTP, f"{IN_A_THREAD}, {LARGER} threads", SYNC[AIOHTTP], plain, threads=LARGER)
@hundred(QUART, IN_A_ROUTE, SYNC[QUART], plain)
@hundred(QUART, f"{IN_A_ROUTE}, {LARGER} threads", SYNC[QUART], plain, threads=LARGER)
def ask_hundred(
    application: Build,
    wait: Callable[[Inside], Any],
    wait_s: float = WAIT_S,
    threads: int | None = None,
) -> Answer:
    """How many of the hundred were inside at once, and how long all of them took.

    wait: what the handler does, a coroutine function, or a plain one that is run in a thread.
    """
    inside = Inside()
    app = application(partial(wait, inside))
    with serve(app) as server, ThreadPoolExecutor(REQUESTS) as clients:
        server.call(set_pool(threads))
        began = time.perf_counter()
        list(clients.map(lambda _: get(server.port, "/", 60.0), range(REQUESTS)))
        took_s = time.perf_counter() - began
    words = {1: "one after another", REQUESTS: "all at once"}
    return Answer(
        words.get(inside.most, f"{in_words(inside.most)} at a time"),
        f"at most {inside.most} of {REQUESTS} were inside the handler at once; all were answered "
        f"after {took_s:.2f} s, where one waits {wait_s:g} s",
    )


ON_ONE = 5
STEP_S = 0.1


def numbered(inside: Inside) -> dict[str, Work]:
    """The first ones take the longest, so that order shows."""

    async def answer(number: int) -> int:
        with inside:
            await asyncio.sleep(STEP_S * (ON_ONE - number))
        return number

    return {f"/{number}": partial(answer, number) for number in range(ON_ONE)}


Talk = Callable[[Wire, Sequence[str]], list[str]]


@experiments("same-connection", ANSWERING, (), pipelined)
@experiment("same-connection", QUART, "HTTP/2", ANSWERING[QUART], in_streams)
def ask_on_one(application: Build, talk: Talk) -> Answer:
    """Send all of them at once, and see who was inside at once and how the answers came."""
    inside = Inside()
    numbers = [str(number) for number in range(ON_ONE)]
    with serve(application(numbered(inside))) as server, Wire(server.port) as wire:
        answers = talk(wire, [f"/{number}" for number in numbers])
    if sorted(answers) != numbers:
        raise ValueError(f"the answers were {', '.join(answers)}")
    order = "in the order of the requests" if answers == numbers else "as they are ready"
    words = {1: "one after another", ON_ONE: "side by side"}
    return Answer(
        f"{words.get(inside.most, f'{inside.most} at once')}, answered {order}",
        f"{ON_ONE} requests were sent at once on one connection, the first to take the longest; "
        f"at most {inside.most} were in their handlers at the same time; answers came as "
        f"{', '.join(answers)}",
    )


@experiment("same-connection", AIOHTTP, "HTTP/2")
def not_spoken() -> Answer:
    """aiohttp, spoken to in HTTP/2."""
    try:
        return ask_on_one(ANSWERING[AIOHTTP], in_streams)
    except NoAnswer as error:
        return Answer(NONE, f"to HTTP/2 it says {error}; the nearest thing is more connections")


async def fails(seen: Seen) -> None:
    await asyncio.sleep(0.05)
    seen("failed")
    raise ValueError("one of the two")


async def sibling(seen: Seen) -> None:
    with seen.ends("sibling"):
        await asyncio.sleep(0.3)


async def grouped(seen: Seen) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fails(seen))
        group.create_task(sibling(seen))


async def waited(seen: Seen) -> None:
    pair = {asyncio.create_task(fails(seen)), asyncio.create_task(sibling(seen))}
    await asyncio.wait(pair, return_when=asyncio.FIRST_EXCEPTION)


async def gathered(seen: Seen, return_exceptions: bool = False) -> None:
    pair = fails(seen), sibling(seen)
    await asyncio.gather(*pair, return_exceptions=return_exceptions)


TOGETHER: dict[str, Callable[[Seen], Awaitable[object]]] = {
    "asyncio.gather": gathered,
    "asyncio.gather(…, return_exceptions=True)": partial(gathered, return_exceptions=True),
    "asyncio.TaskGroup": grouped,
    "asyncio.wait(…, return_when=FIRST_EXCEPTION)": waited,
}


@experiments("failing-sibling", AWAITING, TOGETHER)
def ask_sibling(application: Build, body: Callable[[Seen], Awaitable[object]]) -> Answer:
    """One of two things that a handler does together fails: what becomes of the other."""
    seen = Seen()
    with serve(application(partial(body, seen))) as server:
        reply = get(server.port, "/")
        answered = seen.events
        seen.wait("sibling finished", 1.0)
    ends = [event for event in seen.events if event.startswith("sibling")]
    when = "before" if any(end in answered for end in ends) else "after"
    return Answer(f"{reply.status}, {ends[0]} {when} the answer", f"in order: {seen.events}")
