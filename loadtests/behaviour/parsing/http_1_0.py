"""Requests of HTTP/1.0, as from old proxies, probes and benchmark tools."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, both

ENDS_S = 4.0
SECOND = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b"hel", b"lo"):
            await response.write(piece)
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_get("/streamed", streamed)
    return aiohttp_server(app)


def on_quart() -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        return "hello"

    @app.get("/streamed")
    async def streamed() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"hel", b"lo"):
                yield piece

        return pieces()

    return hypercorn_server(app)


def ask(serve: Serve, target: str, *lines: str) -> Answer:
    request = "\r\n".join([f"GET {target} HTTP/1.0", *lines, "", ""]).encode()
    with serve() as server, Wire(server.port) as wire:
        wire.send(request)
        try:
            reply = wire.answer(ENDS_S)
        except NoAnswer as error:
            return Answer("no end of the body, stays open", f"{ENDS_S:g} s after it: {error}")
        if wire.closed(1.0) is None:
            wire.send(SECOND)
            fate = f"stays open, the next is {wire.answer().status}"
        else:
            fate = "then closes"
    framing = "chunked" if reply.header("transfer-encoding") else "as it is"
    whole = "whole" if reply.text == "hello" else f"as {reply.text!r}"
    said = ", ".join(f"{name}: {value}" for name, value in reply.headers if name != "date")
    told = f"{reply.status} with {said}; the body came {whole}; {fate}"
    if target == "/streamed" and reply.status == 200:
        return Answer(f"{reply.status}, the body {framing}, {fate}", told)
    return Answer(f"{reply.status}, {fate}", told)


SERVERS = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
HOST, KEEP = "Host: localhost", "Connection: keep-alive"

QUESTION = Question(
    asks="What does a client of HTTP/1.0 get?",
    experiments=(
        *both("GET", ask, "/", HOST, servers=SERVERS),
        *both("GET without Host", ask, "/", servers=SERVERS),
        *both("GET with Connection: keep-alive", ask, "/", HOST, KEEP, servers=SERVERS),
        *both("a streamed answer", ask, "/streamed", HOST, servers=SERVERS),
        *both(
            "a streamed answer, Connection: keep-alive",
            ask,
            "/streamed",
            HOST,
            KEEP,
            servers=SERVERS,
        ),
    ),
    follows={
        "no end*": "There is neither a length nor chunks, and the connection is kept: the client "
        "waits for the rest until it gives up. Close it with `response.force_close()`.",
        "200, then closes": "A client of HTTP/1.0, ApacheBench among them, makes a connection for "
        "each request.",
    },
)
