"""What belongs to a request, in context variables and thread-locals, across tasks and threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import count
from typing import Any

from aiohttp import web
from quart import Quart, g

from loopbench.loadtests.behaviour.applications import (
    AWAITING,
    CALLING,
    SYNC,
    Handler,
    Way,
    asynchronous,
    called,
    in_executor,
)
from loopbench.loadtests.behaviour.asking import Answer, experiment, variants
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.talking import get

UNSET, OUTER, INNER = "nothing", "what the outer set", "what the inner set"

variable: ContextVar[str] = ContextVar("variable", default=UNSET)


class Told:
    """What each side read. inner: before it set its own. outer: after the inner had done so."""

    inner = outer = "was never run"

    def set_outer(self) -> None:
        variable.set(OUTER)

    def run_inner(self) -> None:
        self.inner = variable.get()
        variable.set(INNER)

    def read_outer(self) -> None:
        self.outer = variable.get()


CROSSINGS: dict[str, Way] = {
    "await coroutine()": called,
    "await asyncio.create_task(…)": lambda inner: asyncio.create_task(called(inner)),
    "await asyncio.to_thread(…)": asyncio.to_thread,
    "await loop.run_in_executor(None, …)": in_executor,
}
"""How a handler has the inner code run."""


async def cross(crossing: Way, told: Told) -> None:
    """What the handler does."""
    told.set_outer()
    await crossing(told.run_inner)
    told.read_outer()


def middleware(app: web.Application, told: Told) -> None:
    @web.middleware
    async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        told.set_outer()
        response = await handler(request)
        told.read_outer()
        return response

    app.middlewares.append(outer)


def on_startup(app: web.Application, told: Told) -> None:
    app.on_startup.append(asynchronous(told.set_outer))
    app.on_cleanup.append(asynchronous(told.read_outer))


def before_serving(app: Quart, told: Told) -> None:
    app.before_serving(asynchronous(told.set_outer))
    app.after_serving(asynchronous(told.read_outer))


def before_request(app: Quart, told: Told, wrap: Callable[..., Any] = asynchronous) -> None:
    app.before_request(wrap(told.set_outer))

    @app.after_request
    async def after(response: Any) -> Any:
        told.read_outer()
        return response


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


def hooked(make: Build, hook: Callable[..., None], *arguments: Any) -> Build:
    """Plain code, with what is around it."""

    def application(told: Told) -> App:
        app = make(told.run_inner)
        hook(app, told, *arguments)
        return app

    return application


HOOKED = {
    AIOHTTP: {
        "middleware to handler": hooked(CALLING[AIOHTTP], middleware),
        "on_startup to handler": hooked(CALLING[AIOHTTP], on_startup),
    },
    QUART: {
        "async before_request to async route": hooked(CALLING[QUART], before_request),
        "async before_request to sync route": hooked(SYNC[QUART], before_request),
        "sync before_request to async route": hooked(CALLING[QUART], before_request, lambda it: it),
        "quart.g, sync before_request to sync route": quart_by_g,
        "before_serving to route": hooked(CALLING[QUART], before_serving),
    },
}


def crossed(awaiting: Build, crossing: Way) -> Build:
    return lambda told: awaiting(partial(cross, crossing, told))


CONTEXTS = {
    stack: {f"handler to {name}": crossed(AWAITING[stack], way) for name, way in CROSSINGS.items()}
    | hooks
    for stack, hooks in HOOKED.items()
}


@variants("context-variables", CONTEXTS)
def ask_context(application: Build) -> Answer:
    told = Told()
    with serve(application(told)) as server:
        get(server.port, "/")
        if server.stop() is None:  # clean-ups read, too
            raise TimeoutError("the server did not stop")
    if "was never run" in (told.inner, told.outer):
        raise LookupError(f"inner {told.inner}; outer {told.outer}")
    seen = "seen" if told.inner == OUTER else "not seen"
    back = "a change comes back" if told.outer == INNER else "a change does not come back"
    return Answer(
        f"{seen}, {back}", f"the inner code read {told.inner!r}; then the outer {told.outer!r}"
    )


REQUESTS = 8


class Local(threading.local):
    """Keeps a value for each thread, and is read and set as a ContextVar is."""

    value: int | None = None

    def get(self) -> int | None:
        return self.value

    def set(self, value: int) -> None:
        self.value = value


KEEPS: dict[str, Local | ContextVar[int | None]] = {
    "threading.local": Local(),
    "ContextVar": ContextVar("name", default=None),
}


class Story:
    """How requests fared that keep their names, which are numbers, while others come and go.

    told: of each, whether it found a name when it began, and whether it ended with another's.
    """

    def __init__(self, keep: Local | ContextVar[int | None]) -> None:
        self.crowd = Crowd(0.1)
        self.told: list[tuple[bool, bool]] = []
        self._keep, self._names = keep, count()

    @contextmanager
    def _of_one(self) -> Iterator[None]:
        """One request: what it finds, and what it has after the others had their turn."""
        name, found = next(self._names), self._keep.get()
        self._keep.set(name)
        yield
        self.told.append((found is not None, self._keep.get() != name))

    def hold(self) -> None:
        """A request, in a thread."""
        with self._of_one():
            self.crowd.hold()

    async def hold_async(self) -> None:
        """A request, on the loop."""
        with self._of_one():
            await self.crowd.hold_async()


STORIES: dict[tuple[str, str], Callable[[Story], App]] = {
    (AIOHTTP, "in a handler"): lambda story: AWAITING[AIOHTTP](story.hold_async),
    (AIOHTTP, "through asyncio.to_thread"): lambda story: SYNC[AIOHTTP](story.hold),
    (QUART, "in an async route"): lambda story: AWAITING[QUART](story.hold_async),
    (QUART, "in a sync route"): lambda story: SYNC[QUART](story.hold),
}


def ask_kept(application: Build, keep: Local | ContextVar[int | None]) -> Answer:
    """Let requests with names of their own come at once, and then again."""
    story = Story(keep)
    with serve(application(story)) as server, ThreadPoolExecutor(REQUESTS) as clients:
        for _ in range(2):
            list(clients.map(partial(get, server.port), ["/"] * REQUESTS))
    if len(story.told) != 2 * REQUESTS:
        raise LookupError(f"{len(story.told)} of {2 * REQUESTS} requests were told of")
    left_over, mixed_up = map(sum, zip(*story.told, strict=True))
    mixed = "mixed up between requests" if mixed_up else "each has its own"
    left = "left over for later ones" if left_over else "gone afterwards"
    return Answer(
        f"{mixed}, {left}",
        f"{mixed_up} of {2 * REQUESTS} requests, up to {story.crowd.most} at once, read a name "
        f"that was not theirs; {left_over} found one when they began",
    )


for (stack, where), application in STORIES.items():
    for name, keep in KEEPS.items():
        experiment("thread-local", stack, f"{name} {where}", application, keep)(ask_kept)
