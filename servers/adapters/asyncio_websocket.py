"""The yardstick's WebSocket: an echo on a bare asyncio.Protocol.

A frame that comes again byte for byte is not read again, as a request is not.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from loopbench.servers.contract.close_codes import Close
from loopbench.servers.contract.frames import (
    BrokenFrame,
    Frame,
    Messages,
    Op,
    Reader,
    accept_key,
    closing,
    encode,
)
from loopbench.servers.contract.limits import MESSAGE_LIMIT_BYTES

ECHO_PATH = "/ws/echo"
LINGER_S = 2.0
MEMO_FRAMES = 16_384
MEMO_BYTES = 512
"""How many different messages are remembered, and how long each may be."""


class Kept(Protocol):
    """A connection, as its server keeps it until its end."""

    task: asyncio.Task[None] | None

    def retire(self) -> None: ...

    def abort(self) -> None: ...


def switching(headers: dict[bytes, bytes]) -> bytes | None:
    """The answer to an upgrade; None where it is not one that the RFC knows."""
    key = headers.get(b"sec-websocket-key")
    if key is None or headers.get(b"sec-websocket-version") != b"13":
        return None
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n"
    ) % accept_key(key)


class Echo(asyncio.Protocol):
    """One WebSocket: each message goes back as it came.

    kept: the server's connections, this one among them. memo: what the frames so far have been
    answered with, shared by all.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        kept: set[Kept],
        drained: asyncio.Event,
        memo: dict[bytes, bytes],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._transport = transport
        self._kept = kept
        self._drained = drained
        self._memo = memo
        self._reader = Reader(masked=True, limit=MESSAGE_LIMIT_BYTES)
        self._messages = Messages(MESSAGE_LIMIT_BYTES)
        self._closing = False
        kept.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.discard(self)
        if not self._kept:
            self._drained.set()

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        # Whether a frame means the same again depends on what is still open before it.
        fresh = self._reader.between and self._messages.between
        if fresh and (known := self._memo.get(data)) is not None:
            self._transport.write(known)
            return
        answer, whole = bytearray(), True
        try:
            for frame in self._reader.feed(data):
                message = self._messages.add(frame)
                if message is not None:
                    answer += self._answer(message)
                if self._closing:
                    break
        except BrokenFrame as broken:
            answer += encode(closing(broken.code))
            self._closing = True
        whole = self._reader.between and self._messages.between and not self._closing
        if fresh and whole and len(data) <= MEMO_BYTES:
            if len(self._memo) >= MEMO_FRAMES:
                self._memo.clear()
            self._memo[data] = bytes(answer)
        self._transport.write(answer)
        if self._closing:
            self._end()

    def _answer(self, message: Frame) -> bytes:
        if message.op is Op.PING:
            return encode(Frame(Op.PONG, message.payload))
        if message.op is Op.PONG:
            return b""
        if message.op is Op.CLOSE:
            self._closing = True
            return encode(Frame(Op.CLOSE, message.payload[:2]))
        return encode(message)

    def _end(self) -> None:
        """What a client still sends is read and dropped for a while, lest it lose the answer."""
        if not self._transport.is_closing():
            self._transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def eof_received(self) -> bool:
        return False

    def retire(self) -> None:
        """The server is about to end."""
        if not self._closing:
            self._closing = True
            self._transport.write(encode(closing(Close.GOING_AWAY)))
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()
