"""Tasks that a handler begins: forgotten, collected, or at work when the server stops."""

import asyncio
import gc
import logging
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any

from quart import current_app

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.asking import NONE, Answer, experiment, experiments
from loopbench.loadtests.behaviour.background.of_applications import Work, fail
from loopbench.loadtests.behaviour.framework.events import logged, loggers
from loopbench.loadtests.behaviour.talking import as_seen, get, seen

Begin = Callable[[Work], object]
"""Begins the task, inside the handler."""


def create_task(work: Work) -> None:
    asyncio.create_task(work())  # noqa: RUF006  this is what is asked about


def keep_until_done(work: Work) -> None:
    apps.begin(work())


def add_background_task(work: Work) -> None:
    """The task is handed over to the application."""
    current_app.add_background_task(work)


def beginning(answers: Build, begin: Begin, work: Work, hook: Any = None, **config: float) -> App:
    """The handler begins the task and answers. hook: adds what waits for the task."""

    async def handler() -> str:
        begin(work)
        return "accepted"

    app = answers({"/": handler}, **config)
    if hook is not None:
        hook(app)
    return app


BEGINNING = apps.each(beginning)
CREATED = {"asyncio.create_task": lambda work: apps.kept.add(asyncio.create_task(work()))}
ADDED = "app.add_background_task"


@experiments("fire-and-forget", BEGINNING, CREATED)
@experiment("fire-and-forget", QUART, ADDED, BEGINNING[QUART], add_background_task)
def ask_forgotten(application: Build, begin: Begin) -> Answer:
    records = logged(logging.ERROR)
    with serve(application(begin, fail)) as server:
        answer = get(server.port, "/").text
        seen.wait("raised")
        get(server.port, "/")  # one more turn of the loop
        at_once = len(records)
        apps.kept.clear()
        gc.collect()
        when = "at once" if at_once else "when the task is collected" if records else "never"
        evidence = f"errors in the log: {at_once} while the task was kept, then {len(records)}"
        return Answer(f"answered {answer!r}, said {when}", f"{evidence}, by {loggers(records)}")


waiting: weakref.WeakSet[asyncio.Future[None]] = weakref.WeakSet()
"""What is waited for, which is not kept alive by that."""


async def wait() -> None:
    """Until it is woken."""
    future = asyncio.get_running_loop().create_future()
    waiting.add(future)
    await future


async def wake() -> None:
    """Collect what nothing refers to, and wake the others."""
    gc.collect()
    for future in list(waiting):
        future.set_result(None)


async def sleep() -> None:
    """The loop knows of who sleeps."""
    await asyncio.sleep(0.2)


UNREFERRED = "nothing else refers to it"
COLLECTED: dict[str, tuple[Begin, Work]] = {
    "asyncio.create_task, it sleeps": (create_task, sleep),
    "asyncio.create_task, nothing refers to it": (create_task, wait),
    f"kept in a set, {UNREFERRED}": (keep_until_done, wait),
}
ADDED_ONE = {f"{ADDED}, {UNREFERRED}": (add_background_task, wait)}


@experiments("task-garbage-collected", BEGINNING, COLLECTED)
@experiments("task-garbage-collected", {QUART: BEGINNING[QUART]}, ADDED_ONE)
def ask_collected(application: Build, how: tuple[Begin, Work]) -> Answer:
    """Collect while the task waits; then see whether it still comes to its end."""
    begin, waits = how

    async def work() -> None:
        seen("began")
        await waits()
        seen("finished")

    records = logged(logging.ERROR)
    with serve(application(begin, work)) as server:
        get(server.port, "/")
        seen.wait("began")
        server.call(wake())
        finished = seen.wait("finished", 2.0)
    became = "it finished" if finished else "it was collected"
    words = ", and the log says so" if records else ""
    return as_seen(became + words, f"lines in the log: {len(records)}")


async def at_the_end(_: object) -> AsyncGenerator[None, None]:
    yield
    await apps.wait_for_kept()


