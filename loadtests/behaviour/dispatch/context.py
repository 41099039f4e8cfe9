"""What belongs to a request, in context variables and thread-locals, across tasks and threads."""

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

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.asking import Answer, Variants, experiments, variants
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.talking import as_seen, get, noting, seen

REQUESTS = 8
UNSET, OUTER, INNER = "nothing", "what the outer set", "what the inner set"

variable: ContextVar[str] = ContextVar("variable", default=UNSET)


def set_outer() -> None:
    variable.set(OUTER)


def run_inner() -> None:
    seen(f"inner read {variable.get()}")
    variable.set(INNER)


def read_outer() -> None:
    """When the inner code has been run."""
    seen(f"outer read {variable.get()}")


CROSSINGS: dict[str, apps.Way] = {
    "handler to await coroutine()": apps.called,
    "handler to await asyncio.create_task(…)": lambda inner: asyncio.create_task(
        apps.called(inner)
    ),
    "handler to await asyncio.to_thread(…)": asyncio.to_thread,
    "handler to await loop.run_in_executor(None, …)": apps.in_executor,
}
"""How a handler has the inner code run."""


async def cross(crossing: apps.Way) -> None:
    set_outer()
    await crossing(run_inner)
    read_outer()


def middleware(app: web.Application) -> None:
    @web.middleware
    async def outer(request: web.Request, handler: apps.Handler) -> web.StreamResponse:
        set_outer()
        response = await handler(request)
        read_outer()
        return response

    app.middlewares.append(outer)


def start_and_end(app: App) -> None:
    apps.at_start(app, apps.asynchronous(set_outer))
    apps.at_end(app, apps.asynchronous(read_outer))


def around_request(before: Callable[[], Any], app: Quart) -> None:
    app.before_request(before)
    app.after_request(noting("outer read {}", lambda _: variable.get()))


def quart_by_g() -> Quart:
    """The remedy: an object that belongs to the request, which every thread changes alike."""

    def inner() -> None:
        seen(f"inner read {g.value}")
        g.value = INNER

    app: Quart = apps.SYNC[QUART](inner)

    @app.before_request
    def before() -> None:
        g.value = OUTER

    app.after_request(noting("outer read {}", lambda _: g.value))
    return app


called = {stack: partial(make, run_inner) for stack, make in apps.CALLING.items()}
in_thread = partial(apps.SYNC[QUART], run_inner)
before_request = partial(around_request, apps.asynchronous(set_outer))
plainly_before = partial(around_request, set_outer)
CROSSED = apps.each(lambda answers, crossing: answers({"/": partial(cross, crossing)}))
HOOKED: Variants = {
    AIOHTTP: {
        "middleware to handler": partial(apps.added, called[AIOHTTP], middleware),
        "on_startup to handler": partial(apps.added, called[AIOHTTP], start_and_end),
    },
    QUART: {
        "async before_request to async route": partial(apps.added, called[QUART], before_request),
        "async before_request to sync route": partial(apps.added, in_thread, before_request),
        "sync before_request to async route": partial(apps.added, called[QUART], plainly_before),
        "quart.g, sync before_request to sync route": quart_by_g,
        "before_serving to route": partial(apps.added, called[QUART], start_and_end),
    },
}


@experiments("context-variables", CROSSED, CROSSINGS)
@variants("context-variables", HOOKED)
def ask_context(application: Build, *crossing: apps.Way) -> Answer:
    with serve(application(*crossing)) as server:
        get(server.port, "/")
        if server.stop() is None:  # clean-ups read, too
            raise TimeoutError("the server did not stop")
    inner, outer = seen.events
    reaches = "seen" if inner == f"inner read {OUTER}" else "not seen"
    back = "comes back" if outer == f"outer read {INNER}" else "does not come back"
    return as_seen(f"{reaches}, a change {back}")


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

crowd = Crowd(0.1)
names = count()


@contextmanager
def request(keep: Keep) -> Iterator[None]:
    """A request that keeps a name, which is a number: what it finds when it begins, and what it
    has after the others had their turn."""
    name = next(names)
    seen("a name left over" if keep.get() is not None else "nothing left over")
    keep.set(name)
    yield
    seen("its own name" if keep.get() == name else "another one's name")


def hold(keep: Keep) -> None:
    with request(keep):
        crowd.hold()


async def hold_async(keep: Keep) -> None:
    with request(keep):
        await crowd.hold_async()


WAITING = apps.each(lambda answers, keep: answers({"/": partial(hold_async, keep)}))
BLOCKING = apps.each(lambda answers, keep: answers({}, sync={"/": partial(hold, keep)}))
ON_LOOP = apps.named(WAITING, "in a handler", "in an async route")
IN_THREAD = apps.named(BLOCKING, "through asyncio.to_thread", "in a sync route")


@variants("thread-local", ON_LOOP, each=KEEPS, named="{1} {0}")
@variants("thread-local", IN_THREAD, each=KEEPS, named="{1} {0}")
def ask_kept(application: Build, keep: Keep) -> Answer:
    """Let requests with names of their own come at once, and then again."""
    with serve(application(keep)) as server, ThreadPoolExecutor(REQUESTS) as clients:
        for _ in range(2):
            list(clients.map(partial(get, server.port), ["/"] * REQUESTS))
    if len(seen.events) != 4 * REQUESTS:
        raise LookupError(f"not {2 * REQUESTS} requests were told of: {seen.line}")
    mixed = "mixed up between requests" if "another one's name" in seen else "each has its own"
    left = "left over for later ones" if "a name left over" in seen else "gone afterwards"
    return as_seen(f"{mixed}, {left}", f"up to {crowd.most} requests at once")
