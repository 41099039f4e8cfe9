"""A handler that waits for a body, whose client leaves in the middle of sending it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.leaving import (
    GONE,
    LEAVINGS,
    Begin,
    begins,
    leave,
    rows,
)
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

SENT = b"x" * 10
LENGTH = 1000


async def read(request: web.Request) -> int:
    return len(await request.read())


async def chunks(request: web.Request) -> int:
    return sum([len(chunk) async for chunk in request.content.iter_any()])


async def get_data() -> int:
    return len(await request.get_data())


async def body() -> int:
    return sum([len(data) async for data in request.body])


async def noted(seen: Seen, reading: Awaitable[int]) -> int:
    """Read, and note what comes of it."""
    seen("begun")
    try:
        length = await reading
        seen(f"{length} bytes")
    except BaseException as error:
        seen(type(error).__name__)
        raise
    finally:
        seen("over")
    return length


def on_aiohttp(
    seen: Seen, reading: Callable[[web.Request], Awaitable[int]] = read, **options: Any
) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{await noted(seen, reading(request))}")

    app = web.Application()
    app.router.add_post("/", handler)
    return aiohttp_server(app, **options)


def on_quart(
    seen: Seen, reading: Callable[[], Awaitable[int]] = get_data
) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        return f"{await noted(seen, reading())}"

    return hypercorn_server(app)


def ask(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Announce a body, send the first of it, and leave."""
    seen = Seen()
    with console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("POST", "/", [("Content-Length", str(LENGTH))])
            wire.send(SENT)
            leave(wire, seen, leaving)
            if not seen.wait("over"):
                raise TimeoutError("the handler never ended")
        ended = seen.events[1]
        words = f"reads {ended}" if ended.endswith(" bytes") else f"raises {ended}"
        logged = "an error on the console" if lines() else "nothing on the console"
        return Answer(
            f"{words}, {logged}",
            f"{len(SENT)} of {LENGTH} bytes were sent; {', '.join(seen.events)}; {shown(lines())}",
        )


STREAMED = begins(
    partial(on_aiohttp, reading=chunks), partial(on_quart, reading=body), "read in pieces"
)

QUESTION = Question(
    asks="What does a handler get that waits for a body whose client leaves?",
    experiments=(
        *rows(ask, begins(on_aiohttp, on_quart)),
        *rows(ask, STREAMED, (Leaving.FIN,)),
    ),
    claims=(
        Claim(
            GONE,
            {"raises *Connection*Error, *": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            (*LEAVINGS, "read in pieces, FIN"),
        ),
    ),
    follows={
        "raises CancelledError*": "Release in `finally`: `except Exception` does not see it.",
        "reads*": "A body that is cut off looks like a whole one: compare its length.",
        "raises *, an error*": "A client that gives up an upload looks like a fault of the server: "
        "catch ConnectionResetError where the body is read.",
    },
)
