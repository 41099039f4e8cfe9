"""EXCHANGES: what every stack promises of its WebSockets, as ROUTES and CASES do of the rest.

An Exchange is a conversation on one connection: what is sent, and every frame that must come
back, in order. Conformance tests and the check before a load read the same table.
"""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.servers.contract.close_codes import (
    Close,
)
from loopbench.servers.contract.frames import (
    Frame,
    Op,
    closing,
    encode,
    masked_bytes,
)
from loopbench.servers.contract.http import Case, Expected, Request
from loopbench.servers.contract.limits import (
    MESSAGE_LIMIT_BYTES,
)
from loopbench.servers.contract.payloads import (
    HELLO,
)

MASK = b"\x37\xfa\x21\x3d"
"""Of all frames that the suite sends (RFC 6455, 5.7). A browser's must not be foreseen, for the
sake of proxies; there are none here."""

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
_LONG_HEAD_BYTES = 10
"""Of a frame of 65,536 bytes or more: opcode, length and extended length (RFC 6455, 5.2)."""

_MASKED = 0x80
"""The bit of the second byte that says so."""


@dataclass(frozen=True, slots=True)
class Turn:
    """`sent` goes out as it is, and `expected` is all that comes back."""

    sent: bytes
    expected: tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One conversation. ended: whether the server closes the connection after it."""

    name: str
    target: str
    turns: tuple[Turn, ...]
    ended: bool = False


def upgrade(target: str) -> Request:
    """The request that a WebSocket begins with."""
    return Request(
        "GET",
        target,
        (
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY.decode()),
        ),
    )


SWITCHED = Expected(101, None, b"")
"""The answer to an upgrade."""


def opening(name: str, target: str) -> Case:
    """The upgrade alone, as a load's Case."""
    return Case(name, upgrade(target), SWITCHED)


def sent(*frames: Frame) -> bytes:
    """Frames as a client sends them."""
    return b"".join(encode(frame, MASK) for frame in frames)


def _long(size: int) -> bytes:
    """A client's frame of so many letters x, 65,536 or more.

    The mask is put on four of them: on a MiB it takes some milliseconds, and every process that
    imports this table would spend them at its start.
    """
    head = bytearray(encode(Frame(Op.BINARY, b"x" * size))[:_LONG_HEAD_BYTES])
    head[1] |= _MASKED
    return bytes(head) + MASK + (masked_bytes(b"xxxx", MASK) * (size // 4 + 1))[:size]


def _echo(name: str, *messages: Frame) -> Exchange:
    turns = tuple(Turn(sent(message), (message,)) for message in messages)
    return Exchange(f"ws-echo-{name}", "/ws/echo", turns)


def _broken(name: str, what: bytes) -> Exchange:
    """Whatever it closes with, no answer may be given, and the connection must end."""
    return Exchange(f"ws-broken-{name}", "/ws/echo", (Turn(what, ()),), ended=True)


_PARTS = (
    Frame(Op.TEXT, b"one ", fin=False),
    Frame(Op.CONTINUATION, b"two ", fin=False),
    Frame(Op.PING, b"between"),
    Frame(Op.CONTINUATION, b"three"),
)

_EXCHANGES: tuple[Exchange, ...] = (
    _echo("text", Frame(Op.TEXT, b"hello"), Frame(Op.TEXT, b"again")),
    _echo("unicode", Frame(Op.TEXT, "é €".encode())),
    _echo("binary", Frame(Op.BINARY, bytes(range(256)))),
    _echo("empty-text", Frame(Op.TEXT, b"")),
    _echo("empty-binary", Frame(Op.BINARY, b"")),
    _echo("125", Frame(Op.BINARY, b"x" * 125)),
    _echo("126", Frame(Op.BINARY, b"x" * 126)),
    _echo("65535", Frame(Op.BINARY, b"x" * 65535)),
    _echo("65536", Frame(Op.BINARY, b"x" * 65536)),
    Exchange(
        "ws-echo-at-the-limit",
        "/ws/echo",
        (Turn(_long(MESSAGE_LIMIT_BYTES), (Frame(Op.BINARY, b"x" * MESSAGE_LIMIT_BYTES),)),),
    ),
    Exchange(
        "ws-echo-parts",
        "/ws/echo",
        (Turn(sent(*_PARTS), (Frame(Op.PONG, b"between"), Frame(Op.TEXT, b"one two three"))),),
    ),
    Exchange("ws-ping", "/ws/echo", (Turn(sent(Frame(Op.PING, b"x")), (Frame(Op.PONG, b"x"),)),)),
    Exchange(
        "ws-close",
        "/ws/echo",
        (Turn(sent(closing(Close.NORMAL)), (closing(Close.NORMAL),)),),
        ended=True,
    ),
    Exchange("ws-push", "/ws?rate=1000", (Turn(b"", (Frame(Op.TEXT, HELLO.encode()),) * 3),)),
    Exchange("ws-feed", "/ws/feed", (Turn(sent(Frame(Op.PING, b"x")), (Frame(Op.PONG, b"x"),)),)),
    _broken("opcode", b"\x83\x80" + MASK),
    _broken("unmasked", b"\x81\x02hi"),
    _broken("reserved-bits", b"\xf1\x80" + MASK),
    _broken("long-ping", encode(Frame(Op.PING, b"x" * 126), MASK)),
    _broken("continuation", sent(Frame(Op.CONTINUATION, b"x"))),
    _broken("not-utf8", sent(Frame(Op.TEXT, b"\xff"))),
    _broken("too-long", _long(MESSAGE_LIMIT_BYTES + 1)),
)

EXCHANGES: dict[str, Exchange] = {exchange.name: exchange for exchange in _EXCHANGES}
"""Every exchange by name."""