left = partial(experiment, "task-at-shutdown")
BACKGROUND, BOUND = BEGINNING[QUART], "BACKGROUND_TASK_SHUTDOWN_TIMEOUT"
IN_CLEANUP = partial(BEGINNING[AIOHTTP], hook=lambda app: app.cleanup_ctx.append(at_the_end))
AFTER_SERVING = partial(BACKGROUND, hook=lambda app: app.after_serving(apps.wait_for_kept))
IMPATIENT = partial(BACKGROUND, **{BOUND: 0.5})
LONG_S = 8.0
"""More than the 5 s that Quart waits by default."""


@experiments("task-at-shutdown", BEGINNING, {"asyncio.create_task": keep_until_done})
@left(AIOHTTP, "awaited in cleanup_ctx", IN_CLEANUP, keep_until_done)
@left(QUART, "awaited in after_serving", AFTER_SERVING, keep_until_done)
@left(QUART, f"{ADDED}, 2 s", BACKGROUND, add_background_task)
@left(QUART, f"{ADDED}, 2 s, {BOUND}=0.5", IMPATIENT, add_background_task)
@left(QUART, f"{ADDED}, 8 s", BACKGROUND, add_background_task, seconds=LONG_S, bound_s=30)
def ask_left(application: Build, begin: Begin, seconds: float = 2.0) -> Answer:
    async def save() -> None:
        seen("began")
        with seen.ends():
            await asyncio.sleep(seconds)

    with serve(application(begin, save)) as server:
        get(server.port, "/")
        seen.wait("began")
        took_s = server.stop(15.0)
        if took_s is None:
            return as_seen("the stop hangs")
        left = [task for task in asyncio.all_tasks(server.loop) if not task.done()]
        became = "left behind" if left else "gone"
        if "finished" in seen or "cancelled" in seen:
            became = seen.events[-1]
    return as_seen(became, f"work of {seconds:g} s, the stop took {took_s:.1f} s")


EAGER = {"default": False, "loop.set_task_factory(asyncio.eager_task_factory)": True}


@experiments("eager-tasks", apps.CALLING, EAGER)
def ask_eager(application: Build, eager: bool) -> Answer:
    factory = getattr(asyncio, "eager_task_factory", None)
    if eager and factory is None:
        return Answer(NONE, "this Python has no asyncio.eager_task_factory; the nearest is 3.12's")

    async def work() -> None:
        seen("the task's first line")

    def begin() -> None:
        loop = asyncio.get_running_loop()
        if eager:
            loop.set_task_factory(factory)
        task = loop.create_task(work())
        seen("create_task returned")
        task.add_done_callback(lambda _: seen("done"))

    with serve(application(begin)) as server:
        get(server.port, "/")
        get(server.port, "/missing")  # one more turn of the loop
    first = "before" if seen.events[0] == "the task's first line" else "after"
    return as_seen(f"{first} create_task returns")


async def in_timeout(stubborn: Work) -> None:
    async with asyncio.timeout(0.1):
        await stubborn()


TIMEOUTS: dict[str, Callable[[Work], Coroutine[Any, Any, None]]] = {
    "asyncio.timeout": in_timeout,
    "asyncio.wait_for": lambda stubborn: asyncio.wait_for(stubborn(), 0.1),
    "asyncio.wait_for(asyncio.shield(…))": lambda stubborn: asyncio.wait_for(
        asyncio.shield(stubborn()), 0.1
    ),
}


@experiments("timeout-in-handler", apps.AWAITING, TIMEOUTS)
def ask_timeout(application: Build, bounded: Callable[[Work], Coroutine[Any, Any, None]]) -> Answer:
    async def stubborn() -> None:
        """Has a clean-up that takes its time."""
        try:
            await asyncio.sleep(0.6)
            seen("finished")
        finally:
            await asyncio.sleep(0.2)
            seen("clean-up ended")

    with serve(application(lambda: bounded(stubborn))) as server:
        reply = get(server.port, "/")
        waits = "clean-up ended" in seen
        seen.wait("clean-up ended", 2.0)
    work = "work goes on" if "finished" in seen else "work is cancelled"
    when = "after the clean-up" if waits else "before the clean-up"
    return as_seen(f"{reply.status} {when}, {work}")
