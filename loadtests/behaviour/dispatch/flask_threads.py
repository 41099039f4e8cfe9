"""Whether Flask makes a thread a request, on its usual servers, beside what Quart does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from loadtests.behaviour.dispatch.thread_pool import ask as ask_pool
from loadtests.behaviour.dispatch.thread_pool import on_aiohttp, on_quart
from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.starting.ports import free_port, get
from loadtests.behaviour.wire import get as ask_once

REQUESTS = 32

APPLICATION = """
import threading, time
from flask import Flask
app = Flask("app")
@app.get("/")
def where():
    time.sleep(0.1)
    thread = threading.current_thread()
    return f"{thread.native_id} {thread.name}"
"""


@contextmanager
def _program(arguments: list[str], port: int) -> Iterator[None]:
    """Run it until it has answered; end it afterwards."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ) as process:
        try:
            if get(port, 15.0) is None:
                raise ConnectionError(f"{' '.join(arguments)} never answered")
            yield
        finally:
            process.terminate()


def _in_thread(threaded: bool) -> Callable[[int], list[str]]:
    def arguments(port: int) -> list[str]:
        options = f"host='127.0.0.1', port={port}, threaded={threaded}"
        return ["-c", f"{APPLICATION}\napp.run({options})"]

    return arguments


def _gthread(port: int) -> list[str]:
    code = (
        "import sys; from gunicorn.app.base import BaseApplication\n"
        f"{APPLICATION}\n"
        "class Runner(BaseApplication):\n"
        "    def load_config(self):\n"
        f"        self.cfg.set('bind', '127.0.0.1:{port}')\n"
        "        self.cfg.set('worker_class', 'gthread')\n"
        "        self.cfg.set('threads', 4)\n"
        "    def load(self):\n"
        "        return app\n"
        "Runner().run()\n"
    )
    return ["-c", code]


def _waitress(port: int) -> list[str]:
    code = f"{APPLICATION}\nimport waitress\nwaitress.serve(app, host='127.0.0.1', port={port})"
    return ["-c", code]


def ask(arguments: Callable[[int], list[str]]) -> Answer:
    """Thirty-two requests at once: on how many threads did they run?"""
    port = free_port()
    with _program(arguments(port), port), ThreadPoolExecutor(REQUESTS) as clients:
        texts = list(clients.map(lambda _: ask_once(port, "/", 30.0).text, range(REQUESTS)))
    threads = len({text.partition(" ")[0] for text in texts})
    how = "a thread a request" if threads == REQUESTS else f"{threads} threads"
    if threads == 1:
        how = "one thread for all"
    return Answer(
        how, f"{REQUESTS} requests at once ran on {threads} threads, such as {texts[0]!r}"
    )


QUESTION = Question(
    asks="Does Flask make a thread a request, and what do the others do?",
    experiments=(
        Experiment("flask-dev", DEFAULT, partial(ask, _in_thread(True)), 40),
        Experiment("flask-dev", "threaded=False", partial(ask, _in_thread(False)), 40),
        Experiment("flask-gthread", "threads=4", partial(ask, _gthread), 40),
        Experiment("flask-waitress", DEFAULT, partial(ask, _waitress), 40),
        Experiment(
            "aiohttp",
            "through asyncio.to_thread",
            lambda: ask_pool(partial(on_aiohttp, threads=None)),
        ),
        Experiment(
            "quart-hypercorn", "sync route", lambda: ask_pool(partial(on_quart, threads=None))
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
        "* threads*": "A pool: requests beyond its size wait.",
    },
)
