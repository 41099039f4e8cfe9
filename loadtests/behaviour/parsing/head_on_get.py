"""HEAD for what is registered as GET."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import exchange, head

PIECES = 5


def on_aiohttp(seen: Seen, allow_head: bool = True) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        seen(f"handler, {request.method}")
        return web.Response(text="hello")

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(PIECES):
            seen(f"piece {number}")
            await response.write(b"piece")
        return response

    app = web.Application()
    app.router.add_get("/", handler, allow_head=allow_head)
    app.router.add_get("/streamed", streamed)
    return aiohttp_server(app)


def on_quart(seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        seen(f"handler, {request.method}")
        return "hello"

    @app.get("/streamed")
    async def streamed() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(PIECES):
                seen(f"piece {number}")
                yield b"piece"

        return pieces()

    return hypercorn_server(app)


def ask(server: AbstractContextManager[Live], seen: Seen) -> Answer:
    with server as live:
        got = exchange(live.port, head("HEAD", "/"), to_head=True)
    if got.reply is None or got.reply.status != 200:
        return Answer(got.words, got.told)
    ran = "the handler ran" if "handler, HEAD" in seen else "the handler did not run"
    length = got.reply.header("content-length")
    return Answer(
        f"{got.reply.status}, {ran}, Content-Length {length}",
        f"{ran} ({', '.join(seen.events)}); no body; the connection {got.fate}",
    )


def ask_streamed(server: AbstractContextManager[Live], seen: Seen) -> Answer:
    """A body all the same would come in the way of the next answer."""
    with server as live:
        got = exchange(live.port, head("HEAD", "/streamed"), to_head=True)
    made = sum(event.startswith("piece") for event in seen.events)
    return Answer(
        f"{got.words}, {made} of {PIECES} pieces made",
        f"{made} pieces were made and none sent; the connection {got.fate}",
    )


def ask_aiohttp(allow_head: bool = True, streamed: bool = False) -> Answer:
    seen = Seen()
    return (ask_streamed if streamed else ask)(on_aiohttp(seen, allow_head), seen)


def ask_quart(streamed: bool = False) -> Answer:
    seen = Seen()
    return (ask_streamed if streamed else ask)(on_quart(seen), seen)


QUESTION = Question(
    asks="What does HEAD do to a route that is registered for GET?",
    experiments=(
        Experiment("aiohttp", DEFAULT, ask_aiohttp),
        Experiment("aiohttp", "allow_head=False", partial(ask_aiohttp, allow_head=False)),
        Experiment("aiohttp", "streamed", partial(ask_aiohttp, streamed=True)),
        Experiment("quart-hypercorn", DEFAULT, ask_quart),
        Experiment("quart-hypercorn", "streamed", partial(ask_quart, streamed=True)),
    ),
    claims=(
        Claim(
            "HEAD is cheap, since nothing is sent.",
            {"*the handler ran*": Agrees.NO, "*5 of 5*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "200, the handler ran*": "A HEAD costs what a GET costs, side effects included.",
        "*5 of 5 pieces made": "The whole stream is made and thrown away: look at the method "
        "before you begin one.",
    },
)
