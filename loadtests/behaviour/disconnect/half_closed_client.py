"""A client that has said all it has to say, shuts its side, and waits for the answer."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractContextManager
from functools import partial

from quart import Quart

from loopbench.loadtests.behaviour.disconnect.handling import on_aiohttp, on_quart
from loopbench.loadtests.behaviour.disconnect.leaving import CANCEL, Begin
from loopbench.loadtests.behaviour.disconnect.withheld import DisconnectWithheld
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.servers import Live, hypercorn_server

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"done"
BOUND_S = 5.0
TRIES = 20
TOGETHER = getattr(socket, "MSG_MORE", 0)
"""Keeps the request back until the end follows, so that both go in one segment (Linux)."""


async def at_once(_: Seen) -> None:
    """The handler has nothing to wait for."""


async def waits(_: Seen) -> None:
    await asyncio.sleep(0.1)


def withheld(_: Seen) -> AbstractContextManager[Live]:
    """The remedy on Quart: the end of what the client says is not taken for its leaving."""
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        await asyncio.sleep(0.1)
        return BODY.decode()

    app.asgi_app = DisconnectWithheld(app.asgi_app)  # type: ignore[method-assign]
    return hypercorn_server(app)


def exchange(port: int) -> str:
    """Send the request and shut at once, as `nc -N` does; what is there to read then."""
    with socket.create_connection(("127.0.0.1", port), BOUND_S) as client:
        client.sendall(REQUEST, TOGETHER)
        client.shutdown(socket.SHUT_WR)
        got = b""
        while not got.endswith(BODY) and (part := client.recv(65536)):
            got += part
    if got and not got.endswith(BODY):
        raise ValueError(f"{got!r} is not a whole answer")
    return f"answer {got.split()[1].decode()}" if got else "no answer"


def ask(begin: Begin[Seen]) -> Answer:
    """Several times: both ends are on the way at the same time."""
    with begin(Seen()) as server:
        answers = [exchange(server.port) for _ in range(TRIES)]
    found = sorted(set(answers))
    counted = ", ".join(f"{answers.count(one)} times {one}" for one in found)
    return Answer(" or ".join(found), f"{counted} of {TRIES}", varies=len(found) > 1)


_ROWS: tuple[tuple[str, str, Begin[Seen]], ...] = (
    ("aiohttp", "handler without await", partial(on_aiohttp, body=at_once)),
    ("aiohttp", "handler of 0.1 s", partial(on_aiohttp, body=waits)),
    (
        "aiohttp",
        "handler_cancellation=True, handler of 0.1 s",
        partial(on_aiohttp, body=waits, **CANCEL),
    ),
    ("quart-hypercorn", "handler without await", partial(on_quart, body=at_once)),
    ("quart-hypercorn", "handler of 0.1 s", partial(on_quart, body=waits)),
    (
        "quart-hypercorn",
        "handler of 0.1 s, http.disconnect withheld by an ASGI middleware",
        withheld,
    ),
)

QUESTION = Question(
    asks="Is a client answered that has shut its side of the connection?",
    experiments=tuple(
        Experiment(stack, setting, partial(ask, begin)) for stack, setting, begin in _ROWS
    ),
    follows={
        "no answer": "A half-closed client is taken for one that has left: a client must keep its "
        "side open until it has the answer (`nc` without -N).",
        "answer 200": "Here it is answered.",
        "*": "It depends on which comes first: a client must keep its side open until it has the "
        "answer.",
    },
)
