"""In which order layers run: two of a kind, all hooks, those of nested applications, and what
still runs when one of them answers or raises, or the client leaves."""

import asyncio
from functools import partial
from typing import Any

from aiohttp import web
from quart import Blueprint, Quart, after_this_request, request_finished, request_started

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Adds, Build, Handler, serve
from loopbench.loadtests.behaviour.asking import Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.order import layers as order
from loopbench.loadtests.behaviour.order.layers import STOP_S, around, asgi_around, talked
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, noting, seen

WORK_S = 0.5
BOTH = ("first", "second")
SENT, RECEIVED, STOPPING = "request sent", "client has the answer", "server stopping"
LEFT, CANCEL = "teardown-on-disconnect", "handler_cancellation=True"
WRAPPERS = ("first wrapper", "second wrapper")
"""In the order in which they are registered."""


def middlewares(app: web.Application, names: tuple[str, ...] = BOTH) -> None:
    """Appended in this order."""
    app.middlewares.extend(around(f"{name} in", f"{name} out") for name in names)


def prepare(app: web.Application, event: str = "on_response_prepare") -> None:
    app.on_response_prepare.append(noting(event))


def hooks(app: Quart | Blueprint, names: tuple[str, ...] = BOTH) -> None:
    for name in names:
        app.before_request(noting(f"{name} in"))
        app.after_request(noting(f"{name} out"))


def asgi_middlewares(app: Quart, names: tuple[str, ...] = WRAPPERS) -> None:
    """Each wraps what was there before it."""
    for name in names:
        asgi_around(f"{name} in", f"{name} out")(app)


def hooks_and_asgi(app: Quart) -> None:
    hooks(app, ("hook",))
    asgi_middlewares(app, ("ASGI middleware",))


TWO_LAYERS: Adds = {
    AIOHTTP: {"middlewares=[first, second]": middlewares},
    QUART: {
        "before_request, after_request": hooks,
        "app.asgi_app = second(first(app.asgi_app))": asgi_middlewares,
        "hooks and ASGI middleware": hooks_and_asgi,
    },
}


def aiohttp_hooks() -> web.Application:
    app = order.aiohttp_app()
    middlewares(app, ("middleware",))
    prepare(app)
    return app


def quart_hooks() -> Quart:
    app = Quart(__name__)
    app.before_request(noting("before_request"))
    app.after_request(noting("after_request"))
    app.teardown_appcontext(noting("teardown_appcontext"))
    app.after_serving(noting(STOPPING))
    request_started.connect(noting("request_started"), app, weak=False)
    request_finished.connect(noting("request_finished"), app, weak=False)

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        await asyncio.sleep(0.3)  # an answer that is sent before it overtakes it
        seen("teardown_request")

    @app.get("/")
    async def handler() -> str:
        seen("handler")
        after_this_request(noting("after_this_request"))
        return "hello"

    return app


@experiments("hooks-order", {AIOHTTP: aiohttp_hooks, QUART: quart_hooks})
def ask_hooks(application: Build) -> Answer:
    """Start and stop have an application context too, whose teardown is not meant here."""
    with serve(application()) as server:
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


def subapps() -> web.Application:
    def watched(name: str) -> web.Application:
        app = order.aiohttp_app()
        app.middlewares.append(around(f"{name} in", over=f"{name} out"))
        prepare(app, f"{name} prepare")
        return app

    outer = watched("outer")
    outer.add_subapp("/inner", watched("inner"))
    return outer


def blueprints() -> Quart:
    app, inner = Quart(__name__), Blueprint("inner", __name__, url_prefix="/inner")
    for name, where in (("outer", app), ("inner", inner)):
        hooks(where, (name,))
        where.teardown_request(noting(f"{name} teardown"))

    inner.get("/")(order.hello)
    app.register_blueprint(inner)
    return app


