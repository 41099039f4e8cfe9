"""WebSocket frames (RFC 6455): written, and read from bytes as they arrive.

Without extensions, and without the checks of what is no frame's business (handshake, UTF-8).
"""

from __future__ import annotations

import base64
import enum
import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from loopbench.servers.contract.close_codes import Close

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST_CONTROL = 125
_SHORT, _LONG = struct.Struct("!BBH"), struct.Struct("!BBQ")
_FIN, _MASKED, _RESERVED = 0x80, 0x80, 0x70


class Op(enum.IntEnum):
    """Opcodes (RFC 6455, 11.8)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class BrokenFrame(Exception):
    """What arrived is no frame that the receiver may take; `code` is what it closes with."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, unmasked. fin: whether its message ends with it."""

    op: Op
    payload: bytes
    fin: bool = True


def accept_key(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def encode(frame: Frame, mask: bytes | None = None) -> bytes:
    """A frame's bytes. mask: four bytes, which a client must have and a server must not."""
    size, masked = len(frame.payload), 0 if mask is None else _MASKED
    first = frame.op | (_FIN if frame.fin else 0)
    if size <= _LONGEST_CONTROL:
        head = bytes((first, masked | size))
    elif size < 1 << 16:
        head = _SHORT.pack(first, masked | 126, size)
    else:
        head = _LONG.pack(first, masked | 127, size)
    if mask is None:
        return head + frame.payload
    return head + mask + masked_bytes(frame.payload, mask)


def masked_bytes(data: bytes, mask: bytes) -> bytes:
    """`data` with the mask put on, or taken off again."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(size)


def closing(code: Close) -> Frame:
    """A closing frame without a text."""
    return Frame(Op.CLOSE, code.to_bytes(2))


class Reader:
    """Frames out of bytes as they arrive.

    masked: whether they must be (what a client sends), or must not. limit: the longest payload.
    """

    def __init__(self, *, masked: bool, limit: int) -> None:
        self._masked = masked
        self._limit = limit
        self._rest = bytearray()

    @property
    def between(self) -> bool:
        """Whether no frame has been begun."""
        return not self._rest

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole with these bytes. Raises BrokenFrame."""
        self._rest += data
        while (frame := self._take()) is not None:
            yield frame

    def _take(self) -> Frame | None:
        rest = self._rest
        if len(rest) < 2:
            return None
        op, size = self._head(rest[0], rest[1])
        start = 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(rest) < start:
                return None
            size = int.from_bytes(rest[2:start])
        if size > self._limit:
            raise BrokenFrame(Close.TOO_LONG, "a frame beyond the limit")
        body = start + 4 if self._masked else start
        if len(rest) < body + size:
            return None
        payload = bytes(rest[body : body + size])
        if self._masked:
            payload = masked_bytes(payload, bytes(rest[start:body]))
        fin = bool(rest[0] & _FIN)
        del rest[: body + size]
        return Frame(op, payload, fin)

    def _head(self, first: int, second: int) -> tuple[Op, int]:
        """Opcode and short length of a frame's first two bytes."""
        size = second & 0x7F
        if first & _RESERVED:
            raise BrokenFrame(Close.PROTOCOL_ERROR, "reserved bits are set")
        try:
            op = Op(first & 0x0F)
        except ValueError:
            raise BrokenFrame(Close.PROTOCOL_ERROR, "an unknown opcode") from None
        if bool(second & _MASKED) != self._masked:
            which = "unmasked" if self._masked else "masked"
            raise BrokenFrame(Close.PROTOCOL_ERROR, f"{which} frame")
        if op >= Op.CLOSE and (size > _LONGEST_CONTROL or not first & _FIN):
            raise BrokenFrame(Close.PROTOCOL_ERROR, "a control frame that is long or in parts")
        return op, size


class Messages:
    """Whole messages out of frames: text and binary ones from their parts, the rest as it is."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._op: Op | None = None
        self._parts = bytearray()

    @property
    def between(self) -> bool:
        """Whether no message has been begun."""
        return self._op is None

    def add(self, frame: Frame) -> Frame | None:
        """The message that is whole with this frame. Raises BrokenFrame."""
        if frame.op >= Op.CLOSE:
            return frame
        if (frame.op is Op.CONTINUATION) == self.between:
            raise BrokenFrame(Close.PROTOCOL_ERROR, "a part of no message")
        if self._op is None:
            self._op = frame.op
        self._parts += frame.payload
        if len(self._parts) > self._limit:
            raise BrokenFrame(Close.TOO_LONG, "a message beyond the limit")
        if not frame.fin:
            return None
        whole = Frame(self._op, bytes(self._parts))
        self._op, self._parts = None, bytearray()
        if whole.op is Op.TEXT:
            try:
                whole.payload.decode()
            except UnicodeDecodeError:
                raise BrokenFrame(Close.NOT_UTF8, "text that is not UTF-8") from None
        return whole
