"""Answers and bodies that are under way when the client leaves: streamed, stuck, or read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web
from quart import request

from loopbench.loadtests.behaviour.applications import aiohttp_app, quart_answering
from loopbench.loadtests.behaviour.asking import Answer
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
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


def end(seen: Seen) -> str:
    """What that was, by now."""
    ends = [one for one in seen.events if one == "finished" or one[0].isupper()]
    return ends[0] if ends else "nothing"


STREAM_PIECES = 50
BETWEEN_S = 0.02


async def stream(seen: Seen) -> AsyncIterator[bytes]:
    for _ in range(STREAM_PIECES):
        yield b"x" * 1000
        seen("piece")
        await asyncio.sleep(BETWEEN_S)


STREAM = scene.both(lambda seen: {"/": partial(stream, seen)}, noted)


@scene.leaves("stream-ends", scene.begins(STREAM))
@scene.leaves("stream-ends", scene.not_told(STREAM), FIN_AND_RST)
def ask_stream(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Leave after the first pieces, and see what ends the stream, and whether it cleans up."""
    seen = Seen()
    with begin(seen) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        wire.head()
        wire.some()
        wire.leave(leaving)
        cleaned = seen.wait("over")
    ended = end(seen)
    how = "runs to its end" if ended == "finished" else f"ended by {ended}"
    finally_ = "finally runs" if cleaned else "finally does not run"
    return Answer(f"{how}, {finally_}", f"of {STREAM_PIECES} pieces: {seen.line}")


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

    async def pieces(self) -> AsyncIterator[bytes]:
        """What to write, once the client has left; each is counted when it has been written."""
        await self.whole()
        for _ in range(PIECES):
            yield b"x" * self.size
            self.seen("written")
            await asyncio.sleep(0.01)

    async def whole(self) -> str:
        """An answer in one, once the client has left."""
        self.seen("begun")
        await self.go.wait()
        return "x" * self.size


def _leave_first(begin: scene.Begin, leaving: Leaving) -> tuple[Seen, str]:
    """Leave before anything is written, then let the handler go on; and what the console shows."""
    writing = Writing()
    with scene.console() as lines:
        with begin(writing) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            scene.leave(wire, writing.seen, leaving)
            writing.seen.wait("over", 0.1)  # where it is cancelled, it need not be let go on
            server.loop.call_soon_threadsafe(writing.go.set)
            writing.seen.expect("over", "the handler never ended")
        return writing.seen, f"{writing.seen.line}; {scene.shown(lines())}"


WRITE = "response-write-after-leave"
PIECEWISE = scene.both(lambda writing: {"/": writing.pieces}, lambda writing: noted(writing.seen))
WHOLE = scene.both(lambda writing: {"/": writing.whole}, lambda writing: noted(writing.seen))


@scene.leaves(WRITE, scene.begins(PIECEWISE))
@scene.leaves(WRITE, scene.not_told(PIECEWISE), FIN_AND_RST)
def ask_pieces(begin: scene.Begin, leaving: Leaving) -> Answer:
    """What a handler gets that writes its answer piece by piece."""
    seen, evidence = _leave_first(begin, leaving)
    written, ended = seen.events.count("written"), end(seen)
    if ended == "CancelledError":
        words = "cancelled before it writes" if written == 0 else f"cancelled after {written}"
    elif ended == "finished":
        words = "raises nothing"
    else:
        words = f"raises {ended}, at write {written + 1}"
    return Answer(words, evidence)


@scene.leaves(WRITE, scene.begins(WHOLE, "an answer in one"), scene.FIN)
def ask_whole(begin: scene.Begin, leaving: Leaving) -> Answer:
    """What a handler gets that returns its answer."""
    seen, evidence = _leave_first(begin, leaving)
    words = {"CancelledError": "cancelled before it returns", "finished": "returns undisturbed"}
    return Answer(words.get(end(seen), f"raises {end(seen)}"), evidence)


@scene.leaves(WRITE, scene.begins(PIECEWISE, "in a write that is stuck"))
def ask_blocked(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Read nothing until the handler is stuck in a write, then leave."""
    writing = Writing(size=LARGE)
    with begin(writing) as server, Wire(server.port) as wire:
        wire.request("GET", "/")
        writing.seen.expect("begun", "the handler was never begun")
        server.loop.call_soon_threadsafe(writing.go.set)
        _until_stuck(writing)
        wire.leave(leaving)
        writing.seen.wait("over", BLOCKED_S)
        ended = end(writing.seen)
    words = "stays in the write" if ended == "nothing" else f"raises {ended}, out of the write"
    return Answer(words, f"of {PIECES} pieces of {LARGE} bytes: {writing.seen.line}")


def _until_stuck(writing: Writing) -> None:
    """Until no more pieces are written for a while."""
    writing.seen.expect("written", "nothing was written")
    count = 0
    while count != (count := writing.seen.events.count("written")):
        time.sleep(0.3)
    if count == PIECES:
        raise ValueError("no write got stuck")


SENT = b"x" * 10
LENGTH = 1000


async def _reading(seen: Seen, reading: Awaitable[Any]) -> str:
    seen("begun")
    with noted(seen):
        body = await reading
        seen(f"{len(body)} bytes")
    return f"{len(body)}"


async def joined(pieces: AsyncIterable[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def aiohttp_reading(read: Callable[[web.Request], Awaitable[Any]]) -> scene.Make:
    async def handler(seen: Seen, request: web.Request) -> web.Response:
        return web.Response(text=await _reading(seen, read(request)))

    return lambda seen: aiohttp_app(web.post("/", partial(handler, seen)))


def quart_reading(read: Callable[[], Awaitable[Any]]) -> scene.Make:
    return lambda seen: quart_answering({"/": lambda: _reading(seen, read())})


READ = {
    AIOHTTP: aiohttp_reading(lambda request: request.read()),
    QUART: quart_reading(lambda: request.get_data()),
}
IN_PIECES = {
    AIOHTTP: aiohttp_reading(lambda request: joined(request.content.iter_any())),
    QUART: quart_reading(lambda: joined(request.body)),
}


@scene.leaves("request-body-unread", scene.begins(READ))
@scene.leaves("request-body-unread", scene.begins(IN_PIECES, "read in pieces"), scene.FIN)
def ask_unread(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Announce a body, send the first of it, and leave."""
    seen = Seen()
    with scene.console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("POST", "/", [("Content-Length", str(LENGTH))])
            wire.send(SENT)
            scene.leave(wire, seen, leaving)
            seen.expect("over", "the handler never ended")
        ended = seen.events[1]
        words = f"reads {ended}" if ended.endswith(" bytes") else f"raises {ended}"
        logged = "an error on the console" if lines() else "nothing on the console"
        sent = f"{len(SENT)} of {LENGTH} bytes were sent"
        return Answer(f"{words}, {logged}", f"{sent}; {seen.line}; {scene.shown(lines())}")


EVENTS = 8
APART_S = 0.5


async def sent_events(seen: Seen) -> AsyncIterator[bytes]:
    for number in range(EVENTS):
        yield b"data: %d\n\n" % number
        seen("event")
        await asyncio.sleep(APART_S)


EVENT_STREAM = {"Content-Type": "text/event-stream"}
SENT_EVENTS = scene.both(lambda seen: {"/": partial(sent_events, seen)}, noted, EVENT_STREAM)


@scene.leaves("server-sent-events", scene.begins(SENT_EVENTS))
def ask_events(begin: scene.Begin, leaving: Leaving) -> Answer:
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
