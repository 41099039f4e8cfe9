"""A task that a handler has begun, and that still works when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from quart import Quart

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

SHORT_S, LONG_S = 2.0, 8.0
"""The longer one takes more than the 5 s that Quart waits by default."""

Work = Callable[[], Awaitable[None]]


def work(seen: Seen, seconds: float) -> Work:
    async def save() -> None:
        seen("began")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            seen("cancelled")
            raise
        seen("finished")

    return save


def _start(work: Work, kept: set[asyncio.Task[None]]) -> None:
    async def run() -> None:
        await work()

    task = asyncio.create_task(run())
    kept.add(task)
    task.add_done_callback(kept.discard)


def create_task_on_aiohttp(work: Work, awaited: bool = False) -> AbstractContextManager[Live]:
    """awaited: a clean-up waits for what is left."""
    kept: set[asyncio.Task[None]] = set()

    async def handler(_: web.Request) -> web.Response:
        _start(work, kept)
        return web.Response(text="accepted")

    async def wait_for_the_rest(_: web.Application) -> AsyncGenerator[None, None]:
        yield
        await asyncio.gather(*kept)

    app = web.Application()
    app.router.add_get("/", handler)
    if awaited:
        app.cleanup_ctx.append(wait_for_the_rest)
    return aiohttp_server(app)


def create_task_on_quart(work: Work, awaited: bool = False) -> AbstractContextManager[Live]:
    """The same on Quart."""
    kept: set[asyncio.Task[None]] = set()
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        _start(work, kept)
        return "accepted"

    async def wait_for_the_rest() -> None:
        await asyncio.gather(*kept)

    if awaited:
        app.after_serving(wait_for_the_rest)
    return hypercorn_server(app)


def add_background_task(work: Work, timeout_s: float | None = None) -> AbstractContextManager[Live]:
    """timeout_s: how long Quart waits for it, other than by default."""
    app = Quart(__name__)
    if timeout_s is not None:
        app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = timeout_s

    @app.get("/")
    async def handler() -> str:
        app.add_background_task(work)
        return "accepted"

    return hypercorn_server(app)


def ask(begin: Callable[[Work], AbstractContextManager[Live]], seconds: float = SHORT_S) -> Answer:
    """What has become of the work when the stop has ended."""
    seen = Seen()
    with begin(work(seen, seconds)) as server:
        get(server.port, "/")
        seen.wait("began")
        took_s = server.stop(15.0)
        if took_s is None:
            return Answer("the stop hangs", f"events: {', '.join(seen.events)}")
        left = [task for task in asyncio.all_tasks(server.loop) if not task.done()]
        if "finished" in seen or "cancelled" in seen:
            became = seen.events[-1]
        else:
            became = "left behind" if left else "gone"
    return Answer(
        became,
        f"work of {seconds:g} s, the stop took {took_s:.1f} s; events: {', '.join(seen.events)}",
    )


TIMEOUT = "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"

QUESTION = Question(
    asks="What becomes of a task that a handler began, and that works on when the server stops?",
    experiments=(
        Experiment("aiohttp", "asyncio.create_task", partial(ask, create_task_on_aiohttp)),
        Experiment(
            "aiohttp",
            "awaited in cleanup_ctx",
            partial(ask, partial(create_task_on_aiohttp, awaited=True)),
        ),
        Experiment("quart-hypercorn", "asyncio.create_task", partial(ask, create_task_on_quart)),
        Experiment(
            "quart-hypercorn",
            "awaited in after_serving",
            partial(ask, partial(create_task_on_quart, awaited=True)),
        ),
        Experiment(
            "quart-hypercorn",
            f"app.add_background_task, {SHORT_S:g} s",
            partial(ask, add_background_task),
        ),
        Experiment(
            "quart-hypercorn",
            f"app.add_background_task, {LONG_S:g} s",
            partial(ask, add_background_task, LONG_S),
            bound_s=30,
        ),
        Experiment(
            "quart-hypercorn",
            f"app.add_background_task, {SHORT_S:g} s, {TIMEOUT}=0.5",
            partial(ask, partial(add_background_task, timeout_s=0.5)),
        ),
    ),
    claims=(
        Claim(
            "A task that a handler began is waited for when the server stops.",
            {"finished": Agrees.YES, "cancelled": Agrees.PARTLY, "left behind": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "left behind": "Neither awaited nor cancelled: it goes when the loop does, wherever it is. "
        "Keep such tasks in a set, and wait for them in a clean-up.",
        "cancelled": f"It is waited for, but not for ever: raise `{TIMEOUT}` where the work is "
        "worth it, or keep what is to be done in a queue outside the process.",
        "finished": "The stop takes as long as the work.",
    },
)
