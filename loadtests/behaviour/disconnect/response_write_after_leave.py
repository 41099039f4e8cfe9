"""Writing to a client that has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.leaving import (
    GONE,
    LEAVINGS,
    Begin,
    begins,
    leave,
    rows,
)
from loopbench.loadtests.behaviour.disconnect.withheld import DisconnectWithheld
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

PIECES = 10
LARGE = 1 << 20
"""Bytes of a piece, a few of which fill every buffer on the way to a client that does not read."""

BLOCKED_S = 3.0
"""How long a write that is stuck is watched after its client has left."""


@dataclass(frozen=True, slots=True)
class Writing:
    """go: the handler may write now. size: of each of its pieces."""

    seen: Seen = field(default_factory=Seen)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    size: int = 1000

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes what ends the writing."""
        try:
            yield
            self.seen("finished")
        except BaseException as error:
            self.seen(type(error).__name__)
            raise
        finally:
            self.seen("over")

    async def wait(self) -> None:
        """Until the client has left."""
        self.seen("begun")
        await self.go.wait()

    async def pieces(self) -> AsyncIterator[bytes]:
        """What to write, once the client has left; each is counted when it has been written."""
        await self.wait()
        for _ in range(PIECES):
            yield b"x" * self.size
            self.seen("written")
            await asyncio.sleep(0.01)


def stream_on_aiohttp(writing: Writing, **options: Any) -> AbstractContextManager[Live]:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with writing.noted():
            async for piece in writing.pieces():
                await answer.write(piece)
        return answer

    return _aiohttp(handler, **options)


def whole_on_aiohttp(writing: Writing, **options: Any) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        with writing.noted():
            await writing.wait()
            return web.Response(body=b"x" * writing.size)

    return _aiohttp(handler, **options)


def _aiohttp(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], **options: Any
) -> AbstractContextManager[Live]:
    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app, **options)


def stream_on_quart(writing: Writing, *, withheld: bool = False) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> AsyncGenerator[bytes, None]:
        async def pieces() -> AsyncGenerator[bytes, None]:
            with writing.noted():
                async for piece in writing.pieces():
                    yield piece

        return pieces()

    return _hypercorn(app, withheld)


def whole_on_quart(writing: Writing) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.get("/")
    async def handler() -> bytes:
        with writing.noted():
            await writing.wait()
            return b"x" * writing.size

    return _hypercorn(app, withheld=False)


def _hypercorn(app: Quart, withheld: bool) -> AbstractContextManager[Live]:
    if withheld:
        app.asgi_app = DisconnectWithheld(app.asgi_app)  # type: ignore[method-assign]
    return hypercorn_server(app)


def _leave_first(begin: Begin[Writing], leaving: Leaving) -> tuple[Writing, str]:
    """Leave before anything is written, then let the handler go on; and what the console shows."""
    writing = Writing()
    with console() as lines:
        with begin(writing) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            leave(wire, writing.seen, leaving)
            writing.seen.wait("over", 0.1)  # where it is cancelled, it need not be let go on
            server.loop.call_soon_threadsafe(writing.go.set)
            if not writing.seen.wait("over"):
                raise TimeoutError("the handler never ended")
        return writing, shown(lines())


def ask(begin: Begin[Writing], leaving: Leaving) -> Answer:
    """What a handler gets that writes its answer piece by piece."""
    writing, printed = _leave_first(begin, leaving)
    written, ended = writing.seen.events.count("written"), _end(writing)
    if ended == "CancelledError":
        words = "cancelled before it writes" if written == 0 else f"cancelled after {written}"
    elif ended == "finished":
        words = "raises nothing"
    else:
        words = f"raises {ended}, at write {written + 1}"
    return Answer(words, f"{written} of {PIECES} pieces were written; {ended}; {printed}")


def ask_whole(begin: Begin[Writing], leaving: Leaving) -> Answer:
    """What a handler gets that returns its answer."""
    writing, printed = _leave_first(begin, leaving)
    ended = _end(writing)
    words = {"CancelledError": "cancelled before it returns", "finished": "returns undisturbed"}
    return Answer(words.get(ended, f"raises {ended}"), f"{ended}; {printed}")


def ask_blocked(begin: Begin[Writing], leaving: Leaving) -> Answer:
    """Read nothing until the handler is stuck in a write, then leave."""
    writing = Writing(size=LARGE)
    with begin(writing) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        if not writing.seen.wait("begun"):
            raise TimeoutError("the handler was never begun")
        server.loop.call_soon_threadsafe(writing.go.set)
        written = _until_stuck(writing)
        wire.leave(leaving)
        ended = _end(writing) if writing.seen.wait("over", BLOCKED_S) else "nothing"
    words = "stays in the write" if ended == "nothing" else f"raises {ended}, out of the write"
    return Answer(
        words,
        f"stuck after {written} of {PIECES} pieces of {LARGE} bytes; ended by {ended} "
        f"within {BLOCKED_S:g} s of {leaving.value}",
    )


def _until_stuck(writing: Writing) -> int:
    """How many pieces are written until no more is for a while."""
    if not writing.seen.wait("written"):
        raise TimeoutError("nothing was written")
    count = 0
    while count != (count := writing.seen.events.count("written")):
        time.sleep(0.3)
    if count == PIECES:
        raise ValueError("no write got stuck")
    return count


def _end(writing: Writing) -> str:
    ends = [event for event in writing.seen.events if event not in ("begun", "written", "over")]
    return ends[0]


STUCK = "in a write that is stuck"
WHOLE = "an answer in one"
WITHHELD = "http.disconnect withheld by an ASGI middleware"

QUESTION = Question(
    asks="What does writing to a client that has left raise, and when?",
    experiments=(
        *rows(ask, begins(stream_on_aiohttp, stream_on_quart)),
        *rows(
            ask,
            [("quart-hypercorn", WITHHELD, partial(stream_on_quart, withheld=True))],
            (Leaving.FIN, Leaving.RST),
        ),
        *rows(ask_whole, begins(whole_on_aiohttp, whole_on_quart, WHOLE), (Leaving.FIN,)),
        *rows(ask_blocked, begins(stream_on_aiohttp, stream_on_quart, STUCK)),
    ),
    claims=(
        Claim(
            GONE,
            {"raises *Connection*Error, *": Agrees.YES, "*": Agrees.NO},
            ("aiohttp",),
            (*LEAVINGS, *(f"{STUCK}, {leaving}" for leaving in LEAVINGS)),
        ),
    ),
    follows={
        "returns undisturbed": "The answer is thrown away without a word. What counts as delivered "
        "must be confirmed by the client.",
        "cancelled before it returns": "The handler does not come to its answer.",
        "raises nothing": "Nothing tells the handler: what it writes is thrown away.",
        "raises *, at write 1": "It is noticed before the first write: catch ConnectionResetError, "
        "from which it derives, where something must follow.",
        "raises *, out of the write": "Release in `finally`: it is run, whatever the exception.",
        "stays in the write": "The handler waits for a client that will not read: bound each "
        "write with asyncio.timeout.",
        "cancelled before it writes": "The handler does not come to its next write.",
    },
)
