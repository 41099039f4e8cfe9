"""`threading.local` as a place to keep what belongs to a request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.many.crowd import Crowd

REQUESTS = 8
QUIET_S = 0.1


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
        self.crowd = Crowd(QUIET_S)
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


def handler(story: Story) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        with story.of(request.query["name"]):
            await story.crowd.hold_async()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def in_thread(story: Story) -> AbstractContextManager[Live]:
    def plain(name: str) -> None:
        with story.of(name):
            story.crowd.hold()

    async def handler(request: web.Request) -> web.Response:
        await asyncio.to_thread(plain, request.query["name"])
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def async_route(story: Story) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        with story.of(request.args["name"]):
            await story.crowd.hold_async()
        return ""

    return hypercorn_server(app)


def sync_route(story: Story) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        with story.of(request.args["name"]):
            story.crowd.hold()
        return ""

    return hypercorn_server(app)


def ask(
    begin: Callable[[Story], AbstractContextManager[Live]], keep: Callable[[], Local | Variable]
) -> Answer:
    """Let requests with names of their own come at once, and then again."""
    story = Story(keep())
    with begin(story) as server, ThreadPoolExecutor(REQUESTS) as clients:
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


_PLACES = (
    ("aiohttp", "in a handler", handler),
    ("aiohttp", "through asyncio.to_thread", in_thread),
    ("quart-hypercorn", "in an async route", async_route),
    ("quart-hypercorn", "in a sync route", sync_route),
)
_KEEPS: tuple[tuple[str, Callable[[], Local | Variable]], ...] = (
    ("threading.local", Local),
    ("ContextVar", Variable),
)

QUESTION = Question(
    asks="Can what belongs to a request be kept in a `threading.local`, or in a context variable?",
    experiments=tuple(
        Experiment(stack, f"{name} {where}", partial(ask, begin, keep))
        for stack, where, begin in _PLACES
        for name, keep in _KEEPS
    ),
    claims=(
        Claim(
            "threading.local keeps what belongs to one request.",
            {
                "each has its own, gone afterwards": Agrees.YES,
                "each has its own*": Agrees.PARTLY,
                "*": Agrees.NO,
            },
            ("aiohttp", "quart-hypercorn"),
            tuple(f"threading.local {where}" for _, where, _ in _PLACES),
        ),
    ),
    follows={
        "mixed up*": "All requests share the loop's thread, and so its thread-local values: one "
        "user gets another one's. Use a `ContextVar`.",
        "each has its own, left over*": "Threads of a pool serve one request after another: what "
        "is not cleared is found by the next.",
        "each has its own, gone*": "Every request has a context of its own, in threads too.",
    },
)
