"""The worker threads: how many at most, what they are called, and what Flask's servers have."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.dispatch.places import port_aside
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.framework.experiment import Variants, experiment, variants
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer
from loopbench.loadtests.behaviour.framework.raw_client import Wire, get
from loopbench.loadtests.behaviour.framework.servers import App, serve
from loopbench.loadtests.behaviour.starting.ports import get as get_when_ready

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"

FORMULA = "min(32, cpus + 4)"
"""From the documentation of concurrent.futures.ThreadPoolExecutor."""

_cpus: Callable[[], int | None] = getattr(os, "process_cpu_count", os.cpu_count)
"""Since Python 3.13 those that the process may use, before those that there are."""


def default_size() -> int:
    """FORMULA, of this machine."""
    return min(32, (_cpus() or 1) + 4)


def in_words(count: int) -> str:
    """FORMULA where that is what was counted, else the count."""
    return FORMULA if count == default_size() else str(count)


def setting(threads: int) -> str:
    """How one writes that the pool is to have so many threads."""
    return f"loop.set_default_executor(ThreadPoolExecutor({threads}))"


async def set_pool(threads: int | None, _: object = None) -> None:
    """A start-up hook of either stack that exchanges the pool; None: it stays as it is."""
    if threads is not None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="mine")
        asyncio.get_running_loop().set_default_executor(executor)


CALLS = 64
LARGER = 40
"""More than any machine's default."""


def aiohttp_holding(crowd: Crowd, threads: int | None = None) -> web.Application:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.to_thread(crowd.hold)
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    app.on_startup.append(partial(set_pool, threads))
    return app


def quart_holding(crowd: Crowd, threads: int | None = None) -> Quart:
    app = Quart(__name__)

    @app.get("/")
    def handler() -> str:
        crowd.hold()
        return ""

    app.before_serving(partial(set_pool, threads))
    return app


POOLS: Variants = {
    AIOHTTP: {
        DEFAULT: aiohttp_holding,
        setting(LARGER): partial(aiohttp_holding, threads=LARGER),
    },
    QUART: {DEFAULT: quart_holding, setting(LARGER): partial(quart_holding, threads=LARGER)},
}


@variants("thread-pool", POOLS, sensitive=True)
@experiment("flask-threads", AIOHTTP, "through asyncio.to_thread", aiohttp_holding)
@experiment("flask-threads", QUART, "sync route", quart_holding)
def ask_pool(application: Callable[[Crowd], App]) -> Answer:
    """Let more requests come than there can be threads, each of which holds its thread."""
    crowd = Crowd()
    with serve(application(crowd)) as server:
        wires = [Wire(server.port) for _ in range(CALLS)]
        for wire in wires:
            wire.request("GET", "/")
        for wire in wires:
            wire.answer(60.0)
            wire.__exit__()
    count = len(crowd.threads)
    families = " and ".join(sorted({re.sub(r"\d+$", "N", name) for name in crowd.threads}))
    return Answer(
        f"{in_words(count)} threads, named {families}",
        f"{CALLS} requests at once ran on {count} threads, such as {min(crowd.threads)!r}, at "
        f"most {crowd.most} at a time; min(32, cpus + 4) is {default_size()} here",
    )


REQUESTS = 32
READY_S = 30.0

_MODULE = f"{__package__}.flask_app"
_FOLDER = Path(__file__).parents[4]

Command = Callable[[int], list[str]]
"""The arguments of `python -m` that serve the application at that port."""


def flask_run(*options: str) -> Command:
    """The development server."""
    app = ["flask", "--app", f"{_MODULE}:create_app", "run"]
    return lambda port: [*app, "--port", str(port), *options]


def gunicorn(*options: str) -> Command:
    app = ["gunicorn", f"{_MODULE}:create_app()", "--no-control-socket"]
    return lambda port: [*app, "--bind", f"127.0.0.1:{port}", *options]


def waitress(*options: str) -> Command:
    return lambda port: [
        *("waitress", f"--listen=127.0.0.1:{port}", *options),
        *("--call", f"{_MODULE}:create_app"),
    ]


@contextmanager
def _served(command: list[str], port: int) -> Iterator[None]:
    """Run it until it has answered; end it afterwards. Its words are the experiment's."""
    with subprocess.Popen([sys.executable, "-m", *command], cwd=_FOLDER) as process:
        try:
            if get_when_ready(port, READY_S) is None:
                raise ConnectionError(f"{' '.join(command)} never answered")
            yield
        finally:
            process.terminate()


def ask_flask(command: Command) -> Answer:
    """Thirty-two requests at once: on how many threads did they run?"""
    port = port_aside()
    with _served(command(port), port), ThreadPoolExecutor(REQUESTS) as clients:
        texts = [reply.text for reply in clients.map(partial(get, port), ["/"] * REQUESTS)]
    threads = len(set(texts))
    words = {1: "one thread for all", REQUESTS: "a thread a request"}
    return Answer(
        words.get(threads, f"{threads} threads"),
        f"{REQUESTS} requests at once ran on {threads} threads, such as {texts[0]!r}",
    )


for stack, name, command in (
    ("flask-dev", DEFAULT, flask_run()),
    ("flask-dev", "flask run --without-threads", flask_run("--without-threads")),
    ("flask-gthread", "gunicorn without options", gunicorn()),
    ("flask-gthread", "gunicorn --threads 4", gunicorn("--threads", "4")),
    ("flask-gthread", "gunicorn --threads 8", gunicorn("--threads", "8")),
    ("flask-waitress", DEFAULT, waitress()),
    ("flask-waitress", "waitress-serve --threads=8", waitress("--threads=8")),
):
    experiment("flask-threads", stack, name, command, bound_s=60.0)(ask_flask)
