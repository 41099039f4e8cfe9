"""The error middleware of many tutorials, which turns 404 into JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, abort, jsonify
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Reply, get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import told

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TARGETS = {"no route": "/missing", "raised by a handler": "/raised", "returned": "/returned"}


@web.middleware
async def of_the_tutorials(request: web.Request, handler: Handler) -> web.StreamResponse:
    """As it is often shown: without a status, and with a `message` that responses once had."""
    try:
        response: Any = await handler(request)
        if response.status != 404:
            return response  # type: ignore[no-any-return]
        message = response.message
    except web.HTTPException as error:
        if error.status != 404:
            raise
        message = error.reason
    return web.json_response({"error": message})


@web.middleware
async def with_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raised or returned, a 404 is a 404."""
    try:
        response = await handler(request)
        if response.status != 404 or response.prepared:
            return response
        reason = response.reason
    except web.HTTPNotFound as error:
        reason = error.reason
    return web.json_response({"error": reason or "Not Found"}, status=404)


def on_aiohttp(middleware: Any, target: str) -> Answer:
    async def raised(_: web.Request) -> web.Response:
        raise web.HTTPNotFound

    async def returned(_: web.Request) -> web.Response:
        return web.Response(status=404, text="no such order")

    app = web.Application(middlewares=[middleware])
    app.router.add_get("/raised", raised)
    app.router.add_get("/returned", returned)
    with aiohttp_server(app) as server:
        return _answer(get(server.port, target))


def error_handler(app: Quart, status: int | None) -> None:
    @app.errorhandler(404)
    async def not_found(error: NotFound) -> ResponseReturnValue:
        body = jsonify(error=error.name)
        return body if status is None else (body, status)


def after_request(app: Quart, _: int | None) -> None:
    """Meets every 404, whoever made it."""

    @app.after_request
    async def not_found(response: Any) -> Any:
        if response.status_code != 404:
            return response
        as_json = jsonify(error="Not Found")
        as_json.status_code = 404
        return as_json


def on_quart(
    install: Callable[[Quart, int | None], None], target: str, status: int | None = 404
) -> Answer:
    app = Quart(__name__)

    @app.get("/raised")
    async def raised() -> str:
        abort(404)

    @app.get("/returned")
    async def returned() -> tuple[str, int]:
        return "no such order", 404

    install(app, status)
    with hypercorn_server(app) as server:
        return _answer(get(server.port, target))


def _answer(reply: Reply) -> Answer:
    is_json = (reply.header("content-type") or "").startswith("application/json")
    kind = "JSON" if is_json else "not JSON"
    return Answer(f"{reply.status}, {kind}", f"got {told(reply)} as {reply.header('content-type')}")


QUESTION = Question(
    asks="What does an error middleware that turns 404 into JSON do to the three kinds of 404?",
    experiments=(
        *(
            Experiment("aiohttp", f"{way}, {name}", partial(on_aiohttp, middleware, target))
            for way, middleware in (
                ("as in the tutorials", of_the_tutorials),
                ("status=404", with_status),
            )
            for name, target in TARGETS.items()
        ),
        *(
            Experiment(
                "quart-hypercorn",
                f"errorhandler(404) without a status, {name}",
                partial(on_quart, error_handler, target, None),
            )
            for name, target in TARGETS.items()
        ),
        *(
            Experiment("quart-hypercorn", f"{way}, {name}", partial(on_quart, install, target))
            for way, install in (
                ("errorhandler(404), 404", error_handler),
                ("after_request", after_request),
            )
            for name, target in TARGETS.items()
        ),
    ),
    claims=(
        Claim(
            "With the usual few lines every 404 becomes JSON, and stays a 404.",
            {"404, JSON": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "200, JSON": "The client is told that all is well: give the status along with the JSON.",
        "500, not JSON": "A response has no `message`: the middleware itself fails. Use `reason`.",
        "404, not JSON": "A 404 that a handler returns is a response like any other: raise or "
        "`abort` instead, or look at the status afterwards.",
    },
)
