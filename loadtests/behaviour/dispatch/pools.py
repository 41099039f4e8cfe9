"""The worker threads: how many at most, what they are called, and what Flask's servers have."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, SYNC, Build, serve
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments, variants
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.starting.starts import get as get_when_ready
from loopbench.loadtests.behaviour.talking import Leaving, Reply, Wire
from loopbench.loadtests.services.free_port import free_port

FORMULA = "min(32, cpus + 4)"
"""From the documentation of concurrent.futures.ThreadPoolExecutor."""

DEFAULT_SIZE = min(32, (getattr(os, "process_cpu_count", os.cpu_count)() or 1) + 4)
"""FORMULA, of this machine: since Python 3.13 of the CPUs that a process may use."""


def in_words(count: int) -> str:
    """FORMULA where that is what was counted, else the count."""
    return FORMULA if count == DEFAULT_SIZE else str(count)


async def set_pool(threads: int | None, _: object = None) -> None:
    """A start-up hook of either stack that exchanges the pool; None: it stays as it is."""
    if threads is not None:
        executor = ThreadPoolExecutor(threads, thread_name_prefix="mine")
        asyncio.get_running_loop().set_default_executor(executor)


@contextmanager
def connected(port: int, count: int) -> Iterator[list[Wire]]:
    """So many connections, closed afterwards."""
    with ExitStack() as stack:
        yield [stack.enter_context(Wire(port)) for _ in range(count)]


def all_ask(wires: list[Wire], target: str = "/") -> list[Reply]:
    """GET target over all of them at once. Whoever is told that its connection closes leaves: a
    worker of gunicorn waits up to 2 s for that before it serves the next one."""
    for wire in wires:
        wire.request("GET", target)
    replies = []
    for wire in wires:
        replies.append(wire.answer(60.0))
        if replies[-1].header("connection") == "close":
            wire.leave(Leaving.FIN)
    return replies


CALLS = 64
POOLS = {DEFAULT: None, "loop.set_default_executor(ThreadPoolExecutor(40))": 40}
"""The second one is larger than any machine's default."""


@experiment("flask-threads", AIOHTTP, "through asyncio.to_thread", SYNC[AIOHTTP])
@experiment("flask-threads", QUART, "sync route", SYNC[QUART])
@experiments("thread-pool", SYNC, POOLS, sensitive=True)
def ask_pool(application: Build, threads: int | None = None) -> Answer:
    """Let more requests come than there can be threads, each of which holds its thread."""
    crowd = Crowd()
    with serve(application(crowd.hold)) as server, connected(server.port, CALLS) as wires:
        server.call(set_pool(threads))
        all_ask(wires)
    count = len(crowd.threads)
    families = " and ".join(sorted({re.sub(r"\d+$", "N", name) for name in crowd.threads}))
    evidence = f"{CALLS} requests at once ran on {count} threads, such as {min(crowd.threads)!r}"
    evidence += f", at most {crowd.most} at a time; {FORMULA} is {DEFAULT_SIZE} here"
    return Answer(f"{in_words(count)} threads, named {families}", evidence)


REQUESTS = 32

_MODULE = f"{__package__}.flask_app"
_FOLDER = Path(__file__).parents[4]

RUN = f"flask --app {_MODULE}:create_app run --port PORT"
GUNICORN = f"gunicorn {_MODULE}:create_app() --no-control-socket --bind 127.0.0.1:PORT"
WAITRESS = f"waitress --call --listen=127.0.0.1:PORT {_MODULE}:create_app"
FLASK = {
    "flask-dev": {DEFAULT: RUN, "flask run --without-threads": f"{RUN} --without-threads"},
    "flask-gthread": {
        "gunicorn without options": GUNICORN,
        "gunicorn --threads 4": f"{GUNICORN} --threads 4",
        "gunicorn --threads 8": f"{GUNICORN} --threads 8",
    },
    "flask-waitress": {
        DEFAULT: WAITRESS,
        "waitress-serve --threads=8": WAITRESS.replace("--call", "--threads=8 --call"),
    },
}
"""The arguments of `python -m` that serve the application at PORT."""


@contextmanager
def running(command: str) -> Iterator[int]:
    """One of these, which serves until the end; its port. Raises ConnectionError."""
    port = free_port()
    arguments = command.replace("PORT", str(port)).split()
    with subprocess.Popen([sys.executable, "-m", *arguments], cwd=_FOLDER) as process:
        try:
            if get_when_ready(port, 30.0) is None:
                raise ConnectionError(f"{command} never answered")
            yield port
        finally:
            process.terminate()


@variants("flask-threads", FLASK, bound_s=60.0)
def ask_flask(command: str) -> Answer:
    with running(command) as port, connected(port, REQUESTS) as wires:
        texts = [reply.text for reply in all_ask(wires)]
    threads = len(set(texts))
    words = {1: "one thread for all", REQUESTS: "a thread a request"}.get(threads)
    evidence = f"{REQUESTS} requests at once ran on {threads} threads, such as {texts[0]!r}"
    return Answer(words or f"{threads} threads", evidence)
