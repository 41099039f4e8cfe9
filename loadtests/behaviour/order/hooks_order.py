"""Every hook that a request passes, in the order in which they run."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from quart import Quart, after_this_request, request_finished, request_started

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import STOP_S

SENT, RECEIVED, STOPPING = "request sent", "client has the answer", "server stopping"


def aiohttp_hooks(seen: Seen) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        seen("handler")
        return web.Response(text="hello")

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        seen("middleware in")
        response: web.StreamResponse = await handler(request)
        seen("middleware out")
        return response

    async def prepare(_: web.Request, response: web.StreamResponse) -> None:
        seen("on_response_prepare")

    app = web.Application(middlewares=[around])
    app.router.add_get("/", handler)
    app.on_response_prepare.append(prepare)
    return app


def quart_hooks(seen: Seen) -> Quart:
    app = Quart(__name__)

    def note(event: str) -> Any:
        async def hook(given: Any = None) -> Any:
            seen(event)
            return given

        return hook

    def signalled(event: str) -> Any:
        async def receiver(sender: Any, **_: Any) -> None:
            seen(event)

        return receiver

    app.before_request(note("before_request"))
    app.after_request(note("after_request"))
    app.teardown_appcontext(note("teardown_appcontext"))
    request_started.connect(signalled("request_started"), app, weak=False)
    request_finished.connect(signalled("request_finished"), app, weak=False)

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        await asyncio.sleep(0.3)  # an answer that is sent before it overtakes it
        seen("teardown_request")

    @app.after_serving
    async def stopping() -> None:
        seen(STOPPING)

    @app.get("/")
    async def handler() -> str:
        seen("handler")
        after_this_request(note("after_this_request"))
        return "hello"

    return app


def _fetch(port: int, seen: Seen) -> None:
    with Wire(port) as wire:
        seen(SENT)
        wire.request("GET", "/")
        wire.answer()
        seen(RECEIVED)


def _answer(seen: Seen) -> Answer:
    """Start and stop have an application context too, whose teardown is not meant here."""
    events = seen.events
    ended = events.index(STOPPING) if STOPPING in events else len(events)
    meant = events[events.index(SENT) + 1 : ended]
    return Answer(
        ", ".join(meant), f"{len(meant)} events, the client's at place {meant.index(RECEIVED) + 1}"
    )


def on_aiohttp() -> Answer:
    seen = Seen()
    with aiohttp_server(aiohttp_hooks(seen)) as server:
        _fetch(server.port, seen)
        server.stop(STOP_S)
    return _answer(seen)


def on_quart() -> Answer:
    seen = Seen()
    with hypercorn_server(quart_hooks(seen)) as server:
        _fetch(server.port, seen)
        server.stop(STOP_S)
    return _answer(seen)


QUESTION = Question(
    asks="Which hooks run around a handler, in which order, and which of them before the client "
    "has its answer?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
    ),
    claims=(
        Claim(
            "teardown_request runs after the response has been sent.",
            {
                f"*{RECEIVED}, teardown_request*": Agrees.YES,
                f"*teardown_request*{RECEIVED}": Agrees.NO,
            },
            ("quart-hypercorn",),
        ),
    ),
    follows={
        f"*teardown_request*{RECEIVED}": "The client waits for teardown: what takes long and is "
        "not for the answer belongs in `app.add_background_task`.",
        f"*middleware out, on_response_prepare, {RECEIVED}": "The signal comes last, when the "
        "middlewares are done with the response: what it sets stays.",
    },
)
