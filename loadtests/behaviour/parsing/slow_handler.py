"""A handler that takes long, and an answer that does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial
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
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

LONG_S = 62.0


def on_aiohttp(takes_s: float, timeout: float | None) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(timeout):
            await asyncio.sleep(takes_s)
        return web.Response(text="done")

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun, ")
        async with asyncio.timeout(timeout):
            await asyncio.sleep(takes_s)
        await response.write(b"done")
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_get("/streamed", streamed)
    return aiohttp_server(app)


def on_quart(
    takes_s: float, timeout: float | None, config: dict[str, Any], **options: Any
) -> AbstractContextManager[Live]:
    app = Quart(__name__)
    app.config.update(config)

    @app.get("/")
    async def handler() -> str:
        async with asyncio.timeout(timeout):
            await asyncio.sleep(takes_s)
        return "done"

    @app.get("/streamed")
    async def streamed() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun, "
            async with asyncio.timeout(timeout):
                await asyncio.sleep(takes_s)
            yield b"done"

        return pieces()

    return hypercorn_server(app, **options)


def ask(server: AbstractContextManager[Live], target: str, takes_s: float) -> Answer:
    with server as live:
        if target == "/":
            try:
                reply = get(live.port, target, takes_s + 10)
            except NoAnswer as error:
                return Answer(
                    "closes without an answer", f"the handler takes {takes_s:g} s; {error}"
                )
            told = (
                f"{reply.status} after {reply.took_s:.1f} s of a handler that takes {takes_s:g} s"
            )
            if reply.status == 200:
                return Answer("answered", told)
            return Answer(f"{reply.status}", told)
        with Wire(live.port) as wire:
            wire.request("GET", target)
            try:
                reply = wire.answer(takes_s + 10)
            except NoAnswer as error:
                return Answer("cut off", f"after the head and a piece: {error}")
    return Answer("sent whole", f"{reply.text!r} after {reply.took_s:.1f} s")


def ask_aiohttp(target: str = "/", takes_s: float = 2.0, timeout: float | None = None) -> Answer:
    return ask(on_aiohttp(takes_s, timeout), target, takes_s)


def ask_quart(
    target: str = "/",
    takes_s: float = 2.0,
    timeout: float | None = None,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> Answer:
    return ask(on_quart(takes_s, timeout, config or {}, **options), target, takes_s)


QUESTION = Question(
    asks="Is a handler given up that takes more than a minute?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask_aiohttp, takes_s=LONG_S), bound_s=80),
        Experiment("aiohttp", "streamed", partial(ask_aiohttp, "/streamed", LONG_S), bound_s=80),
        Experiment("aiohttp", "asyncio.timeout(1)", partial(ask_aiohttp, timeout=1)),
        Experiment(
            "aiohttp", "asyncio.timeout(1), streamed", partial(ask_aiohttp, "/streamed", timeout=1)
        ),
        Experiment("quart-hypercorn", DEFAULT, partial(ask_quart, takes_s=LONG_S), bound_s=80),
        Experiment(
            "quart-hypercorn", "streamed", partial(ask_quart, "/streamed", LONG_S), bound_s=80
        ),
        Experiment(
            "quart-hypercorn",
            "RESPONSE_TIMEOUT=1",
            partial(ask_quart, config={"RESPONSE_TIMEOUT": 1}),
        ),
        Experiment(
            "quart-hypercorn",
            "RESPONSE_TIMEOUT=1, streamed",
            partial(ask_quart, "/streamed", config={"RESPONSE_TIMEOUT": 1}),
        ),
        Experiment(
            "quart-hypercorn",
            "RESPONSE_TIMEOUT=None, streamed",
            partial(ask_quart, "/streamed", config={"RESPONSE_TIMEOUT": None}),
        ),
        Experiment("quart-hypercorn", "asyncio.timeout(1)", partial(ask_quart, timeout=1)),
        Experiment(
            "quart-hypercorn", "Hypercorn's read_timeout=1", partial(ask_quart, read_timeout=1)
        ),
    ),
    claims=(
        Claim(
            "`RESPONSE_TIMEOUT` ends a handler that takes more than 60 s.",
            {"answered": Agrees.NO, "cut off": Agrees.PARTLY},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "closes without*": "Hypercorn's `read_timeout` runs while a handler works, since the "
        "client has nothing to send: it is no bound for a body alone.",
        "answered": "Nothing bounds a handler: put `asyncio.timeout` into it, or into a "
        "middleware.",
        "cut off": "The client has a 200 and no end. Quart bounds the sending of an answer, not "
        "the handler: set `response.timeout = None` on long streams.",
    },
)
