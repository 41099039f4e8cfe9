"""Servers begun by hand in a loop of one's own: several, again on a port, with early clients, with
hooks that fail, on a port in use; and what the all-in-one runners do at their end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from functools import partial
from subprocess import PIPE, STDOUT
from typing import Any

import hypercorn.asyncio
from aiohttp import web
from hypercorn.config import Config
from quart import Quart

from loopbench.loadtests.behaviour.applications import called, each
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework import raw_client
from loopbench.loadtests.behaviour.framework.events import noting
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, Live, serve
from loopbench.loadtests.behaviour.talking import Seen
from loopbench.loadtests.services.free_port import free_port


def get(port: int, bound_s: float = 5.0) -> str | None:
    """The text of GET /; None where nobody listens. Tried again for a while, since a server that
    is started in a task does not listen at once."""
    until = time.monotonic() + bound_s
    while True:
        try:
            return raw_client.get(port, "/").text
        except ConnectionRefusedError:
            if time.monotonic() > until:
                return None
            time.sleep(0.02)


Stop = Callable[[], Awaitable[None]]
"""Stops a server that runs in this loop."""


async def start(app: App, port: int) -> Stop:
    """As the documentation of aiohttp and Hypercorn shows it."""
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner.cleanup
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    stopping = asyncio.Event()
    running = hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait)
    serving = asyncio.create_task(running)

    async def stop() -> None:
        stopping.set()
        await serving

    return stop


SAYING = each(lambda answers, text="hello": answers({"/": partial(called, lambda: text)}))
"""GET / answers that text."""

TIMES = 3


async def _several(saying: Build) -> Answer:
    ports = [free_port() for _ in range(TIMES)]
    stops = [await start(saying(f"server {n}"), port) for n, port in enumerate(ports)]
    together = [await asyncio.to_thread(get, port) for port in ports]
    await stops[0]()
    rest = [await asyncio.to_thread(get, port) for port in ports[1:]]
    gone = await asyncio.to_thread(get, ports[0], 0.0)
    for stop in stops[1:]:
        await stop()
    served = [f"server {n}" for n in range(TIMES)]
    all_serve = "all serve" if together == served else "not all serve"
    still = "the rest serve" if rest == served[1:] else "the rest are gone"
    return Answer(
        f"{all_serve}, after stopping one {still}",
        f"answers: {together}; after the first was stopped: {[gone, *rest]}",
    )


async def _again(saying: Build) -> Answer:
    """The client's connection is closed by the server, which leaves it in TIME_WAIT there."""
    port = free_port()
    answers = []
    for n in range(TIMES):
        try:
            stop = await start(saying(f"start {n}"), port)
            answers.append(await asyncio.to_thread(get, port))
        except OSError as error:
            return Answer(f"{type(error).__name__} at start {n}", f"{error}")
        with raw_client.Wire(port) as wire:
            await asyncio.to_thread(wire.ask, "GET", "/")
            await stop()
    served = answers == [f"start {n}" for n in range(TIMES)]
    return Answer(
        "serves again at once" if served else "does not serve again", f"the answers: {answers}"
    )


@experiments("several-servers", SAYING, (), _several)
@experiments("same-port-again", SAYING, (), _again)
def ask_on_loop(saying: Build, measure: Callable[[Build], Coroutine[Any, Any, Answer]]) -> Answer:
    return asyncio.run(measure(saying))


HOOK_S = 0.5


def _client(port: int, seen: Seen, refused: list[bool]) -> None:
    """Comes in the middle of the hook, then waits until it is answered."""
    seen.wait("hook begun")
    refused.append(get(port, 0.0) is None)
    if get(port) is not None:
        seen("answered")


STARTING: dict[str, Callable[[Any, Callable[..., Any]], object]] = {
    AIOHTTP: lambda app, hook: app.on_startup.append(hook),
    QUART: lambda app, hook: app.before_serving(hook),
}


