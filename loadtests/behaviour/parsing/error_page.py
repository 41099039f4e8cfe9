"""An exception in a handler: what the client gets, and what is logged."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial

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
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import exchange, head
from loopbench.loadtests.behaviour.parsing.logging_seen import Logged, logged

SECRET = "the password is swordfish"


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        raise RuntimeError(SECRET)

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        raise RuntimeError(SECRET)

    app = web.Application()
    app.router.add_get("/error", handler)
    app.router.add_get("/streamed", streamed)
    app.router.add_get("/", hello)
    return aiohttp_server(app)


def on_quart(debug: bool, testing: bool) -> AbstractContextManager[Live]:
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

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], accept: str) -> Answer:
    log = logged()
    with server as live:
        seen = exchange(live.port, head("GET", "/error", f"Accept: {accept}"))
    if seen.reply is None:
        return Answer(seen.words, seen.told)
    kind = (seen.reply.header("content-type") or "no type").partition(";")[0]
    shown = "with the exception" if SECRET in seen.reply.text else "without the exception"
    page = f"{len(seen.reply.body)} bytes of {kind}, {shown}"
    told = f"{seen.reply.status} with {page}; the connection {seen.fate}; {_by(log)}"
    return Answer(f"{seen.words}, {kind} {shown}, {_by(log)}", told)


def _by(log: Logged) -> str:
    names = {one.name for one in log.records if one.exc_info}
    # Quart's logger has the name of the application, which is that of its module.
    loggers = sorted("the application's logger" if name == __name__ else name for name in names)
    return f"logged by {' and '.join(loggers)}" if loggers else "not logged"


def ask_streamed(server: AbstractContextManager[Live]) -> Answer:
    """After the head and a piece there is no other status to send."""
    log = logged()
    with server as live, Wire(live.port) as wire:
        wire.request("GET", "/streamed")
        try:
            reply = wire.answer()
        except NoAnswer as error:
            return Answer(f"cut off, {_by(log)}", f"{error}; {_by(log)}")
    return Answer(f"as if whole, {_by(log)}", f"{reply.status} with {reply.body!r}; {_by(log)}")


def ask_aiohttp(accept: str = "*/*", debug: bool = False) -> Answer:
    if debug:
        os.environ["PYTHONASYNCIODEBUG"] = "1"  # the loop is made later, in this process
    return ask(on_aiohttp(), accept)


def ask_quart(accept: str = "*/*", debug: bool = False, testing: bool = False) -> Answer:
    return ask(on_quart(debug, testing), accept)


STREAM = "in the middle of a stream"
HTML = "text/html"

QUESTION = Question(
    asks="What does a client get when a handler raises, and what is logged?",
    experiments=(
        Experiment("aiohttp", DEFAULT, ask_aiohttp),
        Experiment("aiohttp", "Accept: text/html", partial(ask_aiohttp, HTML)),
        Experiment("aiohttp", "PYTHONASYNCIODEBUG=1", partial(ask_aiohttp, debug=True)),
        Experiment("aiohttp", STREAM, lambda: ask_streamed(on_aiohttp())),
        Experiment("quart-hypercorn", DEFAULT, ask_quart),
        Experiment("quart-hypercorn", "app.debug=True", partial(ask_quart, debug=True)),
        Experiment("quart-hypercorn", "app.testing=True", partial(ask_quart, testing=True)),
        Experiment(
            "quart-hypercorn",
            STREAM,
            lambda: ask_streamed(on_quart(debug=False, testing=False)),
        ),
    ),
    claims=(
        Claim(
            "The client is shown nothing of the exception unless the application is in debug mode.",
            {"*without the exception*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*with the exception*": "Traceback and message go to whoever asks. aiohttp takes its debug "
        "mode from the loop.",
        "cut off*": "The client has a 200 and a body without an end, which is all that can still "
        "be told; do what may fail before the first piece.",
        "as if whole*": "The client cannot see that something is missing.",
        "*then closes*": "A client of a pool has to connect anew after each 500.",
    },
)
