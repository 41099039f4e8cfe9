"""In which order layers run: two of a kind, all hooks, those of nested applications, and what
still runs when one of them answers or raises, or the client leaves."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart, after_this_request, request_finished, request_started

from loopbench.loadtests.behaviour.applications import Handler, aiohttp_answering, quart_answering
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.events import noting
from loopbench.loadtests.behaviour.order.layers import (
    STOP_S,
    Layers,
    Make,
    aiohttp_app,
    around,
    asgi,
    fetch,
    layers,
    raised,
    talked,
)
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, serve
from loopbench.loadtests.behaviour.talking import Leaving, NoAnswer, Seen, Wire, get

BOTH = ("first", "second")
WRAPPERS = ("first wrapper", "second wrapper")
"""In the order in which they are registered."""


def middlewares(app: web.Application, seen: Seen, names: tuple[str, ...] = BOTH) -> None:
    """Appended in this order."""
    app.middlewares.extend(around(seen, f"{name} in", f"{name} out") for name in names)


def prepare(app: web.Application, seen: Seen, event: str = "on_response_prepare") -> None:
    app.on_response_prepare.append(noting(seen, event))


def hooks(app: Quart | Blueprint, seen: Seen, names: tuple[str, ...] = BOTH) -> None:
    for name in names:
        app.before_request(noting(seen, f"{name} in"))
        app.after_request(noting(seen, f"{name} out"))


def asgi_middlewares(app: Quart, seen: Seen, names: tuple[str, ...] = WRAPPERS) -> None:
    """Each wraps what was there before it."""

    def named(inner: Any, seen: Seen, name: str) -> Any:
        async def layer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            seen(f"{name} in")
            await inner(scope, receive, send)
            seen(f"{name} out")

        return layer

    for name in names:
        asgi(partial(named, name=name))(app, seen)


def hooks_and_asgi(app: Quart, seen: Seen) -> None:
    hooks(app, seen, ("hook",))
    asgi_middlewares(app, seen, ("ASGI middleware",))


TWO_LAYERS: Layers = {
    AIOHTTP: {"middlewares=[first, second]": middlewares},
    QUART: {
        "before_request, after_request": hooks,
        "app.asgi_app = second(first(app.asgi_app))": asgi_middlewares,
        "hooks and ASGI middleware": hooks_and_asgi,
    },
}


SENT, RECEIVED, STOPPING = "request sent", "client has the answer", "server stopping"


def aiohttp_hooks(seen: Seen) -> web.Application:
    app = aiohttp_app(seen)
    middlewares(app, seen, ("middleware",))
    prepare(app, seen)
    return app


def quart_hooks(seen: Seen) -> Quart:
    app = Quart(__name__)
    app.before_request(noting(seen, "before_request"))
    app.after_request(noting(seen, "after_request"))
    app.teardown_appcontext(noting(seen, "teardown_appcontext"))
    app.after_serving(noting(seen, STOPPING))
    request_started.connect(noting(seen, "request_started"), app, weak=False)
    request_finished.connect(noting(seen, "request_finished"), app, weak=False)

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        await asyncio.sleep(0.3)  # an answer that is sent before it overtakes it
        seen("teardown_request")

    @app.get("/")
    async def handler() -> str:
        seen("handler")
        after_this_request(noting(seen, "after_this_request"))
        return "hello"

    return app


@experiments("hooks-order", {AIOHTTP: aiohttp_hooks, QUART: quart_hooks})
def ask_hooks(make: Make) -> Answer:
    """Start and stop have an application context too, whose teardown is not meant here."""
    seen = Seen()
    with serve(make(seen)) as server:
        with Wire(server.port) as wire:
            seen(SENT)
            wire.ask("GET", "/")
            seen(RECEIVED)
        server.stop(STOP_S)
    events = seen.events
    ended = events.index(STOPPING) if STOPPING in events else len(events)
    meant = events[events.index(SENT) + 1 : ended]
    place = meant.index(RECEIVED) + 1
    return Answer(", ".join(meant), f"{len(meant)} events, the client's at place {place}")


def subapps(seen: Seen) -> web.Application:
    def watched(name: str) -> web.Application:
        app = aiohttp_app(seen)
        app.middlewares.append(around(seen, f"{name} in", over=f"{name} out"))
        prepare(app, seen, f"{name} prepare")
        return app

    outer = watched("outer")
    outer.add_subapp("/inner", watched("inner"))
    return outer


def blueprints(seen: Seen) -> Quart:
    app, inner = Quart(__name__), Blueprint("inner", __name__, url_prefix="/inner")
    for name, where in (("outer", app), ("inner", inner)):
        hooks(where, seen, (name,))
        where.teardown_request(noting(seen, f"{name} teardown"))

    @inner.get("/")
    async def handler() -> str:
        seen("handler")
        return "hello"

    app.register_blueprint(inner)
    return app


def aiohttp_refusing(app: web.Application, seen: Seen, raises: bool = False) -> None:
    """The second of three middlewares answers."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen("second answers")
        if raises:
            raise web.HTTPForbidden
        return web.Response(status=403)

    middlewares(app, seen, ("first",))
    app.middlewares.append(refuse)
    middlewares(app, seen, ("third",))
    prepare(app, seen)


