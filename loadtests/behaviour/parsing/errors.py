"""Handlers that raise or take long: what the client gets, and what is logged."""

import asyncio
import io
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, Build, Work, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework.events import logged, loggers
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, exchanged
from loopbench.loadtests.behaviour.talking import NoAnswer, get, head, reply_of

REQUESTS = 3
SLOW_S, LONG_S = 2.0, 62.0
SECRET = "the password is swordfish"
IN_INFO = "logging.basicConfig(level=INFO)"
NO_LOG = f"{IN_INFO}, access_log=None"


@experiments("access-log", PLAIN)
@experiments("access-log", PLAIN, {IN_INFO: logging.INFO})
@experiment("access-log", AIOHTTP, NO_LOG, PLAIN[AIOHTTP], logging.INFO, access_log=None)
@experiment("access-log", QUART, "accesslog='-'", PLAIN[QUART], accesslog="-")
def ask_access_log(application: Build, level: int | None = None, **options: Any) -> Answer:
    """level: what the root logger is set to, as logging.basicConfig(level=…) does."""
    log = logged()
    if level is not None:
        logging.getLogger().setLevel(level)
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as error:
        with serve(application(), **options) as server:
            for _ in range(REQUESTS):
                get(server.port, "/")
    through = [record for record in log if record.name.endswith(".access")]
    places = {
        f"the logger {through[0].name}" if through else "": len(through),
        "standard output": out.getvalue().count("GET"),
        "standard error": error.getvalue().count("GET"),
    }
    lines_by_place = {place: lines for place, lines in places.items() if lines}
    if not lines_by_place:
        return Answer("no line", f"{REQUESTS} requests, and no line anywhere")
    counts = ", ".join(f"{place}: {lines} lines" for place, lines in lines_by_place.items())
    each = "a line each" if set(lines_by_place.values()) == {REQUESTS} else "not a line each"
    return Answer(f"{each}, {' and '.join(lines_by_place)}", f"{REQUESTS} requests; {counts}")


async def raising() -> str:
    raise RuntimeError(SECRET)


async def raising_later() -> AsyncIterator[bytes]:
    yield b"begun"
    raise RuntimeError(SECRET)


RAISING: dict[str, Work] = {"/error": raising, "/streamed": raising_later}


def _by(log: list[logging.LogRecord]) -> str:
    by = loggers(record for record in log if record.exc_info)
    return "not logged" if by == "nobody" else f"logged by {by}"


error_page = partial(experiment, "error-page")


@experiments("error-page", ANSWERING)
@error_page(QUART, "app.debug=True", ANSWERING[QUART], DEBUG=True)
@error_page(QUART, "app.testing=True", ANSWERING[QUART], TESTING=True)
@error_page(AIOHTTP, "Accept: text/html", ANSWERING[AIOHTTP], "text/html")
@error_page(AIOHTTP, "PYTHONASYNCIODEBUG=1", ANSWERING[AIOHTTP], debug=True)
def ask_error(
    application: Build, accept: str = "*/*", debug: bool = False, **config: bool
) -> Answer:
    """debug: of the loop. config: of Quart; app.debug and app.testing are read from it."""
    if debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"  # the loop is made later, in this process
    log = logged()
    exchange = exchanged(application(RAISING, **config), head("GET", "/error", f"Accept: {accept}"))
    if exchange.reply is None:
        return Answer(exchange.words, exchange.in_words)
    kind = (exchange.reply.header("content-type") or "no type").partition(";")[0]
    shown = "with the exception" if SECRET in exchange.reply.text else "without the exception"
    page = f"{len(exchange.reply.body)} bytes of {kind}, {shown}"
    evidence = f"{exchange.reply.status} with {page}; the connection {exchange.fate}; {_by(log)}"
    return Answer(f"{exchange.words}, {kind} {shown}, {_by(log)}", evidence)


@experiments("error-page", ANSWERING, ("in the middle of a stream",))
def ask_streamed_error(application: Build, _: str) -> Answer:
    """After the head and a piece there is no other status to send."""
    log = logged()
    try:
        reply = reply_of(application(RAISING), "/streamed")
    except NoAnswer as error:
        return Answer(f"cut off, {_by(log)}", f"{error}; {_by(log)}")
    return Answer(f"as if whole, {_by(log)}", f"{reply.status} with {reply.body!r}; {_by(log)}")


def slow(takes_s: float, timeout: float | None = None) -> dict[str, Work]:
    """An answer that takes so long, whole and in two pieces; timeout: around the waiting."""

    async def wait() -> None:
        async with asyncio.timeout(timeout):
            await asyncio.sleep(takes_s)

    async def handler() -> str:
        await wait()
        return "done"

    async def streamed() -> AsyncIterator[bytes]:
        yield b"begun, "
        await wait()
        yield b"done"

    return {"/": handler, "/streamed": streamed}


BOUNDED = partial(slow, timeout=1)
IN_RESPONSE = partial(ANSWERING[QUART], RESPONSE_TIMEOUT=1)
UNBOUNDED = partial(ANSWERING[QUART], RESPONSE_TIMEOUT=None)
long = partial(experiments, "slow-handler", ANSWERING, bound_s=80, waits=True)
slow_handler = partial(experiment, "slow-handler")
streaming = partial(experiment, "slow-handler", target="/streamed")
ENDS = {"/": ("answered", "closes without an answer"), "/streamed": ("sent whole", "cut off")}
"""What the client has of an answer that comes to its end, and of one that does not."""


@long({DEFAULT: LONG_S})
@slow_handler(AIOHTTP, "asyncio.timeout(1)", ANSWERING[AIOHTTP], works=BOUNDED)
@slow_handler(QUART, "RESPONSE_TIMEOUT=1", IN_RESPONSE)
@slow_handler(QUART, "asyncio.timeout(1)", ANSWERING[QUART], works=BOUNDED)
@slow_handler(QUART, "Hypercorn's read_timeout=1", ANSWERING[QUART], read_timeout=1)
@long({"streamed": LONG_S}, target="/streamed")
@streaming(AIOHTTP, "asyncio.timeout(1), streamed", ANSWERING[AIOHTTP], works=BOUNDED)
@streaming(QUART, "RESPONSE_TIMEOUT=1, streamed", IN_RESPONSE)
@streaming(QUART, "RESPONSE_TIMEOUT=None, streamed", UNBOUNDED)
def ask_slow(
    application: Build,
    takes_s: float = SLOW_S,
    works: Callable[[float], dict[str, Work]] = slow,
    target: str = "/",
    **options: Any,
) -> Answer:
    whole, cut = ENDS[target]
    with serve(application(works(takes_s)), **options) as server:
        try:
            reply = get(server.port, target, takes_s + 10)
        except NoAnswer as error:
            return Answer(cut, f"the handler takes {takes_s:g} s; {error}")
    evidence = f"{reply.status} after {reply.took_s:.1f} s of a handler that takes {takes_s:g} s"
    return Answer(
        whole if reply.status == 200 else f"{reply.status}", f"{evidence}: {reply.text!r}"
    )
