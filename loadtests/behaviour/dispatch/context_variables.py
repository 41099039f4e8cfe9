"""Context variables across hooks, routes, tasks and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, g

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

UNSET, OUTER, INNER = "nothing", "what the outer set", "what the inner set"

variable: ContextVar[str] = ContextVar("variable", default=UNSET)


class Told:
    """What each side read. inner: before it set its own. outer: after the inner had done so."""

    def __init__(self) -> None:
        self.inner = self.outer = "was never run"

    def set_outer(self) -> None:
        variable.set(OUTER)

    def run_inner(self) -> None:
        self.inner = variable.get()
        variable.set(INNER)

    def read_outer(self) -> None:
        self.outer = variable.get()

    def answer(self) -> Answer:
        seen = "seen" if self.inner == OUTER else "not seen"
        back = "a change comes back" if self.outer == INNER else "a change does not come back"
        return Answer(
            f"{seen}, {back}", f"the inner code read {self.inner!r}; then the outer {self.outer!r}"
        )


Crossing = Callable[[Callable[[], None]], Awaitable[Any]]
"""How a handler has the inner code run."""


async def in_coroutine(inner: Callable[[], None]) -> None:
    async def coroutine() -> None:
        inner()

    await coroutine()


async def in_task(inner: Callable[[], None]) -> None:
    await asyncio.create_task(in_coroutine(inner))


async def in_executor(inner: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, inner)


CROSSINGS: dict[str, Crossing] = {
    "await coroutine()": in_coroutine,
    "await asyncio.create_task(…)": in_task,
    "await asyncio.to_thread(…)": asyncio.to_thread,
    "await loop.run_in_executor(None, …)": in_executor,
}


def handler_on_aiohttp(crossing: Crossing, told: Told) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        told.set_outer()
        await crossing(told.run_inner)
        told.read_outer()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def middleware(told: Told) -> AbstractContextManager[Live]:
    @web.middleware
    async def outer(request: web.Request, handler: Any) -> web.StreamResponse:
        told.set_outer()
        response: web.StreamResponse = await handler(request)
        told.read_outer()
        return response

    async def inner(_: web.Request) -> web.Response:
        told.run_inner()
        return web.Response()

    app = web.Application(middlewares=[outer])
    app.router.add_get("/", inner)
    return aiohttp_server(app)


def start_up_on_aiohttp(told: Told) -> AbstractContextManager[Live]:
    async def start(_: web.Application) -> None:
        told.set_outer()

    async def stop(_: web.Application) -> None:
        told.read_outer()

    async def handler(_: web.Request) -> web.Response:
        told.run_inner()
        return web.Response()

    app = web.Application()
    app.on_startup.append(start)
    app.on_cleanup.append(stop)
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def handler_on_quart(crossing: Crossing, told: Told) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        told.set_outer()
        await crossing(told.run_inner)
        told.read_outer()
        return ""

    return hypercorn_server(app)


def hooks(
    told: Told, *, hook: Callable[[Callable[[], Any]], Any], route: Callable[[Any], Any]
) -> AbstractContextManager[Live]:
    """before_request sets, the route reads and sets, after_request (async) reads.

    hook, route: `sync` or `asynchronous`.
    """
    app = Quart(__name__)
    app.before_request(hook(told.set_outer))

    def inner() -> str:
        told.run_inner()
        return ""

    app.add_url_rule("/", "inner", route(inner))

    @app.after_request
    async def after(response: Any) -> Any:
        told.read_outer()
        return response

    return hypercorn_server(app)


def start_up_on_quart(told: Told) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.before_serving
    async def start() -> None:
        told.set_outer()

    @app.get("/")
    async def handler() -> str:
        told.run_inner()
        return ""

    @app.after_serving
    async def stop() -> None:
        told.read_outer()

    return hypercorn_server(app)


def by_g(told: Told) -> AbstractContextManager[Live]:
    """The remedy: an object that belongs to the request, which every thread changes alike."""
    app = Quart(__name__)

    @app.before_request
    def before() -> None:
        g.value = OUTER

    @app.get("/")
    def handler() -> str:
        told.inner = g.value
        g.value = INNER
        return ""

    @app.after_request
    async def after(response: Any) -> Any:
        told.outer = g.value
        return response

    return hypercorn_server(app)


def sync(function: Callable[[], Any]) -> Callable[[], Any]:
    return function


def asynchronous(function: Callable[[], Any]) -> Callable[[], Any]:
    async def wrapped() -> Any:
        return function()

    return wrapped


def ask(begin: Callable[[Told], AbstractContextManager[Live]]) -> Answer:
    told = Told()
    with begin(told) as server:
        get(server.port, "/")
        if server.stop() is None:  # clean-ups read, too
            raise TimeoutError("the server did not stop")
    if "was never run" in (told.inner, told.outer):
        raise LookupError(f"inner {told.inner}; outer {told.outer}")
    return told.answer()


_FROM_SYNC = "sync before_request to async route"
_TO_SYNC = "async before_request to sync route"

QUESTION = Question(
    asks="Does a context variable that is set outside reach the code inside, and does a change "
    "come back?",
    experiments=(
        *(
            Experiment(stack, f"handler to {name}", partial(ask, partial(begin, crossing)))
            for stack, begin in (
                ("aiohttp", handler_on_aiohttp),
                ("quart-hypercorn", handler_on_quart),
            )
            for name, crossing in CROSSINGS.items()
        ),
        Experiment("aiohttp", "middleware to handler", partial(ask, middleware)),
        Experiment("aiohttp", "on_startup to handler", partial(ask, start_up_on_aiohttp)),
        *(
            Experiment(
                "quart-hypercorn", name, partial(ask, partial(hooks, hook=hook, route=route))
            )
            for name, hook, route in (
                ("async before_request to async route", asynchronous, asynchronous),
                (_TO_SYNC, asynchronous, sync),
                (_FROM_SYNC, sync, asynchronous),
            )
        ),
        Experiment(
            "quart-hypercorn", "quart.g, sync before_request to sync route", partial(ask, by_g)
        ),
        Experiment("quart-hypercorn", "before_serving to route", partial(ask, start_up_on_quart)),
    ),
    claims=(
        Claim(
            "Context variables are the thread-locals of asyncio: what is set for a request holds "
            "for all of it.",
            {
                "seen, a change comes back": Agrees.YES,
                "seen, *": Agrees.PARTLY,
                "*": Agrees.NO,
            },
            ("aiohttp", "quart-hypercorn"),
            (
                *(f"handler to {name}" for name in CROSSINGS),
                "middleware to handler",
                "async before_request to async route",
                _TO_SYNC,
                _FROM_SYNC,
            ),
        ),
    ),
    follows={
        "seen, a change comes back": "Both sides share one context.",
        "seen, a change does not*": "The inner code works on a copy: hand results back as return "
        "values, or set an object that both sides change.",
        "not seen*": "Nothing is carried over: hand the value over as an argument, with "
        "`contextvars.copy_context().run`, or through `asyncio.to_thread`, which does that; in "
        "Quart set it in an `async def`, or use `g`.",
    },
)