def quart_refusing(app: Quart, seen: Seen) -> None:
    """The second of three pairs of hooks answers."""
    hooks(app, seen, ("first",))

    @app.before_request
    async def refuse() -> tuple[str, int]:
        seen("second answers")
        return "no", 403

    app.after_request(noting(seen, "second out"))
    hooks(app, seen, ("third",))
    app.teardown_request(noting(seen, "teardown"))


REFUSING: Layers = {
    AIOHTTP: {
        "middleware returns a response": aiohttp_refusing,
        "middleware raises HTTPForbidden": partial(aiohttp_refusing, raises=True),
    },
    QUART: {"before_request returns a response": quart_refusing},
}


@variants("middleware-order", layers(TWO_LAYERS))
@variants("early-return", layers(REFUSING))
@experiment("nested-app-order", AIOHTTP, "add_subapp, a route", subapps, "/inner/")
@experiment("nested-app-order", AIOHTTP, "add_subapp, no route", subapps, "/inner/missing")
@experiment("nested-app-order", QUART, "Blueprint, a route", blueprints, "/inner/")
@experiment("nested-app-order", QUART, "Blueprint, no route", blueprints, "/inner/missing")
def ask_order(make: Make, target: str = "/") -> Answer:
    events, came_back = talked(make, fetch(target))
    return Answer(", ".join(events), f"{len(events)} events; got {came_back}")


async def broken(*_: object) -> None:
    raise RuntimeError("broken")


def in_middleware(app: web.Application, seen: Seen) -> None:
    @web.middleware
    async def inner(request: web.Request, handler: Handler) -> web.StreamResponse:
        await handler(request)
        raise RuntimeError("broken")

    app.middlewares.extend([around(seen, over="the outer one ran"), inner])


def in_signal(app: web.Application, seen: Seen) -> None:
    app.on_response_prepare.append(broken)
    prepare(app, seen, "the later one ran")


def in_after_request(app: Quart, seen: Seen) -> None:
    """What is registered later runs earlier."""
    app.after_request(noting(seen, "the later one ran"))

    @app.after_request
    async def broken(_: Any) -> Any:
        again = "broke" in seen
        seen("the broken one ran again" if again else "broke")
        raise RuntimeError("broken")

    @app.errorhandler(RuntimeError)
    async def dealt_with(_: RuntimeError) -> tuple[str, int]:
        seen("the errorhandler ran")
        return "sorry", 503


def in_teardown(app: Quart, seen: Seen) -> None:
    app.teardown_request(noting(seen, "the later one ran"))
    app.teardown_request(broken)


RAISING: Layers = {
    AIOHTTP: {"middleware": in_middleware, "on_response_prepare": in_signal},
    QUART: {"after_request": in_after_request, "teardown_request": in_teardown},
}


def _status(port: int) -> str:
    try:
        return f"{get(port, '/').status}"
    except NoAnswer as error:
        return f"no answer: {error}"


@variants("exception-in-after", layers(RAISING))
def ask_raising(make: Make) -> Answer:
    events, came = talked(make, _status)
    ran = [event for event in dict.fromkeys(events) if event.startswith("the ")]
    words = (came.partition(":")[0], *ran)
    return Answer(", ".join(words), f"the client got {came}; events: {', '.join(events)}")


WORK_S = 0.5


async def work(seen: Seen) -> str:
    seen("handler begins")
    await asyncio.sleep(WORK_S)
    seen("handler ends")
    return ""


def aiohttp_working(seen: Seen) -> web.Application:
    app = aiohttp_answering({"/": partial(work, seen)})
    app.middlewares.append(
        around(seen, after="middleware out", raised="middleware sees {}", over="finally")
    )
    prepare(app, seen)
    return app


def quart_working(seen: Seen) -> Quart:
    app = quart_answering({"/": partial(work, seen)})
    app.after_request(noting(seen, "after_request"))

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen(f"teardown_request with {raised(error)}")
        await asyncio.sleep(0)
        seen("teardown_request ends")

    return app


LEFT, CANCEL = "teardown-on-disconnect", "handler_cancellation=True"


@experiments(LEFT, {AIOHTTP: aiohttp_working, QUART: quart_working})
@experiment(LEFT, AIOHTTP, CANCEL, aiohttp_working, handler_cancellation=True)
def ask_left(make: Make, **options: bool) -> Answer:
    seen = Seen()
    with serve(make(seen), **options) as server:
        with Wire(server.port) as wire:
            wire.request("GET", "/")
            seen.wait("handler begins")
            wire.leave(Leaving.FIN)
            # Twice as long as the work takes: what has not happened by then is not waited for.
            seen.wait("nothing", WORK_S * 2)
        server.stop(STOP_S)
    after = seen.events[1:]
    return Answer(", ".join(after) or "nothing more runs", f"{len(after)} events after it had left")
