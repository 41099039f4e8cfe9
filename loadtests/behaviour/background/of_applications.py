"""What begins and ends with an application: tasks beside the requests, and clean-ups."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from quart import Quart

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, Live, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.events import logged, loggers
from loopbench.loadtests.behaviour.talking import NoAnswer, as_seen, get, seen

Work = Callable[[], Coroutine[Any, Any, None]]
"""What the task does. It may run for ever: it is cancelled at the end."""


async def cancel(task: asyncio.Task[None], bound_s: float | None = None) -> None:
    """bound_s: the remedy where a task ignores it: wait for its end, but not for ever."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await (asyncio.wait({task}, timeout=bound_s) if bound_s else task)


def around(app: App, work: Work, bound_s: float | None = None) -> None:
    """One function before and after, with a yield between."""

    async def beside(_: object = None) -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work())
        yield
        await cancel(task, bound_s)

    apps.around_serving(app, beside)


def before_and_after(app: App, work: Work) -> None:
    """A pair of hooks."""
    tasks: list[asyncio.Task[None]] = []

    async def start(_: object = None) -> None:
        tasks.append(asyncio.create_task(work()))

    async def stop(_: object = None) -> None:
        await cancel(tasks[0])

    apps.at_start(app, start)
    apps.at_end(app, stop)


def add_background_task(app: Quart, work: Work) -> None:
    """Quart: handed over to the application, which knows it from then on."""
    app.before_serving(apps.asynchronous(partial(app.add_background_task, work)))


TASKS: apps.Adds = {
    AIOHTTP: {"cleanup_ctx": around, "on_startup and on_cleanup": before_and_after},
    QUART: {
        "while_serving": around,
        "before_serving and after_serving": before_and_after,
        "app.add_background_task": add_background_task,
    },
}


@variants("task-beside-requests", apps.adding(TASKS), bound_s=30)
def ask_beside(application: Build) -> Answer:
    async def tick() -> None:
        """Until it is cancelled."""
        seen("began")
        with seen.ends():
            while True:
                await asyncio.sleep(0.01)
                seen("tick")

    with serve(application(tick)) as server:
        seen.wait("tick", 2.0)
        answered = get(server.port, "/").text == "hello"
        ticks = seen.events.count("tick")
        server.stop(15.0)
    began = "begun with the application" if "began" in seen else "never begun"
    ran = "runs beside requests" if ticks and answered else "does not run"
    ended = "cancelled at the end" if seen.wait("cancelled", 1.0) else "not ended"
    return as_seen(f"{began}, {ran}, {ended}")


def stop(server: Live, bound_s: float = 15.0) -> tuple[float | None, str]:
    """Stop it: the seconds that it took, if it stopped, and how it went."""
    try:
        took_s = server.stop(bound_s)
    except Exception as error:
        return None, f"the stop raises {type(error).__name__}"
    return took_s, "the stop hangs" if took_s is None else "the stop is clean"


async def fail() -> None:
    await asyncio.sleep(0.05)
    seen("raised")
    raise RuntimeError("the task is broken")


@variants("task-raises", apps.adding(TASKS), bound_s=30)
def ask_raising(application: Build) -> Answer:
    records = logged(logging.ERROR)
    with serve(application(fail)) as server:
        seen.wait("raised")
        try:
            served = get(server.port, "/").text == "hello"
        except (NoAnswer, OSError):
            served = False
        at_once = len(records)
        _, how = stop(server)
    gc.collect()
    when = "said at once" if at_once else "said at the end" if records else "never said"
    on = "requests go on" if served else "requests stop"
    evidence = f"errors in the log: {at_once} before the stop, {len(records)} in all"
    return Answer(f"{on}, {when}, {how}", f"{evidence}, by {loggers(records)}")


WATCHED_S = 12.0
"""Longer than any bound that the frameworks set by default here."""

WAIT_1 = {"asyncio.wait(…, timeout=1)": partial(around, bound_s=1)}
BOUNDED = apps.adding({AIOHTTP: WAIT_1, QUART: WAIT_1})


@variants("task-ignores-cancellation", apps.adding(TASKS), bound_s=40)
@variants("task-ignores-cancellation", BOUNDED, bound_s=40)
def ask_ignoring(application: Build) -> Answer:
    async def stubborn() -> None:
        seen("began")
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen("ignored a cancellation")

    with serve(application(stubborn)) as server:
        seen.wait("began")
        took_s = server.stop(WATCHED_S)
    if took_s is None:
        return as_seen("the stop hangs", f"not stopped after {WATCHED_S:g} s")
    return as_seen(f"stopped after {round(took_s)} s", f"stopped after {took_s:.2f} s")


NAMES = ("first", "second", "third")
"""Of clean-ups, in the order in which they are registered. The second one is broken."""


async def clean(name: str, _: object = None) -> None:
    seen(name)
    if name == "second":
        raise RuntimeError("this clean-up is broken")


async def clean_after(name: str, _: object = None) -> AsyncGenerator[None, None]:
    yield
    await clean(name)


def register_all(register: Callable[..., None], hook: Callable[..., Any], app: App) -> None:
    for name in NAMES:
        register(app, partial(hook, name))


hooks = partial(register_all, apps.at_end, clean)
contexts = partial(register_all, apps.around_serving, clean_after)
LATER: apps.Adds = {
    AIOHTTP: {"on_cleanup": hooks, "cleanup_ctx": contexts},
    QUART: {"after_serving": hooks, "while_serving": contexts},
}


@variants("later-cleanups", apps.adding(LATER), bound_s=30)
def ask_later(application: Build) -> Answer:
    with serve(application()) as server:
        _, how = stop(server)
    raised = "the stop raises nothing" if how == "the stop is clean" else how
    skipped = [name for name in NAMES if name not in seen]
    skips = f"{' and '.join(skipped)} skipped" if skipped else "none skipped"
    return as_seen(f"{skips}, {raised}")


LONG_S = 4.0
WAIT, BLOCK = partial(asyncio.sleep, LONG_S), apps.asynchronous(partial(time.sleep, LONG_S))
SHORT, BLOCKS = "shutdown_timeout=1", "shutdown_timeout=1, it blocks the loop"


@experiment("blocking-cleanup", QUART, DEFAULT, apps.AWAITING[QUART], WAIT)
@experiments("blocking-cleanup", apps.AWAITING, {SHORT: WAIT, BLOCKS: BLOCK}, shutdown_timeout=1)
def ask_slow(awaiting: Build, slow: Callable[[], Awaitable[None]], **options: float) -> Answer:
    async def clean(_: object = None) -> None:
        await slow()
        seen("done")

    app = awaiting(apps.hello)
    apps.at_end(app, clean)
    with serve(app, **options) as server:
        took_s, how = stop(server, 3 * LONG_S)
    done = "finished" if "done" in seen else "cut off"
    took = "not stopped" if took_s is None else f"stopped after {took_s:.2f} s"
    return Answer(f"{done}, {how}", f"a clean-up of {LONG_S:g} s was {done}; {took}")
