"""Handlers that send without end: whether anybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from multiprocessing.connection import Connection

from aiohttp import web
from quart import websocket

from loopbench.loadtests.behaviour.applications import aiohttp_answering, hello, quart_answering
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.blocking.beside import beside
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Seen, Wire, get, shake_hands

PIECE = b"hello " * 10

Pieces = Callable[[], AsyncIterator[bytes]]
Opening = Callable[[Wire], object]
"""What a client says first."""


async def endless(sleep_s: float | None) -> AsyncIterator[bytes]:
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

    app = aiohttp_answering({"/": hello})
    app.router.add_get("/push", handler)
    return app


def quart_socket(pieces: Pieces) -> App:
    app = quart_answering({"/": hello})

    @app.websocket("/push")
    async def handler() -> None:
        async for piece in pieces():
            await websocket.send(piece)

    return app


def streaming(answers: Build, pieces: Pieces) -> App:
    return answers({"/push": pieces, "/": hello})


STREAMS = {stack: partial(streaming, answers) for stack, answers in ANSWERING.items()}
SOCKETS = {AIOHTTP: aiohttp_socket, QUART: quart_socket}
PATIENCE_S = 1.5
"""How long an answer is waited for; far less than it takes to fill all buffers on the way."""
FLOWING_S = 0.2
"""How long it flows before anybody asks for something else."""
FULL_S = 15.0
"""How long it may take, on a busy machine, until all buffers on the way are full."""


def ask_pushed(application: Build, opening: Opening, reads_on: bool) -> Answer:
    """Ask for a page while a client in a process of its own is sent things without end.

    opening: what the client says first. reads_on: it reads as fast as it can; else it stops.
    """
    patience_s = PATIENCE_S if reads_on else FULL_S
    client = partial(receiving, opening, reads_on)
    with beside(client) as receiver, serve(application()) as server:
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


SETTINGS: dict[str, tuple[float | None, bool]] = {
    "no sleep": (None, True),
    "await asyncio.sleep(0)": (0.0, True),
    "no sleep, a client that has stopped reading": (None, False),
}
"""How long the handler sleeps after each piece, and whether the client reads on."""


for question, stacks, opening in (
    ("stream-push", STREAMS, lambda wire: wire.request("GET", "/push")),
    ("websocket-push", SOCKETS, partial(shake_hands, target="/push")),
):
    flood = partial(experiment, question, bound_s=2 * FULL_S)
    for stack, application in stacks.items():
        for setting, (sleep_s, reads_on) in SETTINGS.items():
            pushed = partial(application, partial(endless, sleep_s))
            flood(stack, setting, pushed, opening, reads_on, alone=reads_on)(ask_pushed)

LARGE = b"x" * 2**16
MOST_MB = 64
"""Far more than what all buffers on the way to a client hold together."""


@experiments("websocket-unread", SOCKETS, bound_s=30)
def ask_unread(application: Build) -> Answer:
    """Open a WebSocket, read nothing of it, and see whether sending comes to wait."""
    seen = Seen()

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
