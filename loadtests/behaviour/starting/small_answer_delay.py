"""Whether small writes are held back: TCP_NODELAY on accepted connections."""

from __future__ import annotations

import asyncio
import socket
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

REQUESTS = 10


def on_aiohttp() -> AbstractContextManager[Live]:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return aiohttp_server(app)


def on_hypercorn() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        return "hello"

    return hypercorn_server(app)


def _accepted(live: Live) -> list[socket.socket]:
    """The server's own sockets of accepted connections, found among the process's objects."""

    async def look() -> list[Any]:
        loop = asyncio.get_running_loop()
        transports = getattr(loop, "_transports", {})
        return [one.get_extra_info("socket") for one in list(transports.values())]

    found = [one for one in live.call(look()) if one is not None]
    return [one for one in found if one.getsockname()[1] == live.port]


def ask(begin: Callable[[], AbstractContextManager[Live]]) -> Answer:
    """Read the option from the live socket; the times are evidence only."""
    times = []
    with begin() as server, Wire(server.port) as wire:
        for _ in range(REQUESTS):
            wire.request("GET", "/")
            times.append(wire.answer().took_s * 1000)
        options = {
            bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            for one in _accepted(server)
        }
    if len(options) != 1:
        raise LookupError(f"no accepted connection could be read, or they differ: {options}")
    answer = "TCP_NODELAY on" if options.pop() else "TCP_NODELAY off"
    return Answer(
        answer,
        f"{answer}; the median of {REQUESTS} answers on one connection took "
        f"{statistics.median(times):.1f} ms",
    )


QUESTION = Question(
    asks="Are small answers held back by the kernel (is TCP_NODELAY set on connections)?",
    experiments=(
        Experiment("aiohttp", DEFAULT, lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(on_hypercorn)),
    ),
    claims=(
        Claim(
            "asyncio sets TCP_NODELAY on every connection.",
            {"TCP_NODELAY on": Agrees.YES, "TCP_NODELAY off": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "TCP_NODELAY off": "Head and body that are written apart meet the kernel's delayed "
        "acknowledgement: 40 ms an answer on a kept-alive connection.",
        "TCP_NODELAY on": "Where you hand a socket of your own to an asyncio server, make it with "
        "`socket.IPPROTO_TCP`: asyncio sets the option only where the protocol is named.",
    },
)
