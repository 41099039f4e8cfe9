"""A task that a handler begins and nobody waits for, and that raises."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.task_raises import listening, loggers
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


async def _fail(seen: Seen) -> None:
    await asyncio.sleep(0.05)
    seen("raised")
    raise RuntimeError("nobody waits for this")


def create_task_on_aiohttp(
    seen: Seen, kept: set[asyncio.Task[None]]
) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        kept.add(asyncio.create_task(_fail(seen)))
        return web.Response(text="accepted")

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def create_task_on_quart(seen: Seen, kept: set[asyncio.Task[None]]) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        kept.add(asyncio.create_task(_fail(seen)))
        return "accepted"

    return hypercorn_server(app)


def add_background_task(seen: Seen, _: set[asyncio.Task[None]]) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        app.add_background_task(_fail, seen)
        return "accepted"

    return hypercorn_server(app)


Begin = Callable[[Seen, set[asyncio.Task[None]]], AbstractContextManager[Live]]


def ask(begin: Begin) -> Answer:
    """See when the log tells: at once, when the last reference goes, or never."""
    seen = Seen()
    kept: set[asyncio.Task[None]] = set()
    with listening() as said, begin(seen, kept) as server:
        answer = get(server.port, "/").text
        seen.wait("raised")
        get(server.port, "/")  # one more turn of the loop
        at_once = len(said)
        kept.clear()
        gc.collect()
        when = "at once" if at_once else "when the task is collected" if said else "never"
        return Answer(
            f"answered {answer!r}, said {when}",
            f"errors in the log: {at_once} while the task was kept, {len(said)} after it was "
            f"collected, by {loggers(said)}",
        )


QUESTION = Question(
    asks="Who says that a task raised which a handler began and nobody waits for?",
    experiments=(
        Experiment("aiohttp", "asyncio.create_task", lambda: ask(create_task_on_aiohttp)),
        Experiment("quart-hypercorn", "asyncio.create_task", lambda: ask(create_task_on_quart)),
        Experiment("quart-hypercorn", "app.add_background_task", lambda: ask(add_background_task)),
    ),
    claims=(
        Claim(
            "An exception in a task is logged.",
            {
                "*said at once": Agrees.YES,
                "*said when the task is collected": Agrees.PARTLY,
                "*never": Agrees.NO,
            },
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*collected": "As long as something refers to the task the failure stays silent: add a "
        "done callback that logs, or use what the framework offers.",
        "*at once": "The client has its answer all the same: it does not learn of the failure.",
    },
)
