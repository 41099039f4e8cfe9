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
    at_end,
    at_start,
    called,
    each,
    in_executor,
)
from loopbench.loadtests.behaviour.asking import Answer, Variants, experiments, variants
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
    "handler to await coroutine()": called,
    "handler to await asyncio.create_task(…)": lambda inner: asyncio.create_task(called(inner)),
    "handler to await asyncio.to_thread(…)": asyncio.to_thread,
    "handler to await loop.run_in_executor(None, …)": in_executor,
}
"""How a handler has the inner code run."""


def crossed(answers: Build, crossing: Way, told: Told) -> App:
    async def handle() -> None:
        told.set_outer()
        await crossing(told.run_inner)
        told.read_outer()

    return answers({"/": handle})


def middleware(app: web.Application, told: Told) -> None:
    @web.middleware
    async def outer(request: web.Request, handler: Handler) -> web.StreamResponse:
        told.set_outer()
        response = await handler(request)
        told.read_outer()
        return response

    app.middlewares.append(outer)


def start_and_end(app: App, told: Told) -> None:
    at_start(app, asynchronous(told.set_outer))
    at_end(app, asynchronous(told.read_outer))


def before_request(app: Quart, told: Told, wrap: Callable[..., Any] = asynchronous) -> None:
    app.before_request(wrap(told.set_outer))

    @app.after_request
    async def after(response: Any) -> Any:
        told.read_outer()
        return response


plainly_before = partial(before_request, wrap=lambda plain: plain)


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


def hooked(make: Build, hook: Callable[..., None], told: Told) -> App:
    """Plain code, with what is around it."""
    app = make(told.run_inner)
    hook(app, told)
    return app


HOOKED: Variants = {
    AIOHTTP: {
        "middleware to handler": partial(hooked, CALLING[AIOHTTP], middleware),
        "on_startup to handler": partial(hooked, CALLING[AIOHTTP], start_and_end),
    },
    QUART: {
        "async before_request to async route": partial(hooked, CALLING[QUART], before_request),
        "async before_request to sync route": partial(hooked, SYNC[QUART], before_request),
        "sync before_request to async route": partial(hooked, CALLING[QUART], plainly_before),
        "quart.g, sync before_request to sync route": quart_by_g,
        "before_serving to route": partial(hooked, CALLING[QUART], start_and_end),
    },
}


@experiments("context-variables", each(crossed), CROSSINGS)
@variants("context-variables", HOOKED)
def ask_context(application: Build, *crossing: Way) -> Answer:
    told = Told()
    with serve(application(*crossing, told)) as server:
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


Keep = Local | ContextVar[int | None]
KEEPS: dict[str, Keep] = {
    "threading.local": Local(),
    "ContextVar": ContextVar("name", default=None),
}


class Story:
    """How requests fared that keep their names, which are numbers, while others come and go.

    told: of each, whether it found a name when it began, and whether it ended with another's.
    """

    def __init__(self, keep: Keep) -> None:
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


STORIES = {
    AIOHTTP: {
        "in a handler": lambda story: AWAITING[AIOHTTP](story.hold_async),
        "through asyncio.to_thread": lambda story: SYNC[AIOHTTP](story.hold),
    },
    QUART: {
        "in an async route": lambda story: AWAITING[QUART](story.hold_async),
        "in a sync route": lambda story: SYNC[QUART](story.hold),
    },
}


@variants("thread-local", STORIES, each=KEEPS, named="{1} {0}")
def ask_kept(application: Build, keep: Keep) -> Answer:
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
