"""What the Questions about methods share: a path with handlers for GET and POST alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing.exchanging import Serve, exchange, head


def on_aiohttp() -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", handler)
    app.router.add_post("/", handler)
    return aiohttp_server(app)


def on_quart(options: bool = True) -> AbstractContextManager[Live]:
    app = Quart(__name__)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = options

    @app.route("/", methods=["GET", "POST"])
    async def handler() -> str:
        return "hello"

    return hypercorn_server(app)


def ask(serve: Serve, method: str) -> Answer:
    with serve() as server:
        seen = exchange(server.port, head(method, "/"))
    if seen.reply is None:
        return Answer(seen.words, seen.told)
    allowed = seen.reply.header("allow")
    sorted_ = ", ".join(sorted(allowed.replace(" ", "").split(","))) if allowed else "none"
    return Answer(f"{seen.reply.status}, Allow: {sorted_}", f"Allow: {allowed}; {seen.told}")


SERVERS: Mapping[str, Serve] = {"aiohttp": on_aiohttp, "quart-hypercorn": on_quart}
