"""A long answer in pieces, whose client leaves in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import GONE, LEAVINGS, Begin, begins, rows
from loopbench.loadtests.behaviour.disconnect.withheld import DisconnectWithheld
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

PIECES = 50
BETWEEN_S = 0.02


def on_aiohttp(seen: Seen, **options: Any) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            for _ in range(PIECES):
                await answer.write(b"x" * 1000)
                seen("piece")
                await asyncio.sleep(BETWEEN_S)
            seen("finished")
        except BaseException as error:
            seen(type(error).__name__)
            raise
        finally:
            seen("finally")
        return answer

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app, **options)


def on_quart(seen: Seen, *, withheld: bool = False) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> AsyncGenerator[bytes, None]:
        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                for _ in range(PIECES):
                    yield b"x" * 1000
                    seen("piece")
                    await asyncio.sleep(BETWEEN_S)
                seen("finished")
            except BaseException as error:
                seen(type(error).__name__)
                raise
            finally:
                seen("finally")

        return pieces()

    if withheld:
        app.asgi_app = DisconnectWithheld(app.asgi_app)  # type: ignore[method-assign]
    return hypercorn_server(app)


def ask(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave after the first pieces, and see what ends the stream, and whether it cleans up."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        wire.head()
        wire.some()
        wire.leave(leaving)
        cleaned = seen.wait("finally")
    ends = [event for event in seen.events if event not in ("piece", "finally")]
    ended = ends[0] if ends else "nothing"
    how = "runs to its end" if ended == "finished" else f"ended by {ended}"
    finally_ = "finally runs" if cleaned else "finally does not run"
    pieces = seen.events.count("piece")
    return Answer(f"{how}, {finally_}", f"{pieces} of {PIECES} pieces were made; {how}; {finally_}")


QUESTION = Question(
    asks="What ends a streamed answer whose client has left, and does its clean-up run?",
    experiments=(
        *rows(ask, begins(on_aiohttp, on_quart)),
        *rows(
            ask,
            [
                (
                    "quart-hypercorn",
                    "http.disconnect withheld by an ASGI middleware",
                    partial(on_quart, withheld=True),
                )
            ],
            (Leaving.FIN, Leaving.RST),
        ),
    ),
    claims=(
        Claim(
            GONE,
            {"ended by *Connection*Error, *": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            LEAVINGS,
        ),
    ),
    follows={
        "runs to its end*": "Nothing tells the generator: bound the stream yourself.",
        "*finally runs": "Put what must be released into `finally`.",
        "*finally does not run": "Nothing tells the generator: bound the stream, and release what "
        "it holds elsewhere.",
    },
)
