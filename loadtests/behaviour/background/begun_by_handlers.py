"""Tasks that a handler begins: forgotten, collected, or at work when the server stops."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.tasks import listening, loggers
from loopbench.loadtests.behaviour.disconnect.leaving import Body, aiohttp_awaiting, quart_awaiting
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import (
    Variants,
    experiment,
    experiments,
    variants,
)
from loopbench.loadtests.behaviour.framework.question import NONE, Answer
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import App, serve

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"
Work = Callable[[], Coroutine[Any, Any, None]]
Begin = Callable[[Work], None]
"""Begins the task, inside the handler."""


def aiohttp_starting(start: Callable[[], None]) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        start()
        return web.Response(text="accepted")

    app = web.Application()
    app.router.add_get("/", handler)
    return app


def quart_starting(start: Callable[[], None]) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        start()
        return "accepted"

    return app


def quart_background(work: Work, config: dict[str, float] | None = None) -> Quart:
    app = Quart(__name__)
    app.config.update(config or {})

    @app.get("/")
    async def handler() -> str:
        app.add_background_task(work)
        return "accepted"

    return app


def keep_in(kept: set[asyncio.Task[None]], work: Work) -> None:
    task = asyncio.create_task(work())
    kept.add(task)
    task.add_done_callback(kept.discard)


Kept = set[asyncio.Task[None]]


def aiohttp_kept(work: Work, kept: Kept) -> web.Application:
    return aiohttp_starting(lambda: kept.add(asyncio.create_task(work())))


def quart_kept(work: Work, kept: Kept) -> Quart:
    return quart_starting(lambda: kept.add(asyncio.create_task(work())))


def quart_handed_over(work: Work, _: Kept) -> Quart:
    return quart_background(work)


FORGETTING: Variants = {
    AIOHTTP: {"asyncio.create_task": aiohttp_kept},
    QUART: {"asyncio.create_task": quart_kept, "app.add_background_task": quart_handed_over},
}


@variants("fire-and-forget", FORGETTING)
def ask_forgotten(application: Callable[[Work, Kept], App]) -> Answer:
    """See when the log tells: at once, when the last reference goes, or never."""
    seen = Seen()
    kept: Kept = set()

    async def fail() -> None:
        await asyncio.sleep(0.05)
        seen("raised")
        raise RuntimeError("nobody waits for this")

    with listening() as said, serve(application(fail, kept)) as server:
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


def forget(work: Work) -> None:
    asyncio.create_task(work())  # noqa: RUF006  this is what is asked about


def keeper() -> Begin:
    return partial(keep_in, set())


def aiohttp_beginning(begin: Callable[[], Begin], work: Work) -> web.Application:
    return aiohttp_starting(partial(begin(), work))


def quart_beginning(begin: Callable[[], Begin], work: Work) -> Quart:
    return quart_starting(partial(begin(), work))


def forgetter() -> Begin:
    return forget


SLEEPS, WAITS = "asyncio.create_task, it sleeps", "asyncio.create_task, nothing refers to it"
KEPT = "kept in a set, nothing else refers to it"
COLLECTING: Variants = {
    AIOHTTP: {
        SLEEPS: (partial(aiohttp_beginning, forgetter), False),
        WAITS: (partial(aiohttp_beginning, forgetter), True),
        KEPT: (partial(aiohttp_beginning, keeper), True),
    },
    QUART: {
        SLEEPS: (partial(quart_beginning, forgetter), False),
        WAITS: (partial(quart_beginning, forgetter), True),
        KEPT: (partial(quart_beginning, keeper), True),
        "app.add_background_task, nothing else refers to it": (quart_background, True),
    },
}


@variants("task-garbage-collected", COLLECTING)
def ask_collected(begun: tuple[Callable[[Work], App], bool]) -> Answer:
    """Collect while the task waits; then see whether it still comes to its end.

    begun: the application, and whether the task waits for the bell, which does not refer to it;
    otherwise it sleeps, which the loop knows of.
    """
    application, waits = begun
    bell, seen = Bell(), Seen()

    async def work() -> None:
        seen("began")
        await (bell.wait() if waits else asyncio.sleep(0.2))
        seen("finished")

    async def collect() -> None:
        gc.collect()
        bell.ring()

    with listening() as said, serve(application(work)) as server:
        get(server.port, "/")
        seen.wait("began")
        server.call(collect())
        finished = seen.wait("finished", 2.0)
    became = "it finished" if finished else "it was collected"
    words = ", and the log says so" if said else ""
    return Answer(
        became + words, f"events: {', '.join(seen.events)}; lines in the log: {len(said)}"
    )


SHORT_S, LONG_S = 2.0, 8.0
"""The longer one takes more than the 5 s that Quart waits by default."""


def saving(seen: Seen, seconds: float) -> Work:
    async def save() -> None:
        seen("began")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            seen("cancelled")
            raise
        seen("finished")

    return save


def aiohttp_working(work: Work, awaited: bool = False) -> web.Application:
    """awaited: a clean-up waits for what is left."""
    kept: Kept = set()

    async def wait_for_the_rest(_: web.Application) -> AsyncGenerator[None, None]:
        yield
        await asyncio.gather(*kept)

    app = aiohttp_starting(partial(keep_in, kept, work))
    if awaited:
        app.cleanup_ctx.append(wait_for_the_rest)
    return app


def quart_working(work: Work, awaited: bool = False) -> Quart:
    """The same on Quart."""
    kept: Kept = set()

    async def wait_for_the_rest() -> None:
        await asyncio.gather(*kept)

    app = quart_starting(partial(keep_in, kept, work))
    if awaited:
        app.after_serving(wait_for_the_rest)
    return app


TIMEOUT = "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"
ADDED = "app.add_background_task"
LEFT: Variants = {
    AIOHTTP: {
        "asyncio.create_task": aiohttp_working,
        "awaited in cleanup_ctx": partial(aiohttp_working, awaited=True),
    },
    QUART: {
        "asyncio.create_task": quart_working,
        "awaited in after_serving": partial(quart_working, awaited=True),
        f"{ADDED}, {SHORT_S:g} s": quart_background,
        f"{ADDED}, {SHORT_S:g} s, {TIMEOUT}=0.5": partial(quart_background, config={TIMEOUT: 0.5}),
    },
}


@variants("task-at-shutdown", LEFT)
@experiment(
    "task-at-shutdown", QUART, f"{ADDED}, {LONG_S:g} s", quart_background, LONG_S, bound_s=30
)
def ask_left(application: Callable[[Work], App], seconds: float = SHORT_S) -> Answer:
    """What has become of the work when the stop has ended."""
    seen = Seen()
    with serve(application(saving(seen, seconds))) as server:
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


def set_eager() -> bool:
    """Have tasks begin at once, where asyncio can (Python 3.12 and later); whether it can."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is not None:
        asyncio.get_running_loop().set_task_factory(factory)
    return factory is not None


