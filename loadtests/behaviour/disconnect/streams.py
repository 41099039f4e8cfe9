"""Answers and bodies that are under way when the client leaves: streamed, stuck, or read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from quart import Quart, request

from loopbench.loadtests.behaviour.applications import aiohttp_app
from loopbench.loadtests.behaviour.asking import Answer
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import FIN, Begin, begins, both, leave, leaves
from loopbench.loadtests.behaviour.serving import Work
from loopbench.loadtests.behaviour.talking import Leaving, Seen, Wire

FIN_AND_RST = (Leaving.FIN, Leaving.RST)


@contextmanager
def noted(seen: Seen) -> Iterator[None]:
    """Notes what ends the inside."""
    try:
        yield
        seen("finished")
    except BaseException as error:
        seen(type(error).__name__)
        raise
    finally:
        seen("over")


STREAM_PIECES = 50
BETWEEN_S = 0.02


def stream(seen: Seen) -> dict[str, Work]:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(STREAM_PIECES):
            yield b"x" * 1000
            seen("piece")
            await asyncio.sleep(BETWEEN_S)

    return {"/": pieces}


STREAM = both(stream, noted)


@leaves("stream-ends", begins(*STREAM))
@leaves("stream-ends", scene.not_told(STREAM[1]), FIN_AND_RST)
def ask_stream(begin: Begin, leaving: Leaving) -> Answer:
    """Leave after the first pieces, and see what ends the stream, and whether it cleans up."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        wire.head()
        wire.some()
        wire.leave(leaving)
        cleaned = seen.wait("over")
    ends = [event for event in seen.events if event not in ("piece", "over")]
    ended = ends[0] if ends else "nothing"
    how = "runs to its end" if ended == "finished" else f"ended by {ended}"
    finally_ = "finally runs" if cleaned else "finally does not run"
    pieces = seen.events.count("piece")
    return Answer(
        f"{how}, {finally_}", f"{pieces} of {STREAM_PIECES} pieces were made; {how}; {finally_}"
    )


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

    async def whole(self) -> str:
        """An answer in one."""
        await self.wait()
        return "x" * self.size

    @property
    def end(self) -> str:
        """What ended the writing."""
        return next(one for one in self.seen.events if one not in ("begun", "written", "over"))


def _noted(writing: Writing) -> AbstractContextManager[None]:
    return noted(writing.seen)


def _leave_first(begin: Begin, leaving: Leaving) -> tuple[Writing, str]:
    """Leave before anything is written, then let the handler go on; and what the console shows."""
    writing = Writing()
    with scene.console() as lines:
        with begin(writing) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            leave(wire, writing.seen, leaving)
            writing.seen.wait("over", 0.1)  # where it is cancelled, it need not be let go on
            server.loop.call_soon_threadsafe(writing.go.set)
            writing.seen.expect("over", "the handler never ended")
        return writing, scene.shown(lines())


WRITE = "response-write-after-leave"
IN_PIECES = both(lambda writing: {"/": writing.pieces}, _noted)
WHOLE = both(lambda writing: {"/": writing.whole}, _noted)


@leaves(WRITE, begins(*IN_PIECES))
@leaves(WRITE, scene.not_told(IN_PIECES[1]), FIN_AND_RST)
def ask_pieces(begin: Begin, leaving: Leaving) -> Answer:
    """What a handler gets that writes its answer piece by piece."""
    writing, printed = _leave_first(begin, leaving)
    written, ended = writing.seen.events.count("written"), writing.end
    if ended == "CancelledError":
        words = "cancelled before it writes" if written == 0 else f"cancelled after {written}"
    elif ended == "finished":
        words = "raises nothing"
    else:
        words = f"raises {ended}, at write {written + 1}"
    return Answer(words, f"{written} of {PIECES} pieces were written; {ended}; {printed}")


@leaves(WRITE, begins(*WHOLE, "an answer in one"), FIN)
def ask_whole(begin: Begin, leaving: Leaving) -> Answer:
    """What a handler gets that returns its answer."""
    writing, printed = _leave_first(begin, leaving)
    ended = writing.end
    words = {"CancelledError": "cancelled before it returns", "finished": "returns undisturbed"}
    return Answer(words.get(ended, f"raises {ended}"), f"{ended}; {printed}")


