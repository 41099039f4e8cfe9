"""Starts that fail, by a hook or a port in use, and what the all-in-one runners do at their end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from quart import Quart

from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
from loopbench.loadtests.behaviour.starting import ports
from loopbench.loadtests.behaviour.talking import Seen
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


FINALLY = ", runner.cleanup() in finally"
SIGNALS = "on_startup and on_cleanup"
failing = partial(experiment, "failing-startup-hook")


async def on_aiohttp(
    hooks: Callable[[web.Application, Seen], None], seen: Seen, port: int, *, cleanup: bool = False
) -> None:
    app = ports.aiohttp_saying()
    hooks(app, seen)
    if not cleanup:
        await ports.start(app, port)
        return
    runner = web.AppRunner(app)
    try:
        await runner.setup()
    finally:
        await runner.cleanup()


async def on_quart(hooks: Callable[[Quart, Seen], None], seen: Seen, port: int) -> None:
    app = ports.quart_saying()
    hooks(app, seen)
    started = await ports.start(app, port)
    await asyncio.sleep(0.5)  # the start-up runs in the task
    await started.stop()


@failing(AIOHTTP, SIGNALS, on_aiohttp, signals)
@failing(AIOHTTP, "cleanup_ctx", on_aiohttp, cleanup_ctx)
@failing(AIOHTTP, f"{SIGNALS}{FINALLY}", on_aiohttp, signals, cleanup=True)
@failing(AIOHTTP, f"cleanup_ctx{FINALLY}", on_aiohttp, cleanup_ctx, cleanup=True)
@failing(QUART, "before_serving and after_serving", on_quart, serving_hooks)
@failing(QUART, "while_serving", on_quart, while_serving)
def ask_failing(start: Callable[..., Awaitable[None]], *hooks: Any, **cleanup: bool) -> Answer:
    """Start with hooks of which the second raises, and see what is raised, cleaned and served."""
    return asyncio.run(_failing(start, *hooks, **cleanup))


async def _failing(start: Callable[..., Awaitable[None]], hooks: Any, **cleanup: bool) -> Answer:
    seen, port = Seen(), free_port()
    raised = "nothing raised"
    try:
        async with asyncio.timeout(10):
            await start(hooks, seen, port, **cleanup)
    except BaseException as error:
        raised = f"raises {type(error).__name__}"
    cleaned = f"the first is {'' if 'cleaned first' in seen else 'not '}cleaned up"
    serves = await asyncio.to_thread(ports.get, port, 0.0)
    served = "it serves all the same" if serves else "it does not serve"
    return Answer(
        f"{raised}, {cleaned}, {served}", f"{raised}; {cleaned}; {served}; seen: {seen.events}"
    )


def _taken(call: str, error: BaseException | None, seen: Seen) -> Answer:
    before = "start-up hooks had run" if "started" in seen else "no hook had run"
    after = "clean-up ran" if "cleaned" in seen else "clean-up did not run"
    if "started" not in seen:
        after = "nothing to clean up" if "cleaned" not in seen else after
    what = f"{type(error).__name__} from {call}" if error else f"{call} raised nothing"
    return Answer(f"{what}, {before}, {after}", f"{what} ({error}); {before}; {after}")


async def _taken_on_aiohttp(port: int, seen: Seen, cleanup: bool = False) -> Answer:
    app = ports.aiohttp_saying()

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
    return _taken(call, error, seen)


async def _taken_on_quart(port: int, seen: Seen) -> Answer:
    app = ports.quart_saying()

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
    return _taken("hypercorn.asyncio.serve", error, seen)


@experiment("port-in-use", AIOHTTP, DEFAULT, _taken_on_aiohttp)
@experiment("port-in-use", AIOHTTP, "runner.cleanup() in finally", _taken_on_aiohttp, True)
@experiment("port-in-use", QUART, DEFAULT, _taken_on_quart)
def ask_taken(start: Callable[..., Coroutine[Any, Any, Answer]], *cleanup: bool) -> Answer:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return asyncio.run(start(taken.getsockname()[1], Seen(), *cleanup))


RUN_APP = """
import asyncio, os, sys
from aiohttp import web
async def hello(request):
    loop = asyncio.get_running_loop()
    facts = {"pid": os.getpid(), "loop": type(loop).__name__, "debug": loop.get_debug()}
    return web.json_response(facts)
async def bye(app):
    print("cleaned up", flush=True)
app = web.Application()
app.router.add_get("/", hello)
app.on_cleanup.append(bye)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""

APP_RUN = """
import asyncio, os, sys
from quart import Quart
app = Quart("app")
@app.get("/")
async def hello():
    loop = asyncio.get_running_loop()
    return {"pid": os.getpid(), "loop": type(loop).__name__, "debug": loop.get_debug()}
@app.after_serving
async def bye():
    print("cleaned up", flush=True)
app.run(host="127.0.0.1", port=int(sys.argv[1]))
"""


runner = partial(experiment, "all-in-one-runner", bound_s=60)


@runner(AIOHTTP, "web.run_app, SIGTERM", RUN_APP, signal.SIGTERM)
@runner(AIOHTTP, "web.run_app, SIGINT", RUN_APP, signal.SIGINT)
@runner(QUART, "app.run, SIGTERM", APP_RUN, signal.SIGTERM)
@runner(QUART, "app.run, SIGINT", APP_RUN, signal.SIGINT)
def ask_runner(code: str, number: signal.Signals) -> Answer:
    """Run it as a program of its own, ask it once, and send it a signal."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        text = ports.get(port, 15.0)
        began = time.perf_counter()
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        took_s = time.perf_counter() - began
    if text is None:
        raise ConnectionError(f"it never answered: {output[-300:]}")
    facts = json.loads(text)
    if facts.pop("pid") != process.pid:
        raise ConnectionError(f"another server answered on port {port}: {text}")
    cleaned = "cleans up" if "cleaned up" in output else "does not clean up"
    status = process.returncode
    how = "exit status 0" if status == 0 else f"exit status {status}"
    logs = "logs requests" if "GET / " in output else "logs no requests"
    return Answer(
        f"{cleaned}, {how}, {logs}",
        f"it answered {json.dumps(facts)}; {number.name} ended it after {took_s:.2f} s with {how}; "
        f"its output: {' | '.join(output.split(chr(10)))[:300]!r}",
    )
