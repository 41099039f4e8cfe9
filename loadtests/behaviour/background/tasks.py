"""What the Questions about background tasks share: the ways to start one with an application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import web
from quart import Quart

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


AIOHTTP: dict[str, Callable[[Work], web.Application]] = {
    "cleanup_ctx": cleanup_ctx,
    "on_startup and on_cleanup": signals,
}
QUART: dict[str, Callable[[Work], Quart]] = {
    "while_serving": while_serving,
    "before_serving and after_serving": before_and_after_serving,
    "app.add_background_task": add_background_task,
}