@experiment("first-answer", AIOHTTP, DEFAULT, AIOHTTP)
@experiment("first-answer", QUART, DEFAULT, QUART)
def ask_early(stack: str) -> Answer:
    seen, port = Seen(), free_port()

    async def hook(*_: object) -> None:
        seen("hook begun")
        await asyncio.sleep(HOOK_S)
        seen("hook done")

    async def serve_once() -> None:
        stop = await start(app, port)
        await asyncio.to_thread(seen.wait, "answered")
        await stop()

    app = SAYING[stack]()
    STARTING[stack](app, hook)
    refused: list[bool] = []
    client = threading.Thread(target=_client, args=(port, seen, refused))
    client.start()
    asyncio.run(serve_once())
    client.join()
    early = "refused meanwhile" if refused[0] else "accepted meanwhile"
    late = seen.events.index("answered") > seen.events.index("hook done")
    order = "answered after the hook" if late else "answered before the hook has ended"
    return Answer(f"{early}, {order}", f"a client in the middle of the hook: {early}; {order}")


REQUESTS = 10


def _accepted(live: Live) -> list[socket.socket]:
    """The server's own sockets of accepted connections, found among the process's objects."""

    async def look() -> list[Any]:
        loop = asyncio.get_running_loop()
        transports = getattr(loop, "_transports", {})
        return [one.get_extra_info("socket") for one in list(transports.values())]

    found = [one for one in live.call(look()) if one is not None]
    return [one for one in found if one.getsockname()[1] == live.port]


@experiments("small-answer-delay", SAYING)
def ask_delay(application: Build) -> Answer:
    """Read the option from the live socket; the times are evidence only."""
    with serve(application()) as server, raw_client.Wire(server.port) as wire:
        times = [wire.ask("GET", "/").took_s * 1000 for _ in range(REQUESTS)]
        options = {
            bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            for one in _accepted(server)
        }
    if len(options) != 1:
        raise LookupError(f"no accepted connection could be read, or they differ: {options}")
    answer = "TCP_NODELAY on" if options.pop() else "TCP_NODELAY off"
    return Answer(
        answer,
        f"{answer}; the median of {REQUESTS} answers on one connection took "
        f"{statistics.median(times):.1f} ms",
    )


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


async def start_and_stop(app: App, port: int) -> None:
    stop = await start(app, port)
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
    begin: Callable[[Any, int], Awaitable[None]] = start_and_stop,
) -> Answer:
    """Start with hooks of which the second raises, and see what is raised, cleaned and served."""
    seen, port, app = Seen(), free_port(), SAYING[stack]()
    hooks(app, seen)

    async def ask() -> tuple[str, bool]:
        raised = "nothing raised"
        try:
            async with asyncio.timeout(10):
                await begin(app, port)
        except BaseException as error:
            raised = f"raises {type(error).__name__}"
        return raised, await asyncio.to_thread(get, port, 0.0) is not None

    raised, serves = asyncio.run(ask())
    cleaned = f"the first is {'' if CLEANED in seen else 'not '}cleaned up"
    served = "it serves all the same" if serves else "it does not serve"
    return Answer(
        f"{raised}, {cleaned}, {served}", f"{raised}; {cleaned}; {served}; seen: {seen.events}"
    )


async def aiohttp_taken(port: int, seen: Seen, cleanup: bool = False) -> None:
    app = SAYING[AIOHTTP]()
    app.cleanup_ctx.append(partial(around, seen))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    finally:
        if cleanup:
            await runner.cleanup()


async def quart_taken(port: int, seen: Seen) -> None:
    app = SAYING[QUART]()
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
def ask_taken(call: str, begin: Callable[..., Coroutine[Any, Any, None]], *cleanup: bool) -> Answer:
    seen, what = Seen(), f"{call} raised nothing"
    told = what
    with socket.create_server(("127.0.0.1", 0)) as taken:
        try:
            asyncio.run(begin(taken.getsockname()[1], seen, *cleanup))
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
        text = get(port, 15.0)
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
