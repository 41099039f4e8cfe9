"""A layer that raises after the handler has made its answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.order.layers import STOP_S, aiohttp_app, quart_app


def in_middleware(app: web.Application, seen: Seen) -> None:
    @web.middleware
    async def outer(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        finally:
            seen("the outer one ran")
        return response

    @web.middleware
    async def broken(request: web.Request, handler: Any) -> web.StreamResponse:
        await handler(request)
        raise RuntimeError("broken")

    app.middlewares.extend([outer, broken])


def in_signal(app: web.Application, seen: Seen) -> None:
    async def broken(_: web.Request, __: web.StreamResponse) -> None:
        raise RuntimeError("broken")

    async def later(_: web.Request, __: web.StreamResponse) -> None:
        seen("the later one ran")

    app.on_response_prepare.extend([broken, later])


def in_after_request(app: Quart, seen: Seen) -> None:
    """What is registered later runs earlier."""

    @app.after_request
    async def later(response: Any) -> Any:
        seen("the later one ran")
        return response

    @app.after_request
    async def broken(_: Any) -> Any:
        if "broke" not in seen:
            seen("broke")
            raise RuntimeError("broken")
        seen("the broken one ran again")
        raise RuntimeError("broken again")

    @app.errorhandler(RuntimeError)
    async def dealt_with(_: RuntimeError) -> tuple[str, int]:
        seen("the errorhandler ran")
        return "sorry", 503


def in_teardown(app: Quart, seen: Seen) -> None:
    @app.teardown_request
    async def later(_: BaseException | None) -> None:
        seen("the later one ran")

    @app.teardown_request
    async def broken(_: BaseException | None) -> None:
        raise RuntimeError("broken")


def _answer(server: Live, seen: Seen) -> Answer:
    try:
        status = str(get(server.port, "/").status)
    except NoAnswer as error:
        status, came = "no answer", f"the client got no answer: {error}"
    else:
        came = f"the client got {status}"
    server.stop(STOP_S)
    ran = [event for event in dict.fromkeys(seen.events) if event.startswith("the ")]
    return Answer(", ".join((status, *ran)), f"{came}; events: {', '.join(seen.events)}")


def on_aiohttp(layer: Callable[[web.Application, Seen], None]) -> Answer:
    seen = Seen()
    app = aiohttp_app(seen)
    layer(app, seen)
    with aiohttp_server(app) as server:
        return _answer(server, seen)


def on_quart(layer: Callable[[Quart, Seen], None]) -> Answer:
    seen = Seen()
    app = quart_app(seen)
    layer(app, seen)
    with hypercorn_server(app) as server:
        return _answer(server, seen)


QUESTION = Question(
    asks="What happens when a layer raises after the handler has answered?",
    experiments=(
        Experiment("aiohttp", "middleware", partial(on_aiohttp, in_middleware)),
        Experiment("aiohttp", "on_response_prepare", partial(on_aiohttp, in_signal)),
        Experiment("quart-hypercorn", "after_request", partial(on_quart, in_after_request)),
        Experiment("quart-hypercorn", "teardown_request", partial(on_quart, in_teardown)),
    ),
    claims=(
        Claim(
            "Error handlers deal with exceptions of after_request too.",
            {"*the errorhandler ran*": Agrees.YES, "500, the broken one ran again": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "no answer*": "The client gets nothing at all, though the handler was done: catch and log "
        "everything inside such a hook.",
        "500, the broken one ran again": "The hook runs once more for the 500 that its own failure "
        "leads to, and the hooks after it never: catch and log inside it.",
        "500*": "The handler has done its work, and the client is told that it failed: whoever "
        "sends it again does it twice. Catch and log inside the layer.",
        "200*": "The client does not notice; see that the log is read.",
    },
)
