"""A client that stops in the middle of its request's body."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import head

LONG_S = 65.0
SHORT_S = 4.0


def on_aiohttp(timeout: float | None, caught: bool) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(timeout):
                body = await request.read()
        except TimeoutError:
            if caught:
                raise web.HTTPRequestTimeout from None
            raise
        return web.Response(body=body)

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart(
    streamed: bool, config: dict[str, float], **options: Any
) -> AbstractContextManager[Live]:
    app = Quart(__name__)
    app.config.update(config)

    @app.post("/")
    async def handler() -> bytes:
        if streamed:
            return b"".join([piece async for piece in request.body])
        return await request.data

    return hypercorn_server(app, **options)


def ask(server: AbstractContextManager[Live], patience_s: float) -> Answer:
    """Send 5 of 10 bytes, and wait."""
    with server as live, Wire(live.port) as wire:
        wire.send(head("POST", "/", "Content-Length: 10") + b"12345")
        try:
            reply = wire.answer(patience_s)
        except NoAnswer as error:
            if "in time" in str(error):
                return Answer(f"nothing for {patience_s:g} s", "no answer, and it stays open")
            return Answer("closes without an answer", str(error))
    after = f"{reply.took_s:.1f} s"
    return Answer(
        f"{reply.status} after {reply.took_s:.0f} s", f"{reply.status} came after {after}"
    )


def ask_aiohttp(
    patience_s: float = SHORT_S, timeout: float | None = None, caught: bool = False
) -> Answer:
    return ask(on_aiohttp(timeout, caught), patience_s)


def ask_quart(
    patience_s: float = SHORT_S, body_timeout: float = 60, streamed: bool = False, **options: Any
) -> Answer:
    return ask(on_quart(streamed, {"BODY_TIMEOUT": body_timeout}, **options), patience_s)


QUESTION = Question(
    asks="Who gives up a client that stops in the middle of a body, when, and with what?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask_aiohttp, LONG_S), bound_s=80),
        Experiment("aiohttp", "asyncio.timeout(1)", partial(ask_aiohttp, timeout=1)),
        Experiment(
            "aiohttp",
            "asyncio.timeout(1), TimeoutError made HTTPRequestTimeout",
            partial(ask_aiohttp, timeout=1, caught=True),
        ),
        Experiment("quart-hypercorn", DEFAULT, partial(ask_quart, LONG_S), bound_s=80),
        Experiment("quart-hypercorn", "BODY_TIMEOUT=1", partial(ask_quart, body_timeout=1)),
        Experiment(
            "quart-hypercorn",
            "BODY_TIMEOUT=1, read through async for of request.body",
            partial(ask_quart, body_timeout=1, streamed=True),
        ),
        Experiment(
            "quart-hypercorn",
            "Hypercorn's read_timeout=1",
            partial(ask_quart, read_timeout=1),
        ),
    ),
    claims=(
        Claim(
            "A body that does not come is given up after 60 s (`BODY_TIMEOUT`).",
            {"408 after 60 s": Agrees.YES, "nothing*": Agrees.NO},
            ("quart-hypercorn",),
        ),
        Claim(
            "The server times out slow clients by itself.",
            {"nothing*": Agrees.NO},
            ("aiohttp",),
        ),
    ),
    follows={
        "nothing*": "Each such client keeps a connection and a handler. Put `asyncio.timeout` "
        "around what reads the body.",
        "closes without*": "The client has no status, and cannot tell this from a lost network.",
        "504*": "aiohttp answers a TimeoutError with 504, which blames a server behind; raise "
        "HTTPRequestTimeout for 408.",
    },
)
