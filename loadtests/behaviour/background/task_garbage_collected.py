"""A task to which nothing refers, when the garbage collector comes by."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.task_raises import listening
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

Begin = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


class Bell:
    """Wakes those who wait, and does not keep them alive."""

    def __init__(self) -> None:
        self._waiting: weakref.WeakSet[asyncio.Future[None]] = weakref.WeakSet()

    async def wait(self) -> None:
        """Until it rings."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        await future

    def ring(self) -> None:
        """Wake all of them."""
        for future in list(self._waiting):
            future.set_result(None)


def forget(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.create_task(work())  # noqa: RUF006  this is what is asked about


def keeper() -> Begin:
    kept: set[asyncio.Task[None]] = set()

    def keep(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(work())
        kept.add(task)
        task.add_done_callback(kept.discard)

    return keep


def aiohttp_serving(start: Callable[[], None]) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        start()
        return web.Response(text="accepted")

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def quart_serving(start: Callable[[], None]) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        start()
        return "accepted"

    return hypercorn_server(app)


def background_serving(
    work: Callable[[], Coroutine[Any, Any, None]],
) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        app.add_background_task(work)
        return "accepted"

    return hypercorn_server(app)


async def _collect(bell: Bell) -> None:
    gc.collect()
    bell.ring()


def ask(
    serve: Callable[[Any], AbstractContextManager[Live]], begin: Begin | None, waits: bool
) -> Answer:
    """Collect while the task waits; then see whether it still comes to its end.

    waits: for the bell, which does not refer to it; otherwise it sleeps, which the loop knows of.
    """
    bell, seen = Bell(), Seen()

    async def work() -> None:
        seen("began")
        await (bell.wait() if waits else asyncio.sleep(0.2))
        seen("finished")

    start = work if begin is None else partial(begin, work)
    with listening() as said, serve(start) as server:
        get(server.port, "/")
        seen.wait("began")
        server.call(_collect(bell))
        finished = seen.wait("finished", 2.0)
    became = "it finished" if finished else "it was collected"
    words = ", and the log says so" if said else ""
    return Answer(
        became + words, f"events: {', '.join(seen.events)}; lines in the log: {len(said)}"
    )


SLEEPS, WAITS = "asyncio.create_task, it sleeps", "asyncio.create_task, nothing refers to it"
KEPT = "kept in a set, nothing else refers to it"

QUESTION = Question(
    asks="Does a task that nobody keeps a reference to come to its end when the garbage collector "
    "runs meanwhile?",
    experiments=(
        Experiment("aiohttp", SLEEPS, lambda: ask(aiohttp_serving, forget, False)),
        Experiment("aiohttp", WAITS, lambda: ask(aiohttp_serving, forget, True)),
        Experiment("aiohttp", KEPT, lambda: ask(aiohttp_serving, keeper(), True)),
        Experiment("quart-hypercorn", SLEEPS, lambda: ask(quart_serving, forget, False)),
        Experiment("quart-hypercorn", WAITS, lambda: ask(quart_serving, forget, True)),
        Experiment("quart-hypercorn", KEPT, lambda: ask(quart_serving, keeper(), True)),
        Experiment(
            "quart-hypercorn",
            "app.add_background_task, nothing else refers to it",
            lambda: ask(background_serving, None, True),
        ),
    ),
    claims=(
        Claim(
            "A task without a reference may be collected before it is done.",
            {"it was collected*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "it was collected*": "Keep the task: in a set, with a done callback that takes it out.",
        "it finished": "Something referred to the task: what it waits for, or a set.",
    },
)
