"""Handlers that raise or take long: what the client gets, and what is logged."""

from __future__ import annotations

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.experiment import (
    Variants,
    experiment,
    experiments,
    variants,
)
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire, get
from loopbench.loadtests.behaviour.framework.servers import App, Apps, serve
from loopbench.loadtests.behaviour.parsing.scene import (
    PLAIN,
    Logged,
    aiohttp_plain,
    exchange,
    head,
    quart_plain,
)

REQUESTS = 3


@experiments("access-log", PLAIN)
@experiments("access-log", PLAIN, {"logging.basicConfig(level=INFO)": logging.INFO})
@experiment(
    "access-log",
    "aiohttp",
    "logging.basicConfig(level=INFO), access_log=None",
    aiohttp_plain,
    logging.INFO,
    access_log=None,
)
@experiment("access-log", "quart-hypercorn", "accesslog='-'", quart_plain, accesslog="-")
def ask_access_log(
    application: Callable[[], App], level: int | None = None, **options: Any
) -> Answer:
    """level: what the root logger is set to, as logging.basicConfig(level=…) does."""
    log = Logged()
    if level is not None:
        logging.getLogger().setLevel(level)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as error:
        with serve(application(), **options) as server:
            for _ in range(REQUESTS):
                get(server.port, "/")
    through = [one for one in log.records if one.name.endswith(".access")]
    places = {
        f"the logger {through[0].name}" if through else "": len(through),
        "standard output": out.getvalue().count("GET"),
        "standard error": error.getvalue().count("GET"),
    }
    found = {place: lines for place, lines in places.items() if lines}
    if not found:
        return Answer("no line", f"{REQUESTS} requests, and no line anywhere")
    told = ", ".join(f"{place}: {lines} lines" for place, lines in found.items())
    each = "a line each" if set(found.values()) == {REQUESTS} else "not a line each"
    return Answer(f"{each}, {' and '.join(found)}", f"{REQUESTS} requests; {told}")


SECRET = "the password is swordfish"


def aiohttp_raising() -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        raise RuntimeError(SECRET)

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        raise RuntimeError(SECRET)

    app = aiohttp_plain()
    app.add_routes([web.get("/error", handler), web.get("/streamed", streamed)])
    return app


def quart_raising(debug: bool = False, testing: bool = False) -> Quart:
    app = Quart(__name__)
    app.debug = debug
    app.testing = testing

    @app.get("/error")
    async def handler() -> str:
        raise RuntimeError(SECRET)

    @app.get("/streamed")
    async def streamed() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError(SECRET)

        return pieces()

    @app.get("/")
    async def hello() -> str:
        return "hello"

    return app


RAISING: Apps = {"aiohttp": aiohttp_raising, "quart-hypercorn": quart_raising}


def _by(log: Logged) -> str:
    names = {one.name for one in log.records if one.exc_info}
    # Quart's logger has the name of the application, which is that of its module.
    loggers = sorted("the application's logger" if name == __name__ else name for name in names)
    return f"logged by {' and '.join(loggers)}" if loggers else "not logged"


@variants(
    "error-page",
    {
        "aiohttp": {DEFAULT: aiohttp_raising},
        "quart-hypercorn": {
            DEFAULT: quart_raising,
            "app.debug=True": partial(quart_raising, debug=True),
            "app.testing=True": partial(quart_raising, testing=True),
        },
    },
)
@experiment("error-page", "aiohttp", "Accept: text/html", aiohttp_raising, "text/html")
@experiment("error-page", "aiohttp", "PYTHONASYNCIODEBUG=1", aiohttp_raising, debug=True)
def ask_error(application: Callable[[], App], accept: str = "*/*", debug: bool = False) -> Answer:
    if debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"  # the loop is made later, in this process
    log = Logged()
    with serve(application()) as server:
        seen = exchange(server.port, head("GET", "/error", f"Accept: {accept}"))
    if seen.reply is None:
        return Answer(seen.words, seen.told)
    kind = (seen.reply.header("content-type") or "no type").partition(";")[0]
    shown = "with the exception" if SECRET in seen.reply.text else "without the exception"
    page = f"{len(seen.reply.body)} bytes of {kind}, {shown}"
    told = f"{seen.reply.status} with {page}; the connection {seen.fate}; {_by(log)}"
    return Answer(f"{seen.words}, {kind} {shown}, {_by(log)}", told)


@experiments("error-page", RAISING, ("in the middle of a stream",))
def ask_streamed_error(application: Callable[[], App], _: str) -> Answer:
    """After the head and a piece there is no other status to send."""
    log = Logged()
    with serve(application()) as server, Wire(server.port) as wire:
        wire.request("GET", "/streamed")
        try:
            reply = wire.answer()
        except NoAnswer as error:
            return Answer(f"cut off, {_by(log)}", f"{error}; {_by(log)}")
    return Answer(f"as if whole, {_by(log)}", f"{reply.status} with {reply.body!r}; {_by(log)}")


SLOW_S, LONG_S = 2.0, 62.0


def aiohttp_slow(takes_s: float, timeout: float | None = None) -> web.Application:
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
    app.add_routes([web.get("/", handler), web.get("/streamed", streamed)])
    return app


def quart_slow(takes_s: float, timeout: float | None = None, **config: Any) -> Quart:
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

    return app


SLOW: dict[str, Callable[[float], App]] = {"aiohttp": aiohttp_slow, "quart-hypercorn": quart_slow}
BOUNDED: Variants = {
    "aiohttp": {"asyncio.timeout(1)": partial(aiohttp_slow, timeout=1)},
    "quart-hypercorn": {
        "RESPONSE_TIMEOUT=1": partial(quart_slow, RESPONSE_TIMEOUT=1),
        "asyncio.timeout(1)": partial(quart_slow, timeout=1),
    },
}
BOUNDED_STREAMS: Variants = {
    "aiohttp": {"asyncio.timeout(1), streamed": partial(aiohttp_slow, timeout=1)},
    "quart-hypercorn": {
        "RESPONSE_TIMEOUT=1, streamed": partial(quart_slow, RESPONSE_TIMEOUT=1),
        "RESPONSE_TIMEOUT=None, streamed": partial(quart_slow, RESPONSE_TIMEOUT=None),
    },
}


@experiments("slow-handler", SLOW, {DEFAULT: LONG_S}, bound_s=80)
@variants("slow-handler", BOUNDED)
@experiment(
    "slow-handler", "quart-hypercorn", "Hypercorn's read_timeout=1", quart_slow, read_timeout=1
)
def ask_slow(
    application: Callable[[float], App], takes_s: float = SLOW_S, **options: Any
) -> Answer:
    with serve(application(takes_s), **options) as server:
        try:
            reply = get(server.port, "/", takes_s + 10)
        except NoAnswer as error:
            return Answer("closes without an answer", f"the handler takes {takes_s:g} s; {error}")
    told = f"{reply.status} after {reply.took_s:.1f} s of a handler that takes {takes_s:g} s"
    return Answer("answered" if reply.status == 200 else f"{reply.status}", told)


@experiments("slow-handler", SLOW, {"streamed": LONG_S}, bound_s=80)
@variants("slow-handler", BOUNDED_STREAMS)
def ask_slow_stream(application: Callable[[float], App], takes_s: float = SLOW_S) -> Answer:
    with serve(application(takes_s)) as server:
        try:
            reply = get(server.port, "/streamed", takes_s + 10)
        except NoAnswer as error:
            return Answer("cut off", f"after the head and a piece: {error}")
    return Answer("sent whole", f"{reply.text!r} after {reply.took_s:.1f} s")
