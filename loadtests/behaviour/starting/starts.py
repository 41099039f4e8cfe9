"""Servers begun by hand in a loop of one's own: several, again on a port, with early clients, with
hooks that fail, on a port in use; and what the all-in-one runners do at their end."""

import asyncio
import signal
import socket
import statistics
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

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, App, Build, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework import raw_client
from loopbench.loadtests.behaviour.talking import as_seen, noting, seen
from loopbench.loadtests.services.free_port import free_port

TIMES = 3
REQUESTS = 10
HOOK_S = 0.5
STARTED, CLEANED = "started first", "cleaned first"


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


async def start(app: App, port: int) -> Callable[[], Awaitable[None]]:
    """As the documentation of aiohttp and Hypercorn shows it; what it returns stops the server."""
    if isinstance(app, web.Application):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner.cleanup
    config, stopping = Config(), asyncio.Event()
    config.bind = [f"127.0.0.1:{port}"]
    running = hypercorn.asyncio.serve(app, config, shutdown_trigger=stopping.wait)
    serving = asyncio.create_task(running)

    async def stop() -> None:
        stopping.set()
        await serving

    return stop


SAYING = apps.each(lambda answers, text="hello": answers({"/": partial(apps.called, lambda: text)}))
"""GET / answers that text."""


async def ask(port: int, bound_s: float = 5.0) -> str | None:
    """The same on the servers' own loop."""
    return await asyncio.to_thread(get, port, bound_s)


async def _several(saying: Build) -> Answer:
    ports = [free_port() for _ in range(TIMES)]
    stops = [await start(saying(f"server {n}"), port) for n, port in enumerate(ports)]
    together = [await ask(port) for port in ports]
    await stops[0]()
    rest = [await ask(port, 5.0 * (port != ports[0])) for port in ports]
    for stop in stops[1:]:
        await stop()
    served = [f"server {n}" for n in range(TIMES)]
    all_serve = "all serve" if together == served else "not all serve"
    still = "the rest serve" if rest[1:] == served[1:] else "the rest are gone"
    evidence = f"answers: {together}; after the first was stopped: {rest}"
    return Answer(f"{all_serve}, after stopping one {still}", evidence)


async def _again(saying: Build) -> Answer:
    """The client's connection is closed by the server, which leaves it in TIME_WAIT there."""
    port = free_port()
    answers = []
    for n in range(TIMES):
        try:
            stop = await start(saying(f"start {n}"), port)
            answers.append(await ask(port))
        except OSError as error:
            return Answer(f"{type(error).__name__} at start {n}", f"{error}")
        with raw_client.Wire(port) as wire:
            await asyncio.to_thread(wire.ask, "GET", "/")
            await stop()
    again = answers == [f"start {n}" for n in range(TIMES)]
    words = "serves again at once" if again else "does not serve again"
    return Answer(words, f"the answers: {answers}")


@experiments("several-servers", SAYING, (), _several)
@experiments("same-port-again", SAYING, (), _again)
def ask_on_loop(saying: Build, measure: Callable[[Build], Coroutine[Any, Any, Answer]]) -> Answer:
    return asyncio.run(measure(saying))


@experiments("first-answer", SAYING)
def ask_early(saying: Build) -> Answer:
    """A client comes in the middle of a start-up hook, then waits until it is answered."""
    app, port = saying(), free_port()

    async def hook(*_: object) -> None:
        seen("hook begun")
        await asyncio.sleep(HOOK_S)
        seen("hook done")

    def client() -> None:
        seen.wait("hook begun")
        seen("refused" if get(port, 0.0) is None else "accepted")
        if get(port) is not None:
            seen("answered")

    async def serve_once() -> None:
        asking = asyncio.create_task(asyncio.to_thread(client))
        stop = await start(app, port)
        await asking
        await stop()

    apps.at_start(app, hook)
    asyncio.run(serve_once())
    early = "refused meanwhile" if "refused" in seen else "accepted meanwhile"
    late = seen.events.index("answered") > seen.events.index("hook done")
    order = "answered after the hook" if late else "answered before the hook has ended"
    return as_seen(f"{early}, {order}")


async def accepted(port: int) -> list[socket.socket]:
    """The server's own sockets of accepted connections, found among the loop's objects."""
    transports = list(getattr(asyncio.get_running_loop(), "_transports", {}).values())
    sockets = [transport.get_extra_info("socket") for transport in transports]
    return [
        connection
        for connection in sockets
        if connection is not None and connection.getsockname()[1] == port
    ]


@experiments("small-answer-delay", SAYING)
def ask_delay(application: Build) -> Answer:
    """Read the option from the live socket; the times are evidence only."""
    with serve(application()) as server, raw_client.Wire(server.port) as wire:
        times = [wire.ask("GET", "/").took_s * 1000 for _ in range(REQUESTS)]
        sockets = server.call(accepted(server.port))
        options = {
            connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for connection in sockets
        }
    if len(options) != 1:
        raise LookupError(f"no accepted connection could be read, or they differ: {options}")
    median_ms = statistics.median(times)
    evidence = f"the median of {REQUESTS} answers on one connection took {median_ms:.1f} ms"
    return Answer(f"TCP_NODELAY {'on' if options.pop() else 'off'}", evidence)


class Broken(Exception):
    """What the second hook raises."""