@leaves(WRITE, begins(*IN_PIECES, "in a write that is stuck"))
def ask_blocked(begin: Begin, leaving: Leaving) -> Answer:
    """Read nothing until the handler is stuck in a write, then leave."""
    writing = Writing(size=LARGE)
    with begin(writing) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        writing.seen.expect("begun", "the handler was never begun")
        server.loop.call_soon_threadsafe(writing.go.set)
        written = _until_stuck(writing)
        wire.leave(leaving)
        ended = writing.end if writing.seen.wait("over", BLOCKED_S) else "nothing"
    words = "stays in the write" if ended == "nothing" else f"raises {ended}, out of the write"
    return Answer(
        words,
        f"stuck after {written} of {PIECES} pieces of {LARGE} bytes; ended by {ended} "
        f"within {BLOCKED_S:g} s of {leaving.value}",
    )


def _until_stuck(writing: Writing) -> int:
    """How many pieces are written until no more is for a while."""
    writing.seen.expect("written", "nothing was written")
    count = 0
    while count != (count := writing.seen.events.count("written")):
        time.sleep(0.3)
    if count == PIECES:
        raise ValueError("no write got stuck")
    return count


SENT = b"x" * 10
LENGTH = 1000


async def _reading(seen: Seen, reading: Awaitable[int]) -> str:
    seen("begun")
    with noted(seen):
        length = await reading
        seen(f"{length} bytes")
    return f"{length}"


async def read(request: web.Request) -> int:
    return len(await request.read())


async def chunks(request: web.Request) -> int:
    return sum([len(chunk) async for chunk in request.content.iter_any()])


async def get_data() -> int:
    return len(await request.get_data())


async def body() -> int:
    return sum([len(data) async for data in request.body])


def aiohttp_reading(
    seen: Seen, reading: Callable[[web.Request], Awaitable[int]] = read
) -> web.Application:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=await _reading(seen, reading(request)))

    return aiohttp_app(web.post("/", handler))


def quart_reading(seen: Seen, reading: Callable[[], Awaitable[int]] = get_data) -> Quart:
    app = Quart(__name__)

    @app.post("/")
    async def handler() -> str:
        return await _reading(seen, reading())

    return app


READ_IN_PIECES = partial(aiohttp_reading, reading=chunks), partial(quart_reading, reading=body)


@leaves("request-body-unread", begins(aiohttp_reading, quart_reading))
@leaves("request-body-unread", begins(*READ_IN_PIECES, "read in pieces"), FIN)
def ask_unread(begin: Begin, leaving: Leaving) -> Answer:
    """Announce a body, send the first of it, and leave."""
    seen = Seen()
    with scene.console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("POST", "/", [("Content-Length", str(LENGTH))])
            wire.send(SENT)
            leave(wire, seen, leaving)
            seen.expect("over", "the handler never ended")
        ended = seen.events[1]
        words = f"reads {ended}" if ended.endswith(" bytes") else f"raises {ended}"
        logged = "an error on the console" if lines() else "nothing on the console"
        sent = f"{len(SENT)} of {LENGTH} bytes were sent"
        return Answer(
            f"{words}, {logged}", f"{sent}; {', '.join(seen.events)}; {scene.shown(lines())}"
        )


EVENTS = 8
APART_S = 0.5


def events(seen: Seen) -> dict[str, Work]:
    async def each() -> AsyncIterator[bytes]:
        for number in range(EVENTS):
            yield b"data: %d\n\n" % number
            seen("event")
            await asyncio.sleep(APART_S)

    return {"/": each}


SENT_EVENTS = both(events, noted, {"Content-Type": "text/event-stream"})


@leaves("server-sent-events", begins(*SENT_EVENTS))
def ask_events(begin: Begin, leaving: Leaving) -> Answer:
    """Leave soon after an event, and see how many more are made before the sender learns of it."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        wire.head()
        seen.expect("event", "no event was made")
        before = seen.events.count("event")
        wire.leave(leaving)
        left = time.perf_counter()
        ended = seen.wait("over", EVENTS * APART_S + 2)
    more = seen.events.count("event") - before
    if not ended or "finished" in seen:
        return Answer("never", f"{more} more events were made, to the last")
    took_s = seen.at("over") - left
    if more:
        when = f"after {more} more event{'s' * (more > 1)}"
    else:
        when = "at once" if took_s < APART_S / 2 else "with the next event"
    return Answer(
        when, f"{took_s:.2f} s later by {seen.events[-2]}, with an event every {APART_S:g} s"
    )
