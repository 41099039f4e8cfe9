"""Handlers that block, compute, or send without end: who else is served meanwhile.

The clients of some are in a process of their own, which shares no interpreter's lock with the
server.
"""

import asyncio
import hashlib
import multiprocessing
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from math import ceil
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web
from quart import Quart, websocket

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.asking import Answer, Variants, experiments, variants
from loopbench.loadtests.behaviour.dispatch.pools import connected, set_pool
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, get, seen, shake_hands

BLOCKERS = 12
BLOCK_S = 0.1
HEAD_START_S = 0.025
"""How much earlier the twelve are sent."""

BURN_S = 0.5
PIECE, LARGE = b"hello " * 10, b"x" * 2**16
MOST_MB = 64
"""Far more than what all buffers on the way to a client hold together."""


def block() -> str:
    """The mistake, or the legitimate work, of each of the twelve."""
    time.sleep(BLOCK_S)
    seen("block done")
    return ""


def done() -> int:
    """What the innocent one answers: how many of the blocks are done."""
    return seen.events.count("block done")


def in_plain_function() -> App:
    """aiohttp's deprecated handlers."""

    def blocking(_: web.Request) -> Any:
        return web.Response(text=block())

    async def innocent(_: web.Request) -> web.Response:
        return web.Response(text=f"{done()}")

    return apps.aiohttp_app(web.get("/blocking", blocking), web.get("/innocent", innocent))


INNOCENT: dict[str, Work] = {"/innocent": partial(apps.called, done)}
IN_SYNC_ROUTE = partial(apps.quart_answering, INNOCENT, sync={"/blocking": block})
IN_ASYNC_ROUTE = apps.each(
    lambda answers, way: answers({"/blocking": partial(way, block), **INNOCENT})
)
SHARING = apps.each(lambda answers: answers({}, sync={"/blocking": block, "/innocent": done}))
"""The innocent request waits for a thread of the pool as well."""

WAYS: dict[str, apps.Way] = {
    "time.sleep in an async route": apps.called,
    "asyncio.to_thread": asyncio.to_thread,
    "run_in_executor": apps.in_executor,
}
IN_ASYNC_ROUTES = {
    stack: {name: partial(make, way) for name, way in WAYS.items()}
    for stack, make in IN_ASYNC_ROUTE.items()
}
IN_PLAIN_FUNCTIONS: Variants = {
    AIOHTTP: {"time.sleep in a plain function": in_plain_function},
    QUART: {"time.sleep in a plain function, which is a sync route": IN_SYNC_ROUTE},
}
BY_WAY = ("asyncio.to_thread", "time.sleep in a sync route")
TOO = apps.named(SHARING, *(f"{way}, the innocent one too" for way in BY_WAY))
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
    evidence = f"{reply.text} of {BLOCKERS} blocks of {BLOCK_S:g} s were done when it was handled"
    return Answer(behind(int(reply.text), threads), f"{evidence}; it took {reply.took_s:.2f} s")


def behind(blocks: int, threads: int | None) -> str:
    """How late it was, in blocks, or in rounds of a pool of so many threads."""
    if blocks and threads:
        rounds = ceil(blocks / threads)
        return f"behind {rounds} round{'s' * (rounds > 1)} of the pool"
    words = {0: "not delayed", BLOCKERS: "behind all twelve"}
    return words.get(blocks, f"behind {blocks} of the twelve")


@contextmanager
def beside(client: Callable[[Connection], None]) -> Iterator[Connection]:
    """Run `client` there; the two talk through the connection, which ends it when it is closed.

    To be begun before there is any thread.
    """
    context = multiprocessing.get_context("fork")
    ours, its = context.Pipe()
    process = context.Process(target=_live, args=(client, ours, its), daemon=True)
    process.start()
    its.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _live(client: Callable[[Connection], None], ours: Connection, its: Connection) -> None:
    ours.close()  # or it would never be told that the other side has closed
    with suppress(EOFError):
        client(its)


def asking(parent: Connection) -> None:
    """A client that asks for / again and again, until it is told to stop.

    Receives the port; sends, for every answer, when it was asked for and when it was there, by
    perf_counter, which all processes of a machine share.
    """
    times: list[tuple[float, float]] = []
    port = parent.recv()
    while not parent.poll():
        asked = time.perf_counter()
        get(port, "/")
        times.append((asked, time.perf_counter()))
        if len(times) == 1:
            parent.send("asking")
    parent.recv()
    parent.send(times)


def in_python() -> None:
    """Many small steps, for so long by the clock."""
    until = time.perf_counter() + BURN_S
    while time.perf_counter() < until:
        sum(range(1000))