def aiohttp_refusing(app: web.Application, raises: bool = False) -> None:
    """The second of three middlewares answers."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen("second answers")
        if raises:
            raise web.HTTPForbidden
        return web.Response(status=403)

    middlewares(app, ("first",))
    app.middlewares.append(refuse)
    middlewares(app, ("third",))
    prepare(app)


def quart_refusing(app: Quart) -> None:
    """The second of three pairs of hooks answers."""
    hooks(app, ("first",))

    @app.before_request
    async def refuse() -> tuple[str, int]:
        seen("second answers")
        return "no", 403

    app.after_request(noting("second out"))
    hooks(app, ("third",))
    app.teardown_request(noting("teardown"))


REFUSING: Adds = {
    AIOHTTP: {
        "middleware returns a response": aiohttp_refusing,
        "middleware raises HTTPForbidden": partial(aiohttp_refusing, raises=True),
    },
    QUART: {"before_request returns a response": quart_refusing},
}


@variants("middleware-order", order.layers(TWO_LAYERS))
@variants("early-return", order.layers(REFUSING))
@experiment("nested-app-order", AIOHTTP, "add_subapp, a route", subapps, "/inner/")
@experiment("nested-app-order", AIOHTTP, "add_subapp, no route", subapps, "/inner/missing")
@experiment("nested-app-order", QUART, "Blueprint, a route", blueprints, "/inner/")
@experiment("nested-app-order", QUART, "Blueprint, no route", blueprints, "/inner/missing")
def ask_order(application: Build, target: str = "/") -> Answer:
    came_back = talked(application, target)
    return Answer(", ".join(seen.events), f"{len(seen.events)} events; got {came_back}")


async def broken(*_: object) -> None:
    raise RuntimeError("broken")


def in_middleware(app: web.Application) -> None:
    @web.middleware
    async def inner(request: web.Request, handler: Handler) -> web.StreamResponse:
        await handler(request)
        raise RuntimeError("broken")

    app.middlewares.extend([around(over="the outer one ran"), inner])


def in_signal(app: web.Application) -> None:
    app.on_response_prepare.append(broken)
    prepare(app, "the later one ran")


def in_after_request(app: Quart) -> None:
    """What is registered later runs earlier."""
    app.after_request(noting("the later one ran"))

    @app.after_request
    async def broken(_: Any) -> Any:
        again = "broke" in seen
        seen("the broken one ran again" if again else "broke")
        raise RuntimeError("broken")

    @app.errorhandler(RuntimeError)
    async def dealt_with(_: RuntimeError) -> tuple[str, int]:
        seen("the errorhandler ran")
        return "sorry", 503


def in_teardown(app: Quart) -> None:
    app.teardown_request(noting("the later one ran"))
    app.teardown_request(broken)


RAISING: Adds = {
    AIOHTTP: {"middleware": in_middleware, "on_response_prepare": in_signal},
    QUART: {"after_request": in_after_request, "teardown_request": in_teardown},
}


@variants("exception-in-after", order.layers(RAISING))
def ask_raising(application: Build) -> Answer:
    came = talked(application)
    ran = [event for event in dict.fromkeys(seen.events) if event.startswith("the ")]
    status = "no answer" if came.startswith("no answer") else came[:3]
    return as_seen(", ".join((status, *ran)), f"the client got {came}")


async def work() -> str:
    seen("handler begins")
    await asyncio.sleep(WORK_S)
    seen("handler ends")
    return ""


def aiohttp_working() -> web.Application:
    app = apps.aiohttp_answering({"/": work})
    app.middlewares.append(
        around(after="middleware out", raised="middleware sees {}", over="finally")
    )
    prepare(app)
    return app


def quart_working() -> Quart:
    app = apps.quart_answering({"/": work})
    app.after_request(noting("after_request"))

    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen(f"teardown_request with {order.raised(error)}")
        await asyncio.sleep(0)
        seen("teardown_request ends")

    return app


@experiments(LEFT, {AIOHTTP: aiohttp_working, QUART: quart_working})
@experiment(LEFT, AIOHTTP, CANCEL, aiohttp_working, handler_cancellation=True)
def ask_left(application: Build, **options: bool) -> Answer:
    with serve(application(), **options) as server:
        with Wire(server.port) as wire:
            wire.request("GET", "/")
            seen.wait("handler begins")
            wire.leave(Leaving.FIN)
            # Twice as long as the work takes: what has not happened by then is not waited for.
            seen.wait("nothing", WORK_S * 2)
        server.stop(STOP_S)
    after = seen.events[1:]
    return Answer(", ".join(after) or "nothing more runs", f"{len(after)} events after it had left")