@experiments(
    "eager-tasks",
    {AIOHTTP: aiohttp_starting, QUART: quart_starting},
    {"default": False, "loop.set_task_factory(asyncio.eager_task_factory)": True},
)
def ask_eager(application: Callable[[Callable[[], None]], App], eager: bool) -> Answer:
    """Whether a task's first line runs before or after the line that begins the task."""
    seen = Seen()

    async def work() -> None:
        seen("the task's first line")

    def begin() -> None:
        if eager and not set_eager():
            seen("no eager tasks")
            return
        task = asyncio.get_running_loop().create_task(work())
        seen("create_task returned")
        task.add_done_callback(lambda _: seen("done"))

    with serve(application(begin)) as server:
        get(server.port, "/")
        get(server.port, "/missing")  # one more turn of the loop
    if "no eager tasks" in seen:
        return Answer(NONE, "this Python has no asyncio.eager_task_factory; the nearest is 3.12's")
    first = "before" if seen.events[0] == "the task's first line" else "after"
    return Answer(f"{first} create_task returns", f"in order: {', '.join(seen.events)}")


async def in_timeout(seen: Seen) -> None:
    async with asyncio.timeout(0.1):
        await stubborn(seen)


async def in_wait_for(seen: Seen) -> None:
    await asyncio.wait_for(stubborn(seen), 0.1)


async def in_shielded_wait_for(seen: Seen) -> None:
    await asyncio.wait_for(asyncio.shield(stubborn(seen)), 0.1)


async def stubborn(seen: Seen) -> None:
    """Has a clean-up that takes its time."""
    try:
        await asyncio.sleep(0.6)
        seen("finished")
    finally:
        await asyncio.sleep(0.2)
        seen("clean-up ended")


TIMEOUTS: dict[str, Body] = {
    "asyncio.timeout": in_timeout,
    "asyncio.wait_for": in_wait_for,
    "asyncio.wait_for(asyncio.shield(…))": in_shielded_wait_for,
}


@experiments("timeout-in-handler", {AIOHTTP: aiohttp_awaiting, QUART: quart_awaiting}, TIMEOUTS)
def ask_timeout(application: Callable[[Body, Seen], App], body: Body) -> Answer:
    """What the client gets when the time is over, and whether the clean-up comes first."""
    seen = Seen()
    with serve(application(body, seen)) as server:
        reply = get(server.port, "/")
        waits = "clean-up ended" in seen
        seen.wait("clean-up ended", 2.0)
    work = "work goes on" if "finished" in seen else "work is cancelled"
    when = "after the clean-up" if waits else "before the clean-up"
    return Answer(f"{reply.status} {when}, {work}", f"in order: {', '.join(seen.events)}")
