"""The client leaves while the handler works: which layers still run."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import STOP_S

WORK_S = 0.5


def aiohttp_app(seen: Seen) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        seen("handler begins")
        await asyncio.sleep(WORK_S)
        seen("handler ends")
        return web.Response()

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
            seen("middleware out")
        except asyncio.CancelledError:
            seen("middleware sees CancelledError")
            raise
        finally:
            seen("finally")
        return response

    async def prepare(_: web.Request, __: web.StreamResponse) -> None:
        seen("on_response_prepare")

    app = web.Application(middlewares=[around])
    app.router.add_get("/", handler)
    app.on_response_prepare.append(prepare)
    return app


def quart_app(seen: Seen) -> Quart:
    app = Quart(__name__)

    @app.after_request
    async def after(response: Any) -> Any:
        seen("after_request")
        return response

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen(f"teardown_request with {type(error).__name__ if error else 'no exception'}")
        await asyncio.sleep(0)
        seen("teardown_request ends")

    @app.get("/")
    async def handler() -> str:
        seen("handler begins")
        await asyncio.sleep(WORK_S)
        seen("handler ends")
        return ""

    return app


def _answer(server: Live, seen: Seen) -> Answer:
    with Wire(server.port) as wire:
        wire.request("GET", "/")
        seen.wait("handler begins")
        wire.leave(Leaving.FIN)
        # Twice as long as the work takes: what has not happened by then is not waited for.
        seen.wait("nothing", WORK_S * 2)
    server.stop(STOP_S)
    after = seen.events[1:]
    return Answer(", ".join(after) or "nothing more runs", f"{len(after)} events after it had left")


def on_aiohttp(handler_cancellation: bool = False) -> Answer:
    seen = Seen()
    with aiohttp_server(aiohttp_app(seen), handler_cancellation=handler_cancellation) as server:
        return _answer(server, seen)


def on_quart() -> Answer:
    seen = Seen()
    with hypercorn_server(quart_app(seen)) as server:
        return _answer(server, seen)


QUESTION = Question(
    asks="Which layers still run when the client leaves in the middle of the handler?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment("aiohttp", "handler_cancellation=True", lambda: on_aiohttp(True)),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
    ),
    claims=(
        Claim(
            "teardown_request always runs.",
            {"*teardown_request ends": Agrees.YES, "*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "handler ends, middleware out, *": "Handler and layers run as if the client were there; "
        "the work is done for nobody.",
        "middleware sees CancelledError, finally": "`except Exception` does not see this: free "
        "what a request holds in `finally`.",
        "teardown_request with*": "after_request is skipped: free what a request holds in "
        "teardown_request.",
    },
)
