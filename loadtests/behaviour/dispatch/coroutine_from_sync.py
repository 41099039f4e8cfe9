"""Ways to run a coroutine from a sync route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotInTime
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import get

PATIENCE_S = 2.0

Way = Callable[[asyncio.AbstractEventLoop], str]


async def which(server_loop: asyncio.AbstractEventLoop) -> str:
    """A coroutine that says which loop it runs on."""
    await asyncio.sleep(0)
    same = asyncio.get_running_loop() is server_loop
    return "on the server's loop" if same else "on a loop of its own"


def asyncio_run(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run(which(loop))


def new_event_loop(loop: asyncio.AbstractEventLoop) -> str:
    mine = asyncio.new_event_loop()
    try:
        return mine.run_until_complete(which(loop))
    finally:
        mine.close()


def run_coroutine_threadsafe(loop: asyncio.AbstractEventLoop) -> str:
    return asyncio.run_coroutine_threadsafe(which(loop), loop).result(PATIENCE_S)


def in_a_thread(way: Way) -> Callable[[], AbstractContextManager[Live]]:
    """On aiohttp: through to_thread."""

    def begin() -> AbstractContextManager[Live]:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(text=await asyncio.to_thread(way, asyncio.get_running_loop()))

        app = web.Application()
        app.router.add_get("/", handler)
        return aiohttp_server(app)

    return begin


def on_the_loop(way: Way) -> Callable[[], AbstractContextManager[Live]]:
    """The mistake: the same from plain code on the loop's own thread."""

    def begin() -> AbstractContextManager[Live]:
        async def handler(_: web.Request) -> web.Response:
            return web.Response(text=_caught(way, asyncio.get_running_loop()))

        app = web.Application()
        app.router.add_get("/", handler)
        return aiohttp_server(app)

    return begin


def sync_route(way: Way) -> Callable[[], AbstractContextManager[Live]]:
    """On Quart: in a sync route."""

    def begin() -> AbstractContextManager[Live]:
        app = Quart(__name__)
        loops: list[asyncio.AbstractEventLoop] = []

        @app.before_serving
        async def note() -> None:
            loops.append(asyncio.get_running_loop())

        @app.get("/")
        def handler() -> str:
            return way(loops[0])

        return hypercorn_server(app)

    return begin


def async_route(way: Way) -> Callable[[], AbstractContextManager[Live]]:
    """The mistake on Quart."""

    def begin() -> AbstractContextManager[Live]:
        app = Quart(__name__)

        @app.get("/")
        async def handler() -> str:
            return _caught(way, asyncio.get_running_loop())

        return hypercorn_server(app)

    return begin


def _caught(way: Way, loop: asyncio.AbstractEventLoop) -> str:
    try:
        return way(loop)
    except (NotInTime, TimeoutError):
        return f"hangs: nothing within {PATIENCE_S:g} s, since the loop waits for itself"
    except RuntimeError as error:
        return f"raises RuntimeError: {error}"


def ask(begin: Callable[[], AbstractContextManager[Live]]) -> Answer:
    with begin() as server:
        text = get(server.port, "/").text
    return Answer(f"runs {text}" if text.startswith("on ") else text.partition(":")[0], text)


WAYS: dict[str, Way] = {
    "asyncio.run": asyncio_run,
    "new_event_loop().run_until_complete": new_event_loop,
    "run_coroutine_threadsafe": run_coroutine_threadsafe,
}
_Begin = Callable[[Way], Callable[[], AbstractContextManager[Live]]]
_ROWS: tuple[tuple[str, str, _Begin], ...] = (
    ("aiohttp", "{} in a thread", in_a_thread),
    ("aiohttp", "{} on the loop's thread", on_the_loop),
    ("quart-hypercorn", "{} in a sync route", sync_route),
    ("quart-hypercorn", "{} in an async route", async_route),
)


QUESTION = Question(
    asks="How is a coroutine run from plain code, and which way can hang?",
    experiments=tuple(
        Experiment(stack, setting.format(name), partial(ask, begin(way)))
        for stack, setting, begin in _ROWS
        for name, way in WAYS.items()
    ),
    claims=(
        Claim(
            "asyncio.run works anywhere.",
            {"runs*": Agrees.YES, "raises*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            (
                "asyncio.run in a thread",
                "asyncio.run on the loop's thread",
                "asyncio.run in a sync route",
                "asyncio.run in an async route",
            ),
        ),
    ),
    follows={
        "runs on the server's loop": "From a thread this is the way to reach what belongs to the "
        "server's loop: its pools, its sessions. Give `result` a bound.",
        "runs on a loop of its own": "Nothing that belongs to the server's loop may be used in it, "
        "and each call pays for a loop.",
        "hangs": "On the loop's own thread nobody is left to run the coroutine: use `await`.",
        "raises*": "A loop runs on this thread already: use `await`.",
    },
)
