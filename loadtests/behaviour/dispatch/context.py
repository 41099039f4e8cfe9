"""What belongs to a request, in context variables and thread-locals, across tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, g, request

from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.framework.experiment import Variants, experiment, variants
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import App, serve

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
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


def aiohttp_crossing(crossing: Crossing, told: Told) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        told.set_outer()
        await crossing(told.run_inner)
        told.read_outer()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def aiohttp_middleware(told: Told) -> web.Application:
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
    return app


def aiohttp_start_up(told: Told) -> web.Application:
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
    return app


def quart_crossing(crossing: Crossing, told: Told) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        told.set_outer()
        await crossing(told.run_inner)
        told.read_outer()
        return ""

    return app


def quart_hooks(
    told: Told, *, hook: Callable[[Callable[[], Any]], Any], route: Callable[[Any], Any]
) -> Quart:
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

    return app


def quart_start_up(told: Told) -> Quart:
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

    return app


def quart_by_g(told: Told) -> Quart:
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

    return app


def sync(function: Callable[[], Any]) -> Callable[[], Any]:
    return function


def asynchronous(function: Callable[[], Any]) -> Callable[[], Any]:
    async def wrapped() -> Any:
        return function()

    return wrapped


CONTEXTS: Variants = {
    AIOHTTP: {
        **{f"handler to {name}": partial(aiohttp_crossing, way) for name, way in CROSSINGS.items()},
        "middleware to handler": aiohttp_middleware,
        "on_startup to handler": aiohttp_start_up,
    },
    QUART: {
        **{f"handler to {name}": partial(quart_crossing, way) for name, way in CROSSINGS.items()},
        "async before_request to async route": partial(
            quart_hooks, hook=asynchronous, route=asynchronous
        ),
        "async before_request to sync route": partial(quart_hooks, hook=asynchronous, route=sync),
        "sync before_request to async route": partial(quart_hooks, hook=sync, route=asynchronous),
        "quart.g, sync before_request to sync route": quart_by_g,
        "before_serving to route": quart_start_up,
    },
}


@variants("context-variables", CONTEXTS)
def ask_context(application: Callable[[Told], App]) -> Answer:
    told = Told()
    with serve(application(told)) as server:
        get(server.port, "/")
        if server.stop() is None:  # clean-ups read, too
            raise TimeoutError("the server did not stop")
    if "was never run" in (told.inner, told.outer):
        raise LookupError(f"inner {told.inner}; outer {told.outer}")
    return told.answer()


REQUESTS = 8


class Local:
    """Keeps a name in a threading.local."""

    def __init__(self) -> None:
        self._local = threading.local()

    def get(self) -> str | None:
        name: str | None = getattr(self._local, "name", None)
        return name

    def set(self, name: str) -> None:
        self._local.name = name


class Variable:
    """Keeps a name in a ContextVar."""

    def __init__(self) -> None:
        self._variable: ContextVar[str | None] = ContextVar("name", default=None)

    def get(self) -> str | None:
        return self._variable.get()

    def set(self, name: str) -> None:
        self._variable.set(name)


class Story:
    """How requests fared that keep their names somewhere while others come and go."""

    def __init__(self, keep: Local | Variable) -> None:
        self.crowd = Crowd(0.1)
        self.left_over = self.mixed_up = self.told = 0
        self._keep = keep
        self._lock = threading.Lock()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """One request: what it finds, and what it has after the others had their turn."""
        found = self._keep.get()
        self._keep.set(name)
        yield
        mine = self._keep.get()
        with self._lock:
            self.told += 1
            self.left_over += found is not None
            self.mixed_up += mine != name


def aiohttp_story(story: Story) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        with story.of(request.query["name"]):
            await story.crowd.hold_async()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def aiohttp_thread_story(story: Story) -> web.Application:
    def plain(name: str) -> None:
        with story.of(name):
            story.crowd.hold()

    async def handler(request: web.Request) -> web.Response:
        await asyncio.to_thread(plain, request.query["name"])
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def quart_story(story: Story) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        with story.of(request.args["name"]):
            await story.crowd.hold_async()
        return ""

    return app


def quart_sync_story(story: Story) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        with story.of(request.args["name"]):
            story.crowd.hold()
        return ""

    return app


STORIES: tuple[tuple[str, str, Callable[[Story], App]], ...] = (
    (AIOHTTP, "in a handler", aiohttp_story),
    (AIOHTTP, "through asyncio.to_thread", aiohttp_thread_story),
    (QUART, "in an async route", quart_story),
    (QUART, "in a sync route", quart_sync_story),
)


def ask_kept(application: Callable[[Story], App], keep: Callable[[], Local | Variable]) -> Answer:
    """Let requests with names of their own come at once, and then again."""
    story = Story(keep())
    with serve(application(story)) as server, ThreadPoolExecutor(REQUESTS) as clients:
        for again in range(2):
            targets = [f"/?name={again}-{number}" for number in range(REQUESTS)]
            list(clients.map(partial(get, server.port), targets))
    if story.told != 2 * REQUESTS:
        raise LookupError(f"{story.told} of {2 * REQUESTS} requests were told of")
    mixed = "mixed up between requests" if story.mixed_up else "each has its own"
    left = "left over for later ones" if story.left_over else "gone afterwards"
    return Answer(
        f"{mixed}, {left}",
        f"{story.mixed_up} of {story.told} requests, up to {story.crowd.most} at once, read a name "
        f"that was not theirs; {story.left_over} found one when they began",
    )


for stack, where, application in STORIES:
    for name, keep in (("threading.local", Local), ("ContextVar", Variable)):
        experiment("thread-local", stack, f"{name} {where}", application, keep)(ask_kept)