@contextmanager
def processes() -> Iterator[apps.Way]:
    """A pool of one process, which is ready before it is needed."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        executor.submit(behind, 0, None).result()  # it has started, and imported this module
        yield lambda computation: asyncio.get_running_loop().run_in_executor(executor, computation)


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
    # One call into C that keeps the lock: it tries everything.
    "a long regular expression": partial(re.compile(r"(a*)*b").match, "a" * 22),
    # One call into C that lets go of the lock, as it is made for each password.
    "hashlib.pbkdf2_hmac": partial(hashlib.pbkdf2_hmac, "sha256", b"password", b"salt", 10**6),
}
IN_PROCESS = {"Python code in a ProcessPoolExecutor": in_python}
IN_THREADS = apps.named(IN_THREAD, "in a thread", "in a sync route")


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
    evidence = f"{answered} requests of one client were answered within the {ended - began:.2f} s"
    evidence += f" that it took; the slowest took {slowest * 1000:.0f} ms"
    return Answer(
        "others wait until it is done" if waited else "others are served meanwhile", evidence
    )


Pieces = Callable[[], AsyncIterator[bytes]]
Opening = Callable[[Wire], object]
"""What a client says first."""


async def endless(sleep_s: float | None = None) -> AsyncIterator[bytes]:
    while True:
        yield PIECE
        if sleep_s is not None:
            await asyncio.sleep(sleep_s)


def aiohttp_socket(pieces: Pieces) -> App:
    """A WebSocket at /push, through which all of them are sent."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for piece in pieces():
            await socket.send_bytes(piece)
        return socket

    app = apps.AWAITING[AIOHTTP](apps.hello)
    app.router.add_get("/push", handler)
    return app


def quart_socket(pieces: Pieces) -> App:
    app: Quart = apps.AWAITING[QUART](apps.hello)

    @app.websocket("/push")
    async def handler() -> None:
        async for piece in pieces():
            await websocket.send(piece)

    return app


STREAMS = apps.each(lambda answers, pieces: answers({"/push": pieces, "/": apps.hello}))
SOCKETS = {AIOHTTP: aiohttp_socket, QUART: quart_socket}
PATIENCE_S = 1.5
"""How long an answer is waited for; far less than it takes to fill all buffers on the way."""
FLOWING_S = 0.2
"""How long it flows before anybody asks for something else."""
FULL_S = 15.0
"""How long it may take, on a busy machine, until all buffers on the way are full."""

BOUND_S = 2 * FULL_S

FLOWING = {"no sleep": endless, "await asyncio.sleep(0)": partial(endless, 0.0)}
STOPPED = {"no sleep, a client that has stopped reading": endless}
ASK = partial(Wire.request, method="GET", target="/push")
SHAKE_HANDS = partial(shake_hands, target="/push")


@experiments("stream-push", STREAMS, FLOWING, ASK, True, bound_s=BOUND_S, alone=True)
@experiments("stream-push", STREAMS, STOPPED, ASK, False, bound_s=BOUND_S)
@experiments("websocket-push", SOCKETS, FLOWING, SHAKE_HANDS, True, bound_s=BOUND_S, alone=True)
@experiments("websocket-push", SOCKETS, STOPPED, SHAKE_HANDS, False, bound_s=BOUND_S)
def ask_pushed(application: Build, pieces: Pieces, opening: Opening, reads_on: bool) -> Answer:
    """Ask for a page while a client in a process of its own is sent things without end.

    opening: what the client says first. reads_on: it reads as fast as it can; else it stops.
    """
    patience_s = PATIENCE_S if reads_on else FULL_S
    client = partial(receiving, opening, reads_on)
    with beside(client) as receiver, serve(application(pieces)) as server:
        receiver.send(server.port)
        receiver.recv()
        time.sleep(FLOWING_S)
        before = _how_much(receiver)
        try:
            took_s = get(server.port, "/", patience_s).took_s
        except NoAnswer:
            answer, evidence = "others starve", f"no answer within {patience_s:g} s"
        else:
            answer, evidence = "others are served", f"served after {took_s:.3f} s"
        read = _how_much(receiver) - before
        receiver.close()  # so that it leaves, and the server can stop
    return Answer(answer, f"{evidence}; meanwhile the client read {read / 1000:.0f} kB")


def _how_much(receiver: Connection) -> int:
    receiver.send("how much")
    return int(receiver.recv())


def receiving(opening: Opening, reads_on: bool, parent: Connection) -> None:
    """The client: told the port, it says when the first bytes are there, and how many they are
    where it is asked. It leaves when the experiment closes the connection to it."""
    read = 0
    with Wire(parent.recv()) as wire:
        opening(wire)
        while received := wire.some():
            if not read:
                parent.send("flowing")
            read += len(received)
            while not reads_on or parent.poll():
                parent.recv()
                parent.send(read)


@experiments("websocket-unread", SOCKETS, bound_s=30)
def ask_unread(application: Build) -> Answer:
    async def large() -> AsyncIterator[bytes]:
        for _ in range(MOST_MB * 10**6 // len(LARGE)):
            yield LARGE
            seen("sent")
        seen("all sent")

    with serve(application(large)) as server, Wire(server.port) as wire:
        shake_hands(wire, "/push")
        before = -1
        while before != (before := len(seen.events)) and "all sent" not in seen:
            time.sleep(1.0)
        size_mb = seen.events.count("sent") * len(LARGE) / 10**6
    waits = f"does not wait for {MOST_MB} MB" if "all sent" in seen else "waits"
    return Answer(f"sending {waits}", f"{size_mb:.1f} MB were sent to a client that read nothing")
