"""A start-up hook that fails, after another one that did not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

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
from loopbench.loadtests.behaviour.starting.ports import (
    aiohttp_app,
    get,
    quart_app,
    start_aiohttp,
    start_hypercorn,
)
from loopbench.loadtests.services.free_port import free_port


class Broken(Exception):
    """What the second hook raises."""


def signals(app: web.Application, seen: Seen) -> None:
    async def first(_: web.Application) -> None:
        seen("started first")

    async def second(_: web.Application) -> None:
        raise Broken("the start-up is broken")

    async def clean(_: web.Application) -> None:
        seen("cleaned first")

    app.on_startup.extend([first, second])
    app.on_cleanup.append(clean)


def cleanup_ctx(app: web.Application, seen: Seen) -> None:
    async def first(_: web.Application) -> AsyncGenerator[None, None]:
        seen("started first")
        yield
        seen("cleaned first")

    async def second(_: web.Application) -> AsyncGenerator[None, None]:
        raise Broken("the start-up is broken")
        yield

    app.cleanup_ctx.extend([first, second])


def serving_hooks(app: Quart, seen: Seen) -> None:
    @app.before_serving
    async def first() -> None:
        seen("started first")

    @app.before_serving
    async def second() -> None:
        raise Broken("the start-up is broken")

    @app.after_serving
    async def clean() -> None:
        seen("cleaned first")


def while_serving(app: Quart, seen: Seen) -> None:
    @app.while_serving
    async def first() -> AsyncGenerator[None, None]:
        seen("started first")
        yield
        seen("cleaned first")

    @app.while_serving
    async def second() -> AsyncGenerator[None, None]:
        raise Broken("the start-up is broken")
        yield


def on_aiohttp(hooks: Callable[[web.Application, Seen], None], *, cleanup: bool = False) -> Answer:
    async def start(port: int, seen: Seen) -> None:
        app = aiohttp_app("hello")
        hooks(app, seen)
        if not cleanup:
            await start_aiohttp(app, port)
            return
        runner = web.AppRunner(app)
        try:
            await runner.setup()
        finally:
            await runner.cleanup()

    return asyncio.run(_ask(start))


def on_quart(hooks: Callable[[Quart, Seen], None]) -> Answer:
    async def start(port: int, seen: Seen) -> None:
        app = quart_app("hello")
        hooks(app, seen)
        started = await start_hypercorn(app, port)
        await asyncio.sleep(0.5)  # the start-up runs in the task
        await started.stop()

    return asyncio.run(_ask(start))


async def _ask(start: Callable[[int, Seen], Awaitable[None]]) -> Answer:
    seen, port = Seen(), free_port()
    raised = "nothing raised"
    try:
        async with asyncio.timeout(10):
            await start(port, seen)
    except BaseException as error:
        raised = f"raises {type(error).__name__}"
    cleaned = (
        "the first is cleaned up" if "cleaned first" in seen else "the first is not cleaned up"
    )
    serves = await asyncio.to_thread(get, port, 0.0)
    served = "it serves all the same" if serves else "it does not serve"
    return Answer(
        f"{raised}, {cleaned}, {served}", f"{raised}; {cleaned}; {served}; seen: {seen.events}"
    )


QUESTION = Question(
    asks="What happens when a start-up hook fails: what is raised, and what is cleaned up?",
    experiments=(
        Experiment("aiohttp", "on_startup and on_cleanup", lambda: on_aiohttp(signals)),
        Experiment("aiohttp", "cleanup_ctx", lambda: on_aiohttp(cleanup_ctx)),
        Experiment(
            "aiohttp",
            "on_startup and on_cleanup, runner.cleanup() in finally",
            lambda: on_aiohttp(signals, cleanup=True),
        ),
        Experiment(
            "aiohttp",
            "cleanup_ctx, runner.cleanup() in finally",
            lambda: on_aiohttp(cleanup_ctx, cleanup=True),
        ),
        Experiment(
            "quart-hypercorn", "before_serving and after_serving", lambda: on_quart(serving_hooks)
        ),
        Experiment("quart-hypercorn", "while_serving", lambda: on_quart(while_serving)),
    ),
    claims=(
        Claim(
            "A failing start-up cleans up what had started.",
            {"*the first is cleaned up*": Agrees.YES, "*is not cleaned up*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*is not cleaned up*": "What the earlier hooks opened stays open: clean up in a `finally` "
        "around the start, or let every hook undo itself.",
        "*it serves all the same": "The failure does not stop the server: check at start-up that "
        "it is healthy.",
    },
)
