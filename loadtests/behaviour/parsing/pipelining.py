"""A client that sends its second request before it has the first answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server
from loopbench.loadtests.behaviour.parsing import http2
from loopbench.loadtests.behaviour.parsing.exchanging import head

SLOW_S = 0.5


def on_aiohttp(seen: Seen) -> AbstractContextManager[Live]:
    async def slow(_: web.Request) -> web.Response:
        seen("slow began")
        await asyncio.sleep(SLOW_S)
        seen("slow ended")
        return web.Response(text="slow")

    async def fast(_: web.Request) -> web.Response:
        seen("fast began")
        return web.Response(text="fast")

    app = web.Application()
    app.router.add_get("/slow", slow)
    app.router.add_get("/fast", fast)
    return aiohttp_server(app)


def on_quart(seen: Seen) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/slow")
    async def slow() -> str:
        seen("slow began")
        await asyncio.sleep(SLOW_S)
        seen("slow ended")
        return "slow"

    @app.get("/fast")
    async def fast() -> str:
        seen("fast began")
        return "fast"

    return hypercorn_server(app)


def _answer(seen: Seen, order: list[str]) -> Answer:
    answered = "in order" if order == ["slow", "fast"] else "out of order"
    one_by_one = seen.events.index("fast began") > seen.events.index("slow ended")
    handled = "one after the other" if one_by_one else "at once"
    return Answer(
        f"answered {answered}, handled {handled}",
        f"{', '.join(seen.events)}; the answers were {' and '.join(order)}",
    )


def ask(serve: Callable[[Seen], AbstractContextManager[Live]]) -> Answer:
    seen = Seen()
    with serve(seen) as server, Wire(server.port) as wire:
        wire.send(head("GET", "/slow") + head("GET", "/fast"))
        order = [wire.answer().text, wire.answer().text]
    return _answer(seen, order)


def ask_http2() -> Answer:
    """The same two requests as two streams of one HTTP/2 connection."""
    seen = Seen()
    with on_quart(seen) as server, Wire(server.port) as wire:
        answers = http2.answers(wire, http2.connected(), ("/slow", "/fast"))
    order = [body.decode() for _, body in answers]
    return _answer(seen, order)


QUESTION = Question(
    asks="Are requests handled at once that one connection sends together?",
    experiments=(
        Experiment("aiohttp", DEFAULT, lambda: ask(on_aiohttp)),
        Experiment("quart-hypercorn", DEFAULT, lambda: ask(on_quart)),
        Experiment("quart-hypercorn", "two streams of HTTP/2", ask_http2),
    ),
    follows={
        "*one after the other": "A slow handler holds up what follows on its connection; a client "
        "that wants several things at once needs several connections, or HTTP/2.",
    },
)
