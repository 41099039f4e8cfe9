"""Tasks that begin and end with an application: beside requests, raising, and not to be ended."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import experiment, variants
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, get
from loopbench.loadtests.behaviour.framework.servers import App, serve

Work = Callable[[], Coroutine[Any, Any, None]]
"""What the task does. It may run for ever: it is cancelled at the end."""


def aiohttp_app() -> web.Application:
    """Answers GET /."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    return app


def quart_app() -> Quart:
    """Answers GET /."""
    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        return "hello"

    return app


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def cleanup_ctx(work: Work) -> web.Application:
    """aiohttp: one function before and after, with a yield between."""
    app = aiohttp_app()

    async def beside(_: web.Application) -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work())
        yield
        await _ended(task)

    app.cleanup_ctx.append(beside)
    return app


def signals(work: Work) -> web.Application:
    """aiohttp: a pair of signals."""
    app = aiohttp_app()
    key = web.AppKey("task", asyncio.Task[None])

    async def start(app: web.Application) -> None:
        app[key] = asyncio.create_task(work())

    async def stop(app: web.Application) -> None:
        await _ended(app[key])

    app.on_startup.append(start)
    app.on_cleanup.append(stop)
    return app


def while_serving(work: Work) -> Quart:
    """Quart: one function before and after, with a yield between."""
    app = quart_app()

    @app.while_serving
    async def beside() -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work())
        yield
        await _ended(task)

    return app


def before_and_after_serving(work: Work) -> Quart:
    """Quart: a pair of functions."""
    app = quart_app()
    tasks: list[asyncio.Task[None]] = []

    @app.before_serving
    async def start() -> None:
        tasks.append(asyncio.create_task(work()))

    @app.after_serving
    async def stop() -> None:
        await _ended(tasks[0])

    return app


def add_background_task(work: Work) -> Quart:
    """Quart: handed over to the application, which knows it from then on."""
    app = quart_app()

    @app.before_serving
    async def start() -> None:
        app.add_background_task(work)

    return app


WITH_AIOHTTP: dict[str, Callable[[Work], App]] = {
    "cleanup_ctx": cleanup_ctx,
    "on_startup and on_cleanup": signals,
}
WITH_QUART: dict[str, Callable[[Work], App]] = {
    "while_serving": while_serving,
    "before_serving and after_serving": before_and_after_serving,
    "app.add_background_task": add_background_task,
}
TASKS = {"aiohttp": WITH_AIOHTTP, "quart-hypercorn": WITH_QUART}


def ticking(seen: Seen) -> Work:
    """Ticks until it is cancelled."""

    async def tick() -> None:
        seen("began")
        try:
            while True:
                await asyncio.sleep(0.01)
                seen("tick")
        except asyncio.CancelledError:
            seen("cancelled")
            raise

    return tick


@variants("task-beside-requests", TASKS, bound_s=30)
def ask_beside(application: Callable[[Work], App]) -> Answer:
    seen = Seen()
    with serve(application(ticking(seen))) as server:
        seen.wait("tick", 2.0)
        answered = get(server.port, "/").text == "hello"
        ticks = seen.events.count("tick")
        get(server.port, "/")
        server.stop(15.0)
    began = "begun with the application" if "began" in seen else "never begun"
    ran = "runs beside requests" if ticks and answered else "does not run"
    ended = "cancelled at the end" if seen.wait("cancelled", 1.0) else "not ended"
    return Answer(
        f"{began}, {ran}, {ended}",
        f"it ticked {'before and after a request' if ticks else 'never'}; "
        f"its last events were {', '.join(seen.events[-2:])}",
    )


class _Errors(logging.Handler):
    """Notes by which logger an error is said."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.name)


def loggers(said: list[str]) -> str:
    """The loggers' names; Quart's own has that of the application's module."""
    named = ("the application's logger" if "behaviour" in name else name for name in said)
    return " and ".join(dict.fromkeys(named)) or "nobody"


@contextmanager
def listening() -> Iterator[list[str]]:
    """The names of the loggers that say something at the level of an error meanwhile."""
    said: list[str] = []
    handler = _Errors(said)
    logging.getLogger().addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(handler)


def failing(seen: Seen) -> Work:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        seen("raised")
        raise RuntimeError("the task is broken")

    return fail


@variants("task-raises", TASKS, bound_s=30)
def ask_raising(application: Callable[[Work], App]) -> Answer:
    seen = Seen()
    with listening() as said:
        with serve(application(failing(seen))) as server:
            seen.wait("raised")
            try:
                served = get(server.port, "/").text == "hello"
            except (NoAnswer, OSError):
                served = False
            at_once = len(said)
            try:
                stop = "the stop is clean" if server.stop(15.0) is not None else "the stop hangs"
            except Exception as error:
                stop = f"the stop raises {type(error).__name__}"
        gc.collect()
    when = "said at once" if at_once else "said at the end" if said else "never said"
    requests = "requests go on" if served else "requests stop"
    return Answer(
        f"{requests}, {when}, {stop}",
        f"errors in the log: {at_once} before the stop, {len(said)} in all, by {loggers(said)}; "
        f"{stop}",
    )


WATCHED_S = 12.0
"""Longer than any bound that the frameworks set by default here."""


def ignoring(seen: Seen) -> Work:
    async def stubborn() -> None:
        seen("began")
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen("ignored a cancellation")

    return stubborn


async def bounded(task: asyncio.Task[None]) -> None:
    """The remedy: wait for the task's end, but not for ever."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait({task}, timeout=1)


def aiohttp_bounded(work: Work) -> web.Application:
    app = aiohttp_app()

    async def beside(_: object) -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work())
        yield
        await bounded(task)

    app.cleanup_ctx.append(beside)
    return app


def quart_bounded(work: Work) -> Quart:
    app = quart_app()

    @app.while_serving
    async def beside() -> AsyncGenerator[None, None]:
        task = asyncio.create_task(work())
        yield
        await bounded(task)

    return app


IGNORING = "task-ignores-cancellation"


@variants(IGNORING, TASKS, bound_s=40)
@experiment(IGNORING, "aiohttp", "asyncio.wait(…, timeout=1)", aiohttp_bounded, bound_s=40)
@experiment(IGNORING, "quart-hypercorn", "asyncio.wait(…, timeout=1)", quart_bounded, bound_s=40)
def ask_ignoring(application: Callable[[Work], App]) -> Answer:
    seen = Seen()
    with serve(application(ignoring(seen))) as server:
        seen.wait("began")
        took_s = server.stop(WATCHED_S)
    ignored = seen.events.count("ignored a cancellation")
    said = f"cancelled {ignored} times" if ignored != 1 else "cancelled once"
    if took_s is None:
        return Answer("the stop hangs", f"{said}; not stopped after {WATCHED_S:g} s")
    return Answer(f"stopped after {round(took_s)} s", f"{said}; stopped after {took_s:.2f} s")
