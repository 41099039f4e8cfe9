"""Methods: HEAD and OPTIONS that nobody wrote, and those that a path or HTTP does not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import experiment, experiments
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.servers import App, Apps, serve
from loopbench.loadtests.behaviour.parsing.scene import exchange, head, outcome

PIECES = 5


def aiohttp_head(seen: Seen, allow_head: bool = True) -> web.Application:
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
    return app


def quart_head(seen: Seen) -> Quart:
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

    return app


HEADS: dict[str, Callable[[Seen], App]] = {"aiohttp": aiohttp_head, "quart-hypercorn": quart_head}


@experiments("head-on-get", HEADS)
@experiment("head-on-get", "aiohttp", "allow_head=False", partial(aiohttp_head, allow_head=False))
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


@experiments("head-on-get", HEADS, ("streamed",))
def ask_streamed_head(application: Callable[[Seen], App], setting: str) -> Answer:
    """A body all the same would come in the way of the next answer."""
    seen = Seen()
    with serve(application(seen)) as server:
        got = exchange(server.port, head("HEAD", f"/{setting}"), to_head=True)
    made = sum(event.startswith("piece") for event in seen.events)
    return Answer(
        f"{got.words}, {made} of {PIECES} pieces made",
        f"{made} pieces were made and none sent; the connection {got.fate}",
    )


def aiohttp_get_and_post() -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/", handler), web.post("/", handler)])
    return app


def quart_get_and_post(options: bool = True) -> Quart:
    app = Quart(__name__)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = options

    @app.route("/", methods=["GET", "POST"])
    async def handler() -> str:
        return "hello"

    return app


GET_AND_POST: Apps = {"aiohttp": aiohttp_get_and_post, "quart-hypercorn": quart_get_and_post}
NO_OPTIONS = partial(quart_get_and_post, options=False)


@experiments("method-not-allowed", GET_AND_POST, (), "DELETE")
@experiments("options-automatic", GET_AND_POST, (), "OPTIONS")
@experiment(
    "options-automatic",
    "quart-hypercorn",
    "PROVIDE_AUTOMATIC_OPTIONS=False",
    NO_OPTIONS,
    "OPTIONS",
)
def ask_method(application: Callable[[], App], method: str) -> Answer:
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

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_route("PURGE", "/purge", handler)
    app.router.add_route("FOO", "/foo", handler)
    return app


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
UNUSUAL: Apps = {"aiohttp": aiohttp_unusual, "quart-hypercorn": quart_unusual}
experiments("unknown-method", UNUSUAL, UNKNOWN)(outcome)
