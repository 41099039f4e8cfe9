"""A WebSocket client on a plain blocking socket: for the check before a load, and for tests."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

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
from loopbench.servers.contract.websockets import KEY, MASK, Exchange, upgrade

TIMEOUT_S = 10.0
_RECEIVE_BYTES = 65536
_LIMIT = 1 << 24


class NotUpgraded(Exception):
    """The server did not answer 101 as the RFC wants it."""


class Talk:
    """An open WebSocket. Errors of the socket are raised as they are."""

    def __init__(self, connection: socket.socket, begun: bytes) -> None:
        self.socket = connection
        self._reader = Reader(masked=False, limit=_LIMIT)
        self._messages = Messages(_LIMIT)
        self._ready = list(self._reader.feed(begun))

    def send(self, *frames: Frame) -> None:
        """Send frames, masked."""
        self.socket.sendall(b"".join(encode(frame, MASK) for frame in frames))

    def receive(self) -> Frame | None:
        """The next message or control frame; None at the connection's end."""
        while True:
            while self._ready:
                whole = self._messages.add(self._ready.pop(0))
                if whole is not None:
                    return whole
            chunk = self.socket.recv(_RECEIVE_BYTES)
            if not chunk:
                return None
            self._ready += self._reader.feed(chunk)


@contextmanager
def talking(
    host: str,
    port: int,
    target: str,
    *,
    receive_bytes: int = 0,
    headers: tuple[tuple[str, str], ...] = (),
) -> Iterator[Talk]:
    """Connect and upgrade. receive_bytes: the socket's receive buffer, where not the usual.
    headers: sent with the upgrade.

    Raises NotUpgraded with the status, and OSError.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as connection:
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.connect((host, port))
        asked = upgrade(target)
        asked = replace(asked, headers=(*asked.headers, *headers))
        connection.sendall(asked.encode(f"{host}:{port}"))
        yield Talk(connection, _upgraded(connection))


def _upgraded(connection: socket.socket) -> bytes:
    """Read the answer to the upgrade; what came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(_RECEIVE_BYTES)
        if not chunk:
            raise NotUpgraded("closed before the answer")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    status, _, lines = head.partition(b"\r\n")
    fields = dict(line.split(b":", 1) for line in lines.lower().split(b"\r\n") if b":" in line)
    code = int(status.split()[1])
    if code != http.HTTPStatus.SWITCHING_PROTOCOLS:
        raise NotUpgraded(f"status {code} instead of 101")
    accepted = fields.get(b"sec-websocket-accept", b"").strip()
    if accepted != accept_key(KEY).lower():
        raise NotUpgraded("a wrong Sec-WebSocket-Accept")
    return rest


def problem(host: str, port: int, exchange: Exchange) -> str | None:
    """What is wrong with the server's side of an exchange; None where it is kept.

    Raises OSError as `talking` does: it may be this side's own.
    """
    try:
        with talking(host, port, exchange.target) as talk:
            return _wrong(talk, exchange)
    except (NotUpgraded, BrokenFrame) as error:
        return f"{type(error).__name__}: {error}"


def _wrong(talk: Talk, exchange: Exchange) -> str | None:
    for turn in exchange.turns:
        try:
            talk.socket.sendall(turn.sent)
        except (ConnectionResetError, BrokenPipeError):
            if exchange.ended and not turn.expected:
                return None  # it has heard enough before it was told all
            raise
        for expected in turn.expected:
            frame = talk.receive()
            if frame != expected and not _both_close(frame, expected):
                return f"{_shown(frame)} instead of {_shown(expected)}"
    if not exchange.ended:
        return None
    try:
        after = talk.receive()
        while after is not None and after.op is Op.CLOSE:
            talk.send(closing(Close.NORMAL))  # some servers wait for it
            after = talk.receive()
    except (ConnectionResetError, BrokenPipeError):
        return None
    return None if after is None else f"{_shown(after)} instead of the connection's end"


def _both_close(frame: Frame | None, expected: Frame) -> bool:
    """A closing frame may add a text to its code."""
    both = frame is not None and frame.op is expected.op is Op.CLOSE
    return both and frame is not None and frame.payload[:2] == expected.payload[:2]


def _shown(frame: Frame | None) -> str:
    if frame is None:
        return "the connection's end"
    return f"{frame.op.name.lower()} of {len(frame.payload)} bytes {frame.payload[:20]!r}"
