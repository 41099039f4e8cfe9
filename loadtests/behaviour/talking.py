"""What clients talk with: bytes over a Wire, a WebSocket by hand; and what servers report back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from loopbench.loadtests.behaviour.framework.events import EventLog
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.framework.raw_client import (
    Leaving,
    NoAnswer,
    Reply,
    Wire,
    get,
    head,
)
from loopbench.loadtests.behaviour.framework.servers import App, Live, serve

__all__ = ["Leaving", "NoAnswer", "Reply", "Wire", "get", "head"]  # of the client, handed on

seen = EventLog()
"""What the application reports. One for all, since each experiment has a process of its own."""


def noting(event: str, words: Callable[[Any], object] = str) -> Any:
    """A hook that reports this, with `words` of the response or error that it is given in place
    of {}, and hands that on."""

    async def hook(*given: Any, **_: Any) -> Any:
        last = given[-1] if given else None
        seen(event.format(words(last)))
        return last

    return hook


def as_seen(answer: str, *more: str) -> Answer:
    """An Answer whose evidence is what was seen, and more."""
    return Answer(answer, "; ".join(filter(None, (seen.line, *more))) or "nothing was seen")


def reply_of(app: App, target: str = "/", **options: Any) -> Reply:
    """The answer to GET target, on a server of these options. Raises NoAnswer."""
    with serve(app, **options) as server:
        return get(server.port, target)


@contextmanager
def requesting(
    serving: AbstractContextManager[Live], method: str = "GET"
) -> Iterator[tuple[Live, Wire]]:
    """A server, and a client that has sent it a request for /, without a body."""
    with serving as server, Wire(server.port) as wire:
        wire.request(method, "/", *(["Content-Length: 0"] if method == "POST" else []))
        yield server, wire


def received(wire: Wire, bound_s: float = 1.0) -> str:
    """What is there for a client to read that sends no more."""
    if wire.left:
        return "had left"
    with suppress(NoAnswer, ConnectionError, ValueError):
        reply = wire.answer(bound_s)
        return f"got {reply.status}" if reply.status != 200 else f"got 200 with {reply.text!r}"
    try:
        rest = wire.rest(bound_s / 2)
    except NoAnswer:
        return "still waits"
    return f"got {len(rest)} bytes and then the end" if rest else "got nothing but the end"


def shake_hands(wire: Wire, target: str = "/ws") -> bytes:
    """Ask for a WebSocket; the head of the answer. Raises NoAnswer."""
    version, key = "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {22 * 'A'}=="
    wire.send(head("GET", target, "Connection: Upgrade", "Upgrade: websocket", version, key))
    return wire.head()


def upgraded(port: int, target: str = "/ws") -> tuple[bytes, bytes]:
    """A WebSocket, listened to until the server closes it: the head of the answer, what it said."""
    with Wire(port) as wire:
        head, frames = shake_hands(wire, target), b""
        while b"\x88" not in frames and (more := wire.some()):
            frames += more
        wire.send(b"\x88\x80\0\0\0\0")  # the closing frame
        return head, frames
