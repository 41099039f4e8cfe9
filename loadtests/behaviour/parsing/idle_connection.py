"""A connection on which nothing happens."""

from __future__ import annotations

import os
import signal
import socket
import threading
from functools import partial
from typing import Any

from aiohttp import web

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN

LONG_S = 80.0
SHORT_S = 12.0


def idle(port: int, patience_s: float, silent: bool = False) -> Answer:
    """Ask once, or not at all, and wait until the server closes."""
    with Wire(port) as wire:
        if not silent:
            wire.request("GET", "/")
            wire.answer()
        closed = wire.closed(patience_s)
    since = "a connect after which nothing was sent" if silent else "an answer"
    if closed is None:
        return Answer(f"open after {patience_s:g} s", f"{patience_s:g} s after {since} it was open")
    return Answer(f"closed after {closed:.0f} s", f"closed {closed:.2f} s after {since}")


def ask(stack: str, patience_s: float = SHORT_S, silent: bool = False, **options: Any) -> Answer:
    with PLAIN[stack](**options) as server:
        return idle(server.port, patience_s, silent)


def with_run_app() -> Answer:
    """`web.run_app` takes the main thread, so that the client has another."""
    told: list[Answer] = []
    app = web.Application()

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    def client(port: int) -> None:
        try:
            told.append(idle(port, LONG_S))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    app.router.add_get("/", handler)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        threading.Thread(target=client, args=(port,)).start()
        web.run_app(app, sock=listening, print=None)
    (answer,) = told
    return answer


QUESTION = Question(
    asks="When does the server close a connection on which nothing happens?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask, "aiohttp", LONG_S), bound_s=100),
        Experiment("aiohttp", "web.run_app", with_run_app, bound_s=100),
        Experiment("aiohttp", "keepalive_timeout=1", partial(ask, "aiohttp", keepalive_timeout=1)),
        Experiment(
            "aiohttp",
            "keepalive_timeout=1, nothing ever sent",
            partial(ask, "aiohttp", silent=True, keepalive_timeout=1),
        ),
        Experiment("quart-hypercorn", DEFAULT, partial(ask, "quart-hypercorn")),
        Experiment(
            "quart-hypercorn",
            "nothing ever sent",
            partial(ask, "quart-hypercorn", silent=True),
        ),
        Experiment(
            "quart-hypercorn",
            "keep_alive_timeout=1",
            partial(ask, "quart-hypercorn", keep_alive_timeout=1),
        ),
    ),
    claims=(
        Claim(
            "Idle connections are closed after 75 s.",
            {"closed after 75 s": Agrees.YES, "open*": Agrees.NO},
            ("aiohttp",),
        ),
        Claim(
            "Idle connections are closed after 5 s.",
            {"closed after 5 s": Agrees.YES, "open*": Agrees.NO},
            ("quart-hypercorn",),
        ),
    ),
    follows={
        "open*": "`AppRunner` keeps an idle connection far longer than `web.run_app`: give it "
        "`keepalive_timeout`.",
        "closed after 5 s": "A proxy in front that keeps its connections longer will now and then "
        "send a request into one that is just being closed: make this timeout the longer one.",
    },
)
