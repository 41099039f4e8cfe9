"""Several requests on one connection, sent without waiting for answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart, request

from loadtests.behaviour.many.hundred_handlers import Inside
from loadtests.behaviour.question import DEFAULT, Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Wire

REQUESTS = 5


def on_aiohttp(inside: Inside) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        with inside:
            await asyncio.sleep(0.05)
        return web.Response(text=request.query["n"])

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(inside: Inside) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> str:
        with inside:
            await asyncio.sleep(0.05)
        return request.args["n"]

    return hypercorn_server(app)


def ask(begin: Callable[[Inside], AbstractContextManager[Live]]) -> Answer:
    inside = Inside()
    with begin(inside) as server, Wire(server.port) as wire:
        wire.send(
            b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(REQUESTS))
        )
        answers = [wire.answer().text for _ in range(REQUESTS)]
    order = "in order" if answers == [str(n) for n in range(REQUESTS)] else "out of order"
    together = "one after another" if inside.most == 1 else f"{inside.most} at once"
    return Answer(
        f"{together}, answered {order}",
        f"{REQUESTS} requests were sent at once on one connection; at most {inside.most} were in "
        f"their handlers at the same time; answers came as {', '.join(answers)}",
    )


QUESTION = Question(
    asks="Are requests that share one connection handled side by side?",
    experiments=(
        Experiment("aiohttp", DEFAULT, lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(on_quart)),
    ),
    claims=(
        Claim(
            "An asynchronous server handles all requests side by side.",
            {"one after another*": Agrees.PARTLY, "*at once*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "one after another*": "Side by side means: on several connections. A client that shares "
        "one HTTP/1.1 connection waits for itself.",
    },
)
