"""Answers and bodies that are under way when the client leaves: streamed, stuck, or read."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from functools import partial

from quart import request

from loopbench.loadtests.behaviour.asking import Answer
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.parsing.scene import joined, readers
from loopbench.loadtests.behaviour.talking import Leaving, Wire, as_seen, requesting, seen

FIN_AND_RST = (Leaving.FIN, Leaving.RST)
SENT, LENGTH = b"x" * 10, 1000
"""The first of a body, and how long all of it is said to be."""
EVENTS, APART_S = 8, 0.5
PIECES = 10
LARGE = 1 << 20
"""Bytes of a piece, a few of which fill every buffer on the way to a client that does not read."""
BLOCKED_S = 3.0
"""How long a write that is stuck is watched after its client has left."""


def end() -> str:
    """What has ended the handler by now: `finished`, or the name of an exception."""
    ends = (event.removeprefix("handler ") for event in seen.events if event.startswith("handler "))
    ending = next(ends, "nothing")
    return "CancelledError" if ending == "cancelled" else ending.removeprefix("ended by ")


async def sent(piece: bytes, times: int, apart_s: float) -> AsyncIterator[bytes]:
    for _ in range(times):
        yield piece
        seen("sent")
        await asyncio.sleep(apart_s)


STREAM = scene.doing(partial(sent, b"x" * 1000, 50, 0.02))


@scene.leaves("stream-ends", scene.begins(STREAM))
@scene.leaves("stream-ends", scene.not_told(STREAM), FIN_AND_RST)
def ask_stream(begin: scene.Begin, leaving: Leaving) -> Answer:
    with requesting(begin()) as (_, wire):
        wire.head()
        wire.some()
        wire.leave(leaving)
        cleaned = seen.wait("over")
    how = "runs to its end" if end() == "finished" else f"ended by {end()}"
    return as_seen(f"{how}, {'finally runs' if cleaned else 'finally does not run'}")


may_write = asyncio.Event()


async def pieces(size: int = 1000) -> AsyncIterator[bytes]:
    """An answer in pieces, each of which is counted when it has been written."""
    await whole()
    for _ in range(PIECES):
        yield b"x" * size
        seen("written")
        await asyncio.sleep(0.01)


async def whole() -> str:
    """An answer in one."""
    seen("begun")
    await may_write.wait()
    return "hello"


WRITE = "response-write-after-leave"
PIECEWISE, WHOLE = scene.doing(pieces), scene.doing(whole)
STUCK = scene.doing(partial(pieces, LARGE))


def _leave_first(begin: scene.Begin, leaving: Leaving) -> str:
    """Leave before anything is written, then let the handler go on; and what the console shows."""
    with requesting(begin()) as (server, wire):
        scene.leave(wire, leaving)
        seen.wait("over", 0.1)  # where it is cancelled, it need not be let go on
        server.loop.call_soon_threadsafe(may_write.set)
        seen.expect("over", "the handler never ended")
    return scene.shown(scene.console())


@scene.leaves(WRITE, scene.begins(PIECEWISE))
@scene.leaves(WRITE, scene.not_told(PIECEWISE), FIN_AND_RST)
def ask_pieces(begin: scene.Begin, leaving: Leaving) -> Answer:
    evidence = _leave_first(begin, leaving)
    written = seen.events.count("written")
    words = {
        "CancelledError": f"cancelled after {written}" if written else "cancelled before it writes",
        "finished": "raises nothing",
    }
    return as_seen(words.get(end(), f"raises {end()}, at write {written + 1}"), evidence)


@scene.leaves(WRITE, scene.begins(WHOLE, "an answer in one"), scene.FIN)
def ask_whole(begin: scene.Begin, leaving: Leaving) -> Answer:
    evidence = _leave_first(begin, leaving)
    words = {"CancelledError": "cancelled before it returns", "finished": "returns undisturbed"}
    return as_seen(words.get(end(), f"raises {end()}"), evidence)


@scene.leaves(WRITE, scene.begins(STUCK, "in a write that is stuck"))
def ask_blocked(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Read nothing until no more is written for a while, then leave."""
    with requesting(begin()) as (server, wire):
        seen.expect("begun", "the handler was never begun")
        server.loop.call_soon_threadsafe(may_write.set)
        seen.expect("written", "nothing was written")
        count = 0
        while count != (count := seen.events.count("written")):
            time.sleep(0.3)
        if count == PIECES:
            raise ValueError("no write got stuck")
        wire.leave(leaving)
        seen.wait("over", BLOCKED_S)
        ended = end()
    words = "stays in the write" if ended == "nothing" else f"raises {ended}, out of the write"
    return as_seen(words, f"there were {PIECES} pieces of {LARGE} bytes")


async def noting_body(reading: Awaitable[bytes | str]) -> str:
    seen("begun")
    with scene.handling():
        seen(f"{len(await reading)} bytes")
    return "read"


READ = readers(
    aiohttp=lambda request: noting_body(request.read()),
    quart=lambda: noting_body(request.get_data()),
)
IN_PIECES = readers(
    aiohttp=lambda request: noting_body(joined(request.content.iter_any())),
    quart=lambda: noting_body(joined(request.body)),
)


@scene.leaves("request-body-unread", scene.begins(READ))
@scene.leaves("request-body-unread", scene.begins(IN_PIECES, "read in pieces"), scene.FIN)
def ask_unread(begin: scene.Begin, leaving: Leaving) -> Answer:
    """Announce a body, send the first of it, and leave."""
    with begin() as server, Wire(server.port) as wire:
        wire.request("POST", "/", f"Content-Length: {LENGTH}")
        wire.send(SENT)
        scene.leave(wire, leaving)
        seen.expect("over", "the handler never ended")
    words = f"reads {seen.events[1]}" if end() == "finished" else f"raises {end()}"
    logged = "an error on the console" if scene.console() else "nothing on the console"
    sent = f"{len(SENT)} of {LENGTH} bytes were sent"
    return as_seen(f"{words}, {logged}", sent, scene.shown(scene.console()))


EVENT_STREAM = {"Content-Type": "text/event-stream"}
SENT_EVENTS = scene.doing(partial(sent, b"data: 1\n\n", EVENTS, APART_S), headers=EVENT_STREAM)


@scene.leaves("server-sent-events", scene.begins(SENT_EVENTS))
def ask_events(begin: scene.Begin, leaving: Leaving) -> Answer:
    with requesting(begin()) as (_, wire):
        wire.head()
        seen.expect("sent", "no event was made")
        before = seen.events.count("sent")
        wire.leave(leaving)
        left = time.perf_counter()
        ended = seen.wait("over", EVENTS * APART_S + 2)
    more = seen.events.count("sent") - before
    if not ended or end() == "finished":
        return as_seen("never")
    took_s = seen.at("over") - left
    when = "at once" if took_s < APART_S / 2 else "with the next event"
    if more:
        when = f"after {more} more event{'s' * (more > 1)}"
    return as_seen(when, f"{took_s:.2f} s after it left, with an event every {APART_S:g} s")
