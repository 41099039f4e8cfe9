"""A body without a length: when the handler sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import head


def on_aiohttp(seen: Seen) -> AbstractContextManager[Live]:
    async def whole(request: web.Request) -> web.Response:
        seen("called")
        return web.Response(body=await request.read())

    async def streamed(request: web.Request) -> web.Response:
        body = b""
        async for piece in request.content.iter_any():
            body += piece
            seen(f"read {piece.decode()}")
        return web.Response(body=body)

    app = web.Application()
    app.router.add_post("/whole", whole)
    app.router.add_post("/streamed", streamed)
    return aiohttp_server(app)


def on_quart(seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/whole")
    async def whole() -> bytes:
        seen("called")
        return await request.data

    @app.post("/streamed")
    async def streamed() -> bytes:
        body = b""
        async for piece in request.body:
            body += piece
            seen(f"read {piece.decode()}")
        return body

    return hypercorn_server(app)


def ask(serve: Callable[[Seen], AbstractContextManager[Live]], target: str, event: str) -> Answer:
    """Send one piece, see what has happened, and send the rest."""
    seen = Seen()
    with serve(seen) as server, Wire(server.port) as wire:
        wire.send(head("POST", target, "Transfer-Encoding: chunked") + b"3\r\nabc\r\n")
        early = seen.wait(event, 3.0)
        wire.send(b"3\r\ndef\r\n0\r\n\r\n")
        reply = wire.answer()
    when = "before" if early else "after"
    whole = "whole" if reply.text == "abcdef" else f"as {reply.text!r}"
    return Answer(
        f"{when} the rest was sent",
        f"{', '.join(seen.events)}; {reply.status}, and the body was read {whole}",
    )


SERVERS = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}

QUESTION = Question(
    asks="Does a handler see a body before it is all there?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, serve, target, event))
        for setting, target, event in (
            ("when it is called", "/whole", "called"),
            ("read piece by piece", "/streamed", "read abc"),
        )
        for stack, serve in SERVERS.items()
    ),
    claims=(
        Claim(
            "The body is read before the handler is called.",
            {"before*": Agrees.NO, "after*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "before*": "Check who asks, and for what, before you read; what is large need not be held.",
    },
)
