"""`asyncio.get_event_loop()` and `get_running_loop()`, off the loop and on it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Getter = Callable[[], asyncio.AbstractEventLoop]


@dataclass(slots=True)
class Found:
    """What the call gave. running: whether the loop ran then. said: its warnings."""

    loop: asyncio.AbstractEventLoop | None = None
    running: bool = False
    error: str = ""
    said: list[str] = field(default_factory=list)

    def look(self, getter: Getter) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.loop = getter()
                self.running = self.loop.is_running()
            except RuntimeError as error:
                self.error = str(error)
        self.said = [f"{one.category.__name__}: {one.message}" for one in caught]


Begin = Callable[[Getter, Found], AbstractContextManager[Live]]


def in_thread(getter: Getter, found: Found) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.to_thread(found.look, getter)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def in_handler(getter: Getter, found: Found) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        found.look(getter)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def in_sync_route(getter: Getter, found: Found) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        found.look(getter)
        return ""

    return hypercorn_server(app)


def in_async_route(getter: Getter, found: Found) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        found.look(getter)
        return ""

    return hypercorn_server(app)


def ask(begin: Begin, getter: Getter) -> Answer:
    found = Found()
    with begin(getter, found) as server:
        get(server.port, "/")
        same = found.loop is server.loop
    said = "; ".join(found.said) or "without a warning"
    if found.loop is None:
        return Answer("raises RuntimeError", f"raised {found.error!r}, {said}")
    running = "runs" if found.running else "does not run"
    what = "the server's loop" if same else "another loop"
    return Answer(f"gives {what}", f"gave {what}, which {running}, {said}")


PLACES: tuple[tuple[str, str, Begin], ...] = (
    ("aiohttp", "through asyncio.to_thread", in_thread),
    ("aiohttp", "in a handler", in_handler),
    ("quart-hypercorn", "in a sync route", in_sync_route),
    ("quart-hypercorn", "in an async route", in_async_route),
)
GETTERS: dict[str, Getter] = {
    "asyncio.get_event_loop()": asyncio.get_event_loop,
    "asyncio.get_running_loop()": asyncio.get_running_loop,
}

QUESTION = Question(
    asks="What do `asyncio.get_event_loop()` and `asyncio.get_running_loop()` do in a worker "
    "thread, and what on the loop?",
    experiments=tuple(
        Experiment(stack, f"{name} {where}", partial(ask, begin, getter))
        for stack, where, begin in PLACES
        for name, getter in GETTERS.items()
    ),
    claims=(
        Claim(
            "asyncio.get_event_loop() gets the application's loop anywhere in it, and makes one "
            "where there is none.",
            {"gives*": Agrees.YES, "raises*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            tuple(f"asyncio.get_event_loop() {where}" for _, where, _ in PLACES),
        ),
    ),
    follows={
        "raises*": "Take the loop while you are on it (`asyncio.get_running_loop()` at start-up) "
        "and hand it to the thread.",
    },
)
