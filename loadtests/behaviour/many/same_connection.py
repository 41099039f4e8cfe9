"""Several requests on one connection, sent without waiting for answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from aiohttp import web
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, StreamEnded
from quart import Quart, request

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    NONE,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.many.crowd import Inside

REQUESTS = 5
STEP_S = 0.1


def wait_s(number: int) -> float:
    """The first ones take the longest, so that order shows."""
    return STEP_S * (REQUESTS - number)


def on_aiohttp(inside: Inside) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        number = request.query["number"]
        with inside:
            await asyncio.sleep(wait_s(int(number)))
        return web.Response(text=number)

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(inside: Inside) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        number = request.args["number"]
        with inside:
            await asyncio.sleep(wait_s(int(number)))
        return number

    return hypercorn_server(app)


def pipelined(wire: Wire) -> list[str]:
    """HTTP/1.1: all requests at once, then the answers as they come."""
    head = b"GET /?number=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wire.send(b"".join(head % number for number in range(REQUESTS)))
    return [wire.answer().text for _ in range(REQUESTS)]


def in_streams(wire: Wire) -> list[str]:
    """HTTP/2 in the clear: a stream each. Raises NoAnswer where the server does not speak it."""
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for number in range(REQUESTS):
        headers = [(":method", "GET"), (":path", f"/?number={number}")]
        headers += [(":scheme", "http"), (":authority", "localhost")]
        client.send_headers(2 * number + 1, headers, end_stream=True)
    wire.send(client.data_to_send())
    bodies: dict[int, str] = {}
    ended: list[str] = []
    while len(ended) < REQUESTS:
        received = wire.some()
        if received.startswith(b"HTTP/1"):
            raise NoAnswer(received.split(b"\r\n")[0].decode())
        if not received:
            raise NoAnswer("the server closed the connection")
        for event in client.receive_data(received):
            if isinstance(event, DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, "") + event.data.decode()
            elif isinstance(event, StreamEnded):
                ended.append(bodies[event.stream_id])
    return ended


def ask(
    begin: Callable[[Inside], AbstractContextManager[Live]], talk: Callable[[Wire], list[str]]
) -> Answer:
    """Send all of them at once, and see who was inside at once and how the answers came."""
    inside = Inside()
    with begin(inside) as server, Wire(server.port) as wire:
        answers = talk(wire)
    numbers = [str(number) for number in range(REQUESTS)]
    if sorted(answers) != numbers:
        raise ValueError(f"the answers were {', '.join(answers)}")
    order = "in the order of the requests" if answers == numbers else "as they are ready"
    words = {1: "one after another", REQUESTS: "side by side"}
    return Answer(
        f"{words.get(inside.most, f'{inside.most} at once')}, answered {order}",
        f"{REQUESTS} requests were sent at once on one connection, the first to take the longest; "
        f"at most {inside.most} were in their handlers at the same time; answers came as "
        f"{', '.join(answers)}",
    )


def not_spoken() -> Answer:
    """aiohttp, spoken to in HTTP/2."""
    try:
        return ask(on_aiohttp, in_streams)
    except NoAnswer as error:
        return Answer(NONE, f"to HTTP/2 it says {error}; the nearest thing is more connections")


QUESTION = Question(
    asks="Are requests that share one connection handled side by side?",
    experiments=(
        Experiment("aiohttp", DEFAULT, partial(ask, on_aiohttp, pipelined)),
        Experiment("aiohttp", "HTTP/2", not_spoken),
        Experiment("quart-hypercorn", DEFAULT, partial(ask, on_quart, pipelined)),
        Experiment("quart-hypercorn", "HTTP/2", partial(ask, on_quart, in_streams)),
    ),
    claims=(
        Claim(
            "An asynchronous server handles all requests side by side.",
            {"one after another*": Agrees.PARTLY, "side by side*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "one after another*": "Side by side means: on several connections. A client that shares "
        "one HTTP/1.1 connection waits for itself.",
        "side by side*": "One connection is enough, and a slow request holds up no other.",
        "none": "A proxy in front of it can speak HTTP/2 to clients, over several connections to "
        "the server.",
    },
)
