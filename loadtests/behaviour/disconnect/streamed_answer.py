"""A long answer in pieces, whose client leaves in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loadtests.behaviour.question import Agrees, Answer, Claim, Experiment, Question
from loadtests.behaviour.seen import Seen
from loadtests.behaviour.served import Live, aiohttp_server, hypercorn_server
from loadtests.behaviour.wire import Leaving, Wire

PIECES = 100
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


def on_quart(seen: Seen) -> AbstractContextManager[Live]:
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

    return hypercorn_server(app)


def ask(begin: Callable[[Seen], AbstractContextManager[Live]], leaving: Leaving) -> Answer:
    """Leave after the first pieces, and see what ends the stream, and whether it cleans up."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        wire.head()
        wire.some()
        wire.leave(leaving)
        seen.wait("finally", PIECES * BETWEEN_S + 2)
        ends = [event for event in seen.events if event not in ("piece", "finally")]
        pieces = seen.events.count("piece")
    ended = ends[0] if ends else "nothing"
    how = "runs to its end" if ended == "finished" else f"ended by {ended}"
    cleaned = "finally runs" if "finally" in seen else "finally does not run"
    return Answer(f"{how}, {cleaned}", f"{pieces} of {PIECES} pieces were made; {how}; {cleaned}")


_ROWS: tuple[tuple[str, str, Callable[[Seen], AbstractContextManager[Live]]], ...] = (
    ("aiohttp", "", on_aiohttp),
    ("aiohttp", "handler_cancellation=True, ", partial(on_aiohttp, handler_cancellation=True)),
    ("quart-hypercorn", "", on_quart),
)

QUESTION = Question(
    asks="What ends a streamed answer whose client has left, and does its clean-up run?",
    experiments=tuple(
        Experiment(stack, f"{setting}{leaving.value}", partial(ask, begin, leaving))
        for stack, setting, begin in _ROWS
        for leaving in (Leaving.FIN, Leaving.RST)
    ),
    claims=(
        Claim(
            "A stream notices at once that its client has left.",
            {"ended by*": Agrees.YES, "runs to its end*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*finally runs": "Put what must be released into `finally`.",
        "*finally does not run": "Nothing tells the generator: bound the stream, and release what "
        "it holds elsewhere.",
    },
)
