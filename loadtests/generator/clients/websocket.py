"""One WebSocket on a gevent loop, its messages stamped by the kernel.

As lean as `client.Connection`, whose socket and clocks it has: frames are encoded beforehand,
and an answer is compared with the bytes that the contract demands before anybody reads a frame.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable

from loopbench.loadtests.generator.clients.http1 import Connection, reason
from loopbench.servers.contract.frames import (
    BrokenFrame,
    Frame,
    Messages,
    Op,
    Reader,
    accept_key,
    encode,
)
from loopbench.servers.contract.websockets import KEY, MASK

_LIMIT = 1 << 24
_ACCEPTED = b"\r\nsec-websocket-accept: " + accept_key(KEY).lower() + b"\r\n"
_HEAD_LIMIT_BYTES = 65536
DISTINCT = 16
"""How many different messages a user sends in turn; one that comes late, twice or never shows."""


def prepared(size: int, number: int) -> list[tuple[bytes, bytes]]:
    """The frames that a user sends, masked, each with the answer; `number` tells users apart."""
    pairs = []
    for turn in range(DISTINCT):
        text = f"{number}:{turn};".encode()
        payload = (text * (size // len(text) + 1))[:size]
        message = Frame(Op.TEXT, payload)
        pairs.append((encode(message, MASK), encode(message)))
    return pairs


class WebSocket(Connection):
    """A Connection that is upgraded as it connects.

    opening: the bytes of the upgrade. receive_bytes: the size of the kernel's receive buffer.
    """

    def __init__(self, host: str, port: int, opening: bytes, receive_bytes: int = 0) -> None:
        super().__init__(host, port)
        self._opening = opening
        self._receive_bytes = receive_bytes
        self._begun = b""

    def connect(self) -> str | None:
        """Connect and upgrade if not connected; returns what went wrong, or None."""
        if self._socket is not None:
            return None
        self.sent_ns = self.received_ns = time.time_ns()
        problem = super().connect()
        if problem is None:
            problem = self._guarded(self._upgrade)
            if problem is not None:
                self.close()
        return problem

    def _upgrade(self) -> str | None:
        connection = self._socket
        assert connection is not None
        if self._receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        connection.send(self._opening)
        data = b""
        while b"\r\n\r\n" not in data:
            if len(data) > _HEAD_LIMIT_BYTES:
                return "upgrade: a head without an end"
            data += self._more(connection)
        head, end, self._begun = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            status = head[9:12].decode("latin-1")
            return f"status {status} instead of 101"
        return None if _ACCEPTED in (head + end).lower() else "a wrong Sec-WebSocket-Accept"

    def echo(self, frame: bytes, expected: bytes) -> str | None:
        """Send a frame and read its answer; None where it is the expected one, else why not.

        A connection that failed is closed; the next message opens a new one.
        """
        if self._socket is None:
            problem = self.connect()
            if problem is not None:
                self.received_ns = time.time_ns()
                return problem
        if self._begun:
            self.close()
            return "a message that nobody asked for"
        self.busy = True
        connection = self._socket
        assert connection is not None
        sent = 0
        try:
            self.sent_ns = time.time_ns()
            try:  # noqa: SIM105  (nothing may stand between the clock and the send)
                sent = connection.send(frame)
            except BlockingIOError:
                pass
            if sent != len(frame):
                self._send_rest(connection, memoryview(frame)[sent:])
            data = self._receive(connection)
            while data != expected:
                if not data or not expected.startswith(data):
                    problem = self._otherwise(data, expected)
                    break
                data += self._more(connection, "closed in the middle of a frame")
            else:
                if self.received_ns >= self.sent_ns:
                    return None
                problem = "an answer that came before its message"
        except OSError as error:
            self.received_ns = time.time_ns()
            problem = self.why(error)
        finally:
            self.busy = False
        self.close()
        return problem

    def more(self, between: bool = True) -> bytes:
        """What has come, at least one byte. Raises OSError; at the end ConnectionAbortedError.

        between: whether no frame has been begun.
        """
        if self._begun:
            data, self._begun = self._begun, b""
            return data
        connection = self._socket
        assert connection is not None
        at_end = "closed without a word" if between else "closed in the middle of a frame"
        return self._more(connection, at_end)

    def _more(self, connection: socket.socket, at_end: str = "closed without a word") -> bytes:
        chunk = self._receive(connection)
        if not chunk:
            raise ConnectionAbortedError(errno.ECONNABORTED, at_end)
        return chunk

    def _guarded(self, step: Callable[[], str | None]) -> str | None:
        self.busy = True
        try:
            return step()
        except OSError as error:
            return f"upgrade: {self.why(error)}"
        finally:
            self.busy = False

    def why(self, error: OSError) -> str:
        """A reason that does not vary from message to message."""
        return "no answer in time" if self.expired else reason(error)

    def _otherwise(self, data: bytes, expected: bytes) -> str:
        """What it is that came in place of the expected answer."""
        if self.expired:
            return "no answer in time"
        if data.startswith(expected):
            return "more than the answer"
        return otherwise(data)


def otherwise(data: bytes) -> str:
    """In words, what bytes are that should not have come."""
    if not data:
        return "closed without a word"
    reader, messages = Reader(masked=False, limit=_LIMIT), Messages(_LIMIT)
    try:
        for frame in reader.feed(data):
            whole = messages.add(frame)
            if whole is not None and whole.op is Op.CLOSE:
                code = int.from_bytes(whole.payload[:2]) if whole.payload else 1005
                return f"closed with code {code}"
            if whole is not None:
                return f"another {whole.op.name.lower()} message than the one that was due"
    except BrokenFrame as broken:
        return f"a broken frame: {broken}"
    return "a part of another message than the one that was due"
