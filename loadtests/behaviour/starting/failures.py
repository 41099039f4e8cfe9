"""Starts that fail, by a hook or a port in use, and what the all-in-one runners do at their end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from subprocess import PIPE, STDOUT
from typing import Any

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from quart import Quart

from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment
from loopbench.loadtests.behaviour.framework.events import noting
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App
from loopbench.loadtests.behaviour.starting import ports
from loopbench.loadtests.behaviour.talking import Seen
from loopbench.loadtests.services.free_port import free_port


class Broken(Exception):
    """What the second hook raises."""


STARTED, CLEANED = "started first", "cleaned first"


async def broken(*_: object) -> None:
    raise Broken("the start-up is broken")


async def around(seen: Seen, *_: object) -> AsyncGenerator[None, None]:
    """Before the yield it starts, behind it it cleans up."""
    seen(STARTED)
    yield
    seen(CLEANED)


async def broken_around(*_: object) -> AsyncGenerator[None, None]:
    await broken()
    yield


def signals(app: web.Application, seen: Seen) -> None:
    app.on_startup.extend([noting(seen, STARTED), broken])
    app.on_cleanup.append(noting(seen, CLEANED))


def cleanup_ctx(app: web.Application, seen: Seen) -> None:
    app.cleanup_ctx.extend([partial(around, seen), broken_around])


def serving_hooks(app: Quart, seen: Seen) -> None:
    app.before_serving(noting(seen, STARTED))
    app.before_serving(broken)
    app.after_serving(noting(seen, CLEANED))


def while_serving(app: Quart, seen: Seen) -> None:
    app.while_serving(partial(around, seen))
    app.while_serving(broken_around)


FINALLY = ", runner.cleanup() in finally"
SIGNALS = "on_startup and on_cleanup"
failing = partial(experiment, "failing-startup-hook")


async def start(app: App, port: int) -> None:
    stop = await ports.start(app, port)
    await asyncio.sleep(0.5)  # on Hypercorn the start-up runs in a task
    await stop()


async def start_and_clean(app: web.Application, _: int) -> None:
    runner = web.AppRunner(app)
    try:
        await runner.setup()
    finally:
        await runner.cleanup()


@failing(AIOHTTP, SIGNALS, AIOHTTP, signals)
@failing(AIOHTTP, "cleanup_ctx", AIOHTTP, cleanup_ctx)
@failing(AIOHTTP, f"{SIGNALS}{FINALLY}", AIOHTTP, signals, start_and_clean)
@failing(AIOHTTP, f"cleanup_ctx{FINALLY}", AIOHTTP, cleanup_ctx, start_and_clean)
@failing(QUART, "before_serving and after_serving", QUART, serving_hooks)
@failing(QUART, "while_serving", QUART, while_serving)
def ask_failing(
    stack: str,
    hooks: Callable[[Any, Seen], None],
    start: Callable[[Any, int], Awaitable[None]] = start,
) -> Answer:
    """Start with hooks of which the second raises, and see what is raised, cleaned and served."""
    seen, port, app = Seen(), free_port(), ports.saying(stack)
    hooks(app, seen)

    async def ask() -> tuple[str, bool]:
        raised = "nothing raised"
        try:
            async with asyncio.timeout(10):
                await start(app, port)
        except BaseException as error:
            raised = f"raises {type(error).__name__}"
        return raised, await asyncio.to_thread(ports.get, port, 0.0) is not None

    raised, serves = asyncio.run(ask())
    cleaned = f"the first is {'' if CLEANED in seen else 'not '}cleaned up"
    served = "it serves all the same" if serves else "it does not serve"
    return Answer(
        f"{raised}, {cleaned}, {served}", f"{raised}; {cleaned}; {served}; seen: {seen.events}"
    )


async def aiohttp_taken(port: int, seen: Seen, cleanup: bool = False) -> None:
    app = ports.saying(AIOHTTP)
    app.cleanup_ctx.append(partial(around, seen))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    finally:
        if cleanup:
            await runner.cleanup()


async def quart_taken(port: int, seen: Seen) -> None:
    app = ports.saying(QUART)
    app.before_serving(noting(seen, STARTED))
    app.after_serving(noting(seen, CLEANED))
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    async with asyncio.timeout(10):
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


SITE, SERVE = "TCPSite.start", "hypercorn.asyncio.serve"


@experiment("port-in-use", AIOHTTP, DEFAULT, SITE, aiohttp_taken)
@experiment("port-in-use", AIOHTTP, "runner.cleanup() in finally", SITE, aiohttp_taken, True)
@experiment("port-in-use", QUART, DEFAULT, SERVE, quart_taken)
def ask_taken(call: str, start: Callable[..., Coroutine[Any, Any, None]], *cleanup: bool) -> Answer:
    seen, what = Seen(), f"{call} raised nothing"
    told = what
    with socket.create_server(("127.0.0.1", 0)) as taken:
        try:
            asyncio.run(start(taken.getsockname()[1], seen, *cleanup))
        except (OSError, SystemExit) as error:
            what = f"{type(error).__name__} from {call}"
            told = f"{what} ({error})"
    before = "start-up hooks had run" if STARTED in seen else "no hook had run"
    after = "clean-up ran" if CLEANED in seen else "clean-up did not run"
    if not seen.events:
        after = "nothing to clean up"
    return Answer(f"{what}, {before}, {after}", f"{told}; {before}; {after}")


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
    command = [sys.executable, "-u", "-c", code, str(port)]
    with subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, text=True) as process:
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
    how = f"exit status {process.returncode}"
    logs = "logs requests" if "GET / " in output else "logs no requests"
    return Answer(
        f"{cleaned}, {how}, {logs}",
        f"it answered {json.dumps(facts)}; {number.name} ended it after {took_s:.2f} s with {how}; "
        f"its output: {' | '.join(output.split(chr(10)))[:300]!r}",
    )