async def broken(*_: object) -> None:
    raise Broken("the start-up is broken")


async def around(*_: object) -> AsyncGenerator[None, None]:
    """Before the yield it starts, behind it it cleans up."""
    seen(STARTED)
    yield
    seen(CLEANED)


async def broken_around(*_: object) -> AsyncGenerator[None, None]:
    await broken()
    yield


def hooks(app: App) -> None:
    """Two for the start, of which the second raises, and one for the end."""
    apps.at_start(app, noting(STARTED))
    apps.at_start(app, broken)
    apps.at_end(app, noting(CLEANED))


def contexts(app: App) -> None:
    """Two for both, of which the second raises."""
    apps.around_serving(app, around)
    apps.around_serving(app, broken_around)


Begin = Callable[[Any, int], Coroutine[Any, Any, None]]
"""Starts an application on that port."""


async def start_and_stop(app: App, port: int) -> None:
    stop = await start(app, port)
    await asyncio.sleep(0.5)  # on Hypercorn the start-up runs in a task
    await stop()


async def start_and_clean(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    finally:
        await runner.cleanup()


FAILING: apps.Adds = {
    AIOHTTP: {"on_startup and on_cleanup": hooks, "cleanup_ctx": contexts},
    QUART: {"before_serving and after_serving": hooks, "while_serving": contexts},
}
IN_FINALLY = "{}, runner.cleanup() in finally"
CLEANING = {AIOHTTP: {IN_FINALLY.format(name): add for name, add in FAILING[AIOHTTP].items()}}


@variants("failing-startup-hook", apps.adding(FAILING), start_and_stop)
@variants("failing-startup-hook", apps.adding(CLEANING), start_and_clean)
def ask_failing(application: Build, begin: Begin) -> Answer:
    app, port = application(), free_port()

    async def attempt() -> tuple[str, bool]:
        raised = "nothing raised"
        try:
            async with asyncio.timeout(10):
                await begin(app, port)
        except BaseException as error:
            raised = f"raises {type(error).__name__}"
        return raised, await ask(port, 0.0) is not None

    raised, serves = asyncio.run(attempt())
    cleaned = f"the first is {'' if CLEANED in seen else 'not '}cleaned up"
    served = "it serves all the same" if serves else "it does not serve"
    return as_seen(f"{raised}, {cleaned}, {served}")


SITE, SERVE = "TCPSite.start", "hypercorn.asyncio.serve"
taken = partial(experiment, "port-in-use")


@taken(AIOHTTP, DEFAULT, AIOHTTP, SITE, start_and_stop)
@taken(AIOHTTP, "runner.cleanup() in finally", AIOHTTP, SITE, start_and_clean)
@taken(QUART, DEFAULT, QUART, SERVE, start_and_stop)
def ask_taken(stack: str, call: str, begin: Begin) -> Answer:
    app, what, error = SAYING[stack](), f"{call} raised nothing", ""
    apps.around_serving(app, around)
    with socket.create_server(("127.0.0.1", 0)) as other:
        try:
            asyncio.run(begin(app, other.getsockname()[1]))
        except (OSError, SystemExit) as raised:
            what, error = f"{type(raised).__name__} from {call}", f"{raised}"
    before = "start-up hooks had run" if STARTED in seen else "no hook had run"
    after = "clean-up ran" if CLEANED in seen else "clean-up did not run"
    if not seen.events:
        after = "nothing to clean up"
    return as_seen(f"{what}, {before}, {after}", error)


RUN_APP = """
import os, sys
from aiohttp import web
async def hello(request):
    return web.Response(text=str(os.getpid()))
async def bye(app):
    print("cleaned up", flush=True)
app = web.Application()
app.router.add_get("/", hello)
app.on_cleanup.append(bye)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""

APP_RUN = """
import os, sys
from quart import Quart
app = Quart("app")
@app.get("/")
async def hello():
    return str(os.getpid())
@app.after_serving
async def bye():
    print("cleaned up", flush=True)
app.run(host="127.0.0.1", port=int(sys.argv[1]))
"""

RUNNERS = {AIOHTTP: {"web.run_app": RUN_APP}, QUART: {"app.run": APP_RUN}}


@variants("all-in-one-runner", RUNNERS, each=("SIGTERM", "SIGINT"), bound_s=60)
def ask_runner(code: str, name: str) -> Answer:
    """Run it as a program of its own, ask it once, and send it a signal."""
    port = free_port()
    command = [sys.executable, "-u", "-c", code, str(port)]
    with subprocess.Popen(command, stdout=PIPE, stderr=STDOUT, text=True) as process:
        text = get(port, 15.0)
        began = time.perf_counter()
        process.send_signal(signal.Signals[name])
        output, _ = process.communicate(timeout=30)
        took_s = time.perf_counter() - began
    if text != f"{process.pid}":
        raise ConnectionError(f"it did not answer on port {port}, but {text!r}: {output[-300:]}")
    cleaned = "cleans up" if "cleaned up" in output else "does not clean up"
    how = f"exit status {process.returncode}"
    logs = "logs requests" if "GET / " in output else "logs no requests"
    evidence = f"ended after {took_s:.2f} s; its output: {' | '.join(output.splitlines())[:300]!r}"
    return Answer(f"{cleaned}, {how}, {logs}", evidence)
