"""Handlers that send without end: whether anybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import web
from quart import websocket

from loopbench.loadtests.behaviour.applications import aiohttp_answering, hello, quart_answering
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.blocking.beside import beside
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Wire, get, shake_hands

PIECE = "hello " * 10

Send = Callable[[str], Awaitable[None]]
Push = Callable[[Send], Awaitable[None]]
Opening = Callable[[Wire], object]
"""What a client says first."""


def streaming(sleep_s: float | None) -> dict[str, Work]:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield PIECE.encode()
            if sleep_s is not None:
                await asyncio.sleep(sleep_s)

    return {"/stream": pieces, "/": hello}


async def pushing(sleep_s: float | None, send: Send) -> None:
    while True:
        await send(PIECE)
        if sleep_s is not None:
            await asyncio.sleep(sleep_s)


def aiohttp_socket(push: Push) -> App:
    """A WebSocket at /push, through which `push` sends."""

    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await push(socket.send_str)
        return socket

    app = aiohttp_answering({"/": hello})
    app.router.add_get("/push", handler)
    return app


def quart_socket(push: Push) -> App:
    """The same."""
    app = quart_answering({"/": hello})

    @app.websocket("/push")
    async def handler() -> None:
        await push(websocket.send)

    return app


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
    client = partial(receiving, opening, tell if reads_on else stop_reading)
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


Then = Callable[[Connection, int], None]
"""What a client does with its bytes, given how many there are by now."""


def tell(parent: Connection, read: int) -> None:
    """Say how many they are where the experiment has asked, and go on."""
    while parent.poll():
        parent.recv()
        parent.send(read)


def stop_reading(parent: Connection, read: int) -> None:
    """Read no more, and only answer the experiment from now on."""
    while True:
        parent.recv()
        parent.send(read)


def receiving(opening: Opening, then: Then, parent: Connection) -> None:
    """The client: told the port, it says when the first bytes are there. It leaves when the
    experiment closes the connection to it."""
    read = 0
    with Wire(parent.recv()) as wire:
        opening(wire)
        while received := wire.some():
            if not read:
                parent.send("flowing")
            read += len(received)
            then(parent, read)


SETTINGS: tuple[tuple[str, float | None, bool], ...] = (
    ("no sleep", None, True),
    ("await asyncio.sleep(0)", 0.0, True),
    ("no sleep, a client that has stopped reading", None, False),
)
"""Setting, how long the handler sleeps after each piece, and whether the client reads on."""


def ask_stream(wire: Wire) -> None:
    wire.request("GET", "/stream")


def ask_socket(wire: Wire) -> None:
    shake_hands(wire, "/push")


def sending(sleep_s: float | None) -> Push:
    return partial(pushing, sleep_s)


PUSHING: tuple[tuple[str, Mapping[str, Build], Callable[..., Any], Opening], ...] = (
    ("stream-push", ANSWERING, streaming, ask_stream),
    ("websocket-push", SOCKETS, sending, ask_socket),
)
"""Question, applications, what they do when it sleeps for so long between, and the opening."""

for question, stacks, pushes, opening in PUSHING:
    flood = partial(experiment, question, bound_s=2 * FULL_S)
    for stack, application in stacks.items():
        for setting, sleep_s, reads_on in SETTINGS:
            pushed = partial(application, pushes(sleep_s))
            flood(stack, setting, pushed, opening, reads_on, alone=reads_on)(ask_pushed)

LARGE = "x" * 2**16
MOST_MB = 64
"""Far more than what all buffers on the way to a client hold together."""


@dataclass(slots=True)
class Sent:
    """How much a handler has sent."""

    size: int = 0

    async def push(self, send: Send) -> None:
        """Send all that there is, and count it."""
        while self.size < MOST_MB * 10**6:
            await send(LARGE)
            self.size += len(LARGE)


@experiments("websocket-unread", SOCKETS, bound_s=30)
def ask_unread(application: Build) -> Answer:
    """Open a WebSocket, read nothing of it, and see whether sending comes to wait."""
    sent = Sent()
    with serve(application(sent.push)) as server, Wire(server.port) as wire:
        shake_hands(wire, "/push")
        before = -1
        while before != sent.size and sent.size < MOST_MB * 10**6:
            before = sent.size
            time.sleep(1.0)
        size_mb = sent.size / 10**6
    waits = "waits" if size_mb < MOST_MB else f"does not wait for {MOST_MB} MB"
    return Answer(f"sending {waits}", f"{size_mb:.1f} MB were sent to a client that read nothing")
