"""A port that somebody else listens on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from functools import partial

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.starting.ports import aiohttp_app, quart_app


def _answer(call: str, error: BaseException | None, seen: Seen) -> Answer:
    before = "start-up hooks had run" if "started" in seen else "no hook had run"
    after = "clean-up ran" if "cleaned" in seen else "clean-up did not run"
    if "started" not in seen:
        after = "nothing to clean up" if "cleaned" not in seen else after
    what = f"{type(error).__name__} from {call}" if error else f"{call} raised nothing"
    return Answer(f"{what}, {before}, {after}", f"{what} ({error}); {before}; {after}")


async def _on_aiohttp(port: int, seen: Seen, cleanup: bool) -> Answer:
    app = aiohttp_app("hello")

    async def hooks(_: web.Application) -> AsyncGenerator[None, None]:
        seen("started")
        yield
        seen("cleaned")

    app.cleanup_ctx.append(hooks)
    runner = web.AppRunner(app)
    await runner.setup()
    call, error = "TCPSite.start", None
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as caught:
        error = caught
    if cleanup:
        await runner.cleanup()
    return _answer(call, error, seen)


async def _on_quart(port: int, seen: Seen) -> Answer:
    app = quart_app("hello")

    @app.before_serving
    async def start() -> None:
        seen("started")

    @app.after_serving
    async def clean() -> None:
        seen("cleaned")

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    error: BaseException | None = None
    try:
        async with asyncio.timeout(10):
            await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)
    except (OSError, SystemExit) as caught:
        error = caught
    await asyncio.sleep(0.1)
    return _answer("hypercorn.asyncio.serve", error, seen)


def on_aiohttp(cleanup: bool = False) -> Answer:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return asyncio.run(_on_aiohttp(taken.getsockname()[1], Seen(), cleanup))


def on_quart() -> Answer:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return asyncio.run(_on_quart(taken.getsockname()[1], Seen()))


QUESTION = Question(
    asks="What happens when the port is in use: which error, from which call, after what?",
    experiments=(
        Experiment("aiohttp", DEFAULT, on_aiohttp),
        Experiment("aiohttp", "runner.cleanup() in finally", partial(on_aiohttp, cleanup=True)),
        Experiment("quart-hypercorn", DEFAULT, on_quart),
    ),
    claims=(
        Claim(
            "A port in use is found before the application starts.",
            {"*no hook had run*": Agrees.YES, "*start-up hooks had run*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*start-up hooks had run, clean-up did not run": "Pools and tasks of the start-up are "
        "left behind: clean up in a `finally`, or bind the socket yourself before you start.",
        "*start-up hooks had run, clean-up ran": "Start-up is done and undone for nothing: bind "
        "the socket yourself first where it is dear.",
    },
)
