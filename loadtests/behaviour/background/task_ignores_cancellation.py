"""A task beside the requests that does not end when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial

from loopbench.loadtests.behaviour.background.tasks import (
    AIOHTTP,
    QUART,
    Work,
    aiohttp_app,
    quart_app,
)
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

WATCHED_S = 12.0
"""Longer than any bound that the frameworks set by default here."""


def work(seen: Seen) -> Work:
    async def stubborn() -> None:
        seen("began")
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen("ignored a cancellation")

    return stubborn


def _ask(begin: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    seen = Seen()
    with begin(seen) as server:
        seen.wait("began")
        took_s = server.stop(WATCHED_S)
    ignored = seen.events.count("ignored a cancellation")
    said = f"cancelled {ignored} times" if ignored != 1 else "cancelled once"
    if took_s is None:
        return Answer("the stop hangs", f"{said}; not stopped after {WATCHED_S:g} s")
    return Answer(f"stopped after {round(took_s)} s", f"{said}; stopped after {took_s:.2f} s")


def on_aiohttp(setting: str) -> Answer:
    return _ask(lambda seen: aiohttp_server(AIOHTTP[setting](work(seen))))


def on_quart(setting: str) -> Answer:
    return _ask(lambda seen: hypercorn_server(QUART[setting](work(seen))))


async def bounded(task: asyncio.Task[None]) -> None:
    """The remedy: wait for the task's end, but not for ever."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait({task}, timeout=1)


def bounded_on_aiohttp() -> Answer:
    def begin(seen: Seen) -> AbstractContextManager[Live]:
        app = aiohttp_app()

        async def beside(_: object) -> AsyncGenerator[None, None]:
            task = asyncio.create_task(work(seen)())
            yield
            await bounded(task)

        app.cleanup_ctx.append(beside)
        return aiohttp_server(app)

    return _ask(begin)


def bounded_on_quart() -> Answer:
    def begin(seen: Seen) -> AbstractContextManager[Live]:
        app = quart_app()

        @app.while_serving
        async def beside() -> AsyncGenerator[None, None]:
            task = asyncio.create_task(work(seen)())
            yield
            await bounded(task)

        return hypercorn_server(app)

    return _ask(begin)


QUESTION = Question(
    asks="Does the server stop when a task beside the requests ignores its cancellation?",
    experiments=(
        *(
            Experiment("aiohttp", setting, partial(on_aiohttp, setting), bound_s=40)
            for setting in AIOHTTP
        ),
        Experiment("aiohttp", "asyncio.wait(…, timeout=1)", bounded_on_aiohttp, bound_s=40),
        *(
            Experiment("quart-hypercorn", setting, partial(on_quart, setting), bound_s=40)
            for setting in QUART
        ),
        Experiment("quart-hypercorn", "asyncio.wait(…, timeout=1)", bounded_on_quart, bound_s=40),
    ),
    follows={
        "the stop hangs": "Wait for a task that you cancel with a bound: "
        "`asyncio.wait({task}, timeout=…)`.",
    },
)
