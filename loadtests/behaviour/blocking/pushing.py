"""Handlers that send without end: whether anybody else is served meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from multiprocessing.connection import Connection

from aiohttp import web
from quart import Quart, websocket

from loopbench.loadtests.behaviour.applications import AWAITING, each, hello
from loopbench.loadtests.behaviour.asking import Answer, experiments
from loopbench.loadtests.behaviour.blocking.beside import beside
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, get, seen, shake_hands

PIECE = b"hello " * 10

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

    app = AWAITING[AIOHTTP](hello)
    app.router.add_get("/push", handler)
    return app


def quart_socket(pieces: Pieces) -> App:
    app: Quart = AWAITING[QUART](hello)

    @app.websocket("/push")
    async def handler() -> None:
        async for piece in pieces():
            await websocket.send(piece)

    return app


STREAMS = each(lambda answers, pieces: answers({"/push": pieces, "/": hello}))
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
            answer, told = "others starve", f"no answer within {patience_s:g} s"
        else:
            answer, told = "others are served", f"served after {took_s:.3f} s"
        read = _how_much(receiver) - before
        receiver.close()  # so that it leaves, and the server can stop
    return Answer(answer, f"{told}; meanwhile the client read {read / 1000:.0f} kB")


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


LARGE = b"x" * 2**16
MOST_MB = 64
"""Far more than what all buffers on the way to a client hold together."""


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
