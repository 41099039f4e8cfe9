"""Methods: HEAD and OPTIONS that nobody wrote, and those that a path or HTTP does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments
from loopbench.loadtests.behaviour.parsing.scene import PLAIN, exchange, head, outcome
from loopbench.loadtests.behaviour.serving import AIOHTTP, ANSWERING, QUART, App, Apps, Build, serve
from loopbench.loadtests.behaviour.talking import Seen

PIECES = 5


def aiohttp_head(seen: Seen, allow_head: bool = True) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        seen(f"handler, {request.method}")
        return web.Response(text="hello")

    return aiohttp_app(web.get("/", handler, allow_head=allow_head))


def quart_head(seen: Seen) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        seen(f"handler, {request.method}")
        return "hello"

    return app


HEADS: dict[str, Callable[[Seen], App]] = {AIOHTTP: aiohttp_head, QUART: quart_head}


@experiments("head-on-get", HEADS)
@experiment("head-on-get", AIOHTTP, "allow_head=False", partial(aiohttp_head, allow_head=False))
def ask_head(application: Callable[[Seen], App]) -> Answer:
    seen = Seen()
    with serve(application(seen)) as server:
        got = exchange(server.port, head("HEAD", "/"), to_head=True)
    if got.reply is None or got.reply.status != 200:
        return Answer(got.words, got.told)
    ran = "the handler ran" if "handler, HEAD" in seen else "the handler did not run"
    length = got.reply.header("content-length")
    return Answer(
        f"{got.reply.status}, {ran}, Content-Length {length}",
        f"{ran} ({', '.join(seen.events)}); no body; the connection {got.fate}",
    )


@experiments("head-on-get", ANSWERING, ("streamed",))
def ask_streamed_head(application: Build, _: str) -> Answer:
    """A body all the same would come in the way of the next answer."""
    seen = Seen()

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(PIECES):
            seen(f"piece {number}")
            yield b"piece"

    with serve(application({"/streamed": pieces})) as server:
        got = exchange(server.port, head("HEAD", "/streamed"), to_head=True)
    made = sum(event.startswith("piece") for event in seen.events)
    return Answer(
        f"{got.words}, {made} of {PIECES} pieces made",
        f"{made} pieces were made and none sent; the connection {got.fate}",
    )


NO_OPTIONS = partial(PLAIN[QUART], PROVIDE_AUTOMATIC_OPTIONS=False)
OFF = "PROVIDE_AUTOMATIC_OPTIONS=False"


@experiments("method-not-allowed", PLAIN, (), "DELETE")
@experiments("options-automatic", PLAIN, (), "OPTIONS")
@experiment("options-automatic", QUART, OFF, NO_OPTIONS, "OPTIONS")
def ask_method(application: Build, method: str) -> Answer:
    with serve(application()) as server:
        seen = exchange(server.port, head(method, "/"))
    if seen.reply is None:
        return Answer(seen.words, seen.told)
    allowed = seen.reply.header("allow")
    sorted_ = ", ".join(sorted(allowed.replace(" ", "").split(","))) if allowed else "none"
    return Answer(f"{seen.reply.status}, Allow: {sorted_}", f"Allow: {allowed}; {seen.told}")


def aiohttp_unusual() -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.method)

    purge, foo = web.route("PURGE", "/purge", handler), web.route("FOO", "/foo", handler)
    return aiohttp_app(web.get("/", handler), purge, foo)


def quart_unusual() -> Quart:
    app = Quart(__name__)

    async def handler() -> str:
        return request.method

    app.add_url_rule("/", "root", handler)
    app.add_url_rule("/purge", "purge", handler, methods=["PURGE"])
    app.add_url_rule("/foo", "foo", handler, methods=["FOO"])
    return app


UNKNOWN = {
    "FOO to a GET route": head("FOO", "/"),
    "FOO to a FOO route": head("FOO", "/foo"),
    "PURGE to a PURGE route": head("PURGE", "/purge"),
    "get to a GET route": head("get", "/"),
}
UNUSUAL: Apps = {AIOHTTP: aiohttp_unusual, QUART: quart_unusual}
experiments("unknown-method", UNUSUAL, UNKNOWN)(outcome)
