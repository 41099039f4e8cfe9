"""Whether Flask makes a thread a request, on its usual servers, beside what the others do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from loopbench.loadtests.behaviour.dispatch.aside import port_aside
from loopbench.loadtests.behaviour.dispatch.thread_pool import BEGIN
from loopbench.loadtests.behaviour.dispatch.thread_pool import ask as ask_pool
from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.starting.ports import get as get_when_ready

REQUESTS = 32
READY_S = 30.0

_MODULE = f"{__package__}.flask_app"
_FOLDER = Path(__file__).parents[3]

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


def ask(command: Command) -> Answer:
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


BOUND_S = 60.0

QUESTION = Question(
    asks="Does Flask make a thread a request, and what do the others do?",
    experiments=(
        *(
            Experiment(stack, setting, partial(ask, command), BOUND_S)
            for stack, setting, command in (
                ("flask-dev", DEFAULT, flask_run()),
                ("flask-dev", "flask run --without-threads", flask_run("--without-threads")),
                ("flask-gthread", "gunicorn without options", gunicorn()),
                ("flask-gthread", "gunicorn --threads 4", gunicorn("--threads", "4")),
                ("flask-gthread", "gunicorn --threads 8", gunicorn("--threads", "8")),
                ("flask-waitress", DEFAULT, waitress()),
                ("flask-waitress", "waitress-serve --threads=8", waitress("--threads=8")),
            )
        ),
        *(
            Experiment(stack, setting, partial(ask_pool, partial(BEGIN[stack], threads=None)))
            for stack, setting in (
                ("aiohttp", "through asyncio.to_thread"),
                ("quart-hypercorn", "sync route"),
            )
        ),
    ),
    claims=(
        Claim(
            "Flask handles each request in a thread of its own.",
            {"a thread a request": Agrees.YES, "*": Agrees.NO},
            ("flask-dev", "flask-gthread", "flask-waitress"),
        ),
    ),
    follows={
        "a thread a request": "This is the development server's way; nothing bounds the number of "
        "threads.",
        "one thread for all": "Each process handles one request at a time: make more processes, "
        "or threads.",
        "* threads*": "A pool: requests beyond its size wait.",
    },
)
