"""A save whose progress is streamed to the client: a piece of the answer after each step."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.leaving import LEAVINGS, begins, rows
from loopbench.loadtests.behaviour.disconnect.saving import Saving, fate
from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server


def on_aiohttp(saving: Saving, **options: Any) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with saving.handling():
            for line in ("first", "second"):
                await saving.step(line)
                await answer.write(f"{line} step saved\n".encode())
        return answer

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart(saving: Saving) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> AsyncGenerator[bytes, None]:
        async def pieces() -> AsyncGenerator[bytes, None]:
            with saving.handling():
                for line in ("first", "second"):
                    await saving.step(line)
                    yield f"{line} step saved\n".encode()

        return pieces()

    return hypercorn_server(app)


QUESTION = Question(
    asks="What becomes of a save that streams its progress to a client that leaves?",
    experiments=rows(fate, begins(on_aiohttp, on_quart)),
    claims=(
        Claim(
            "Without handler_cancellation an aiohttp handler is not disturbed by its client.",
            {"saved, handler finished": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            LEAVINGS,
        ),
    ),
    follows={
        "half saved*": "Writing to a client that has left raises, in the middle of the save: do "
        "not tie steps that belong together to what can be sent.",
        "lost*": "A streamed answer is cancelled like any other: save first, then stream.",
    },
)
