"""Clean-ups of an application: one of several that raises, and one that takes long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.tasks import aiohttp_app, quart_app
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.experiment import Variants, experiment, variants
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.servers import App, serve

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"


def _clean(seen: Seen, name: str) -> None:
    """The second of three is broken."""
    seen(name)
    if name == "second":
        raise RuntimeError("this clean-up is broken")


NAMES = ("first", "second", "third")
"""In the order in which they are registered."""


def on_cleanup(seen: Seen) -> web.Application:
    def named(name: str) -> Any:
        async def clean(_: web.Application) -> None:
            _clean(seen, name)

        return clean

    app = aiohttp_app()
    app.on_cleanup.extend(named(name) for name in NAMES)
    return app


def cleanup_ctx(seen: Seen) -> web.Application:
    def named(name: str) -> Any:
        async def around(_: web.Application) -> AsyncGenerator[None, None]:
            yield
            _clean(seen, name)

        return around

    app = aiohttp_app()
    app.cleanup_ctx.extend(named(name) for name in NAMES)
    return app


def after_serving(seen: Seen) -> Quart:
    def named(name: str) -> Any:
        async def clean() -> None:
            _clean(seen, name)

        return clean

    app = quart_app()
    for name in NAMES:
        app.after_serving(named(name))
    return app


def while_serving(seen: Seen) -> Quart:
    def named(name: str) -> Any:
        async def around() -> AsyncGenerator[None, None]:
            yield
            _clean(seen, name)

        return around

    app = quart_app()
    for name in NAMES:
        app.while_serving(named(name))
    return app


CLEANING: Variants = {
    AIOHTTP: {"on_cleanup": on_cleanup, "cleanup_ctx": cleanup_ctx},
    QUART: {"after_serving": after_serving, "while_serving": while_serving},
}


@variants("later-cleanups", CLEANING, bound_s=30)
def ask_later(application: Callable[[Seen], App]) -> Answer:
    seen = Seen()
    with serve(application(seen)) as server:
        try:
            stopped = server.stop(15.0)
        except BaseException as error:
            raised = f"the stop raises {type(error).__name__}"
        else:
            raised = "the stop hangs" if stopped is None else "the stop raises nothing"
    ran = seen.events
    skipped = [name for name in NAMES if name not in ran]
    told = f"{' and '.join(skipped)} skipped" if skipped else "none skipped"
    return Answer(
        f"{told}, {raised}", f"they ran in the order {', '.join(ran)}; the second raised; {raised}"
    )


LONG_S = 4.0


def aiohttp_slow(seen: Seen, awaits: bool = True) -> web.Application:
    async def slow(_: web.Application) -> None:
        await _take_long(seen, awaits)

    app = aiohttp_app()
    app.on_cleanup.append(slow)
    return app


def quart_slow(seen: Seen, awaits: bool = True) -> Quart:
    app = quart_app()

    @app.after_serving
    async def slow() -> None:
        await _take_long(seen, awaits)

    return app


async def _take_long(seen: Seen, awaits: bool) -> None:
    seen("began")
    if awaits:
        await asyncio.sleep(LONG_S)
    else:
        time.sleep(LONG_S)  # noqa: ASYNC251  that is the question
    seen("done")


SHORT, BLOCKS = "shutdown_timeout=1", "shutdown_timeout=1, it blocks the loop"
AIOHTTP_BLOCKING = partial(aiohttp_slow, awaits=False)
QUART_BLOCKING = partial(quart_slow, awaits=False)


@experiment("blocking-cleanup", AIOHTTP, SHORT, aiohttp_slow, shutdown_timeout=1)
@experiment("blocking-cleanup", AIOHTTP, BLOCKS, AIOHTTP_BLOCKING, shutdown_timeout=1)
@experiment("blocking-cleanup", QUART, "default", quart_slow)
@experiment("blocking-cleanup", QUART, SHORT, quart_slow, shutdown_timeout=1)
@experiment("blocking-cleanup", QUART, BLOCKS, QUART_BLOCKING, shutdown_timeout=1)
def ask_slow(application: Callable[[Seen], App], **options: float) -> Answer:
    seen = Seen()
    with serve(application(seen), **options) as server:
        try:
            took_s = server.stop(3 * LONG_S)
            how = "the stop hangs" if took_s is None else "the stop is clean"
        except Exception as error:
            took_s, how = None, f"the stop raises {type(error).__name__}"
    done = "finished" if "done" in seen else "cut off"
    said = "" if took_s is None else f" after {took_s:.2f} s"
    return Answer(f"{done}, {how}", f"a clean-up of {LONG_S:g} s was {done}; {how}{said}")
