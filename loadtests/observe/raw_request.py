"""One request on an open connection, sent in one piece, and its answer as it came."""

from __future__ import annotations

import http.client
import socket
from contextlib import suppress
from dataclasses import dataclass

from loopbench.servers.contract.http import Request

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. line: the whole status line. headers: in the order and case in which they
    came."""

    status: int
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first field of that name, in lower case; None where there is none."""
        return next((value for field, value in self.headers if field.lower() == name), None)


def connect(host: str, port: int, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """A connection that sends at once what it is given."""
    connection = socket.create_connection((host, port), timeout=timeout_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(connection: socket.socket, request: Request, host: str) -> Reply:
    """Send and receive; the connection stays open. Raises OSError and HTTPException."""
    with suppress(ConnectionResetError, BrokenPipeError):  # an early refusal may still be read
        connection.sendall(request.encode(host))
    return receive(connection, request.method)


def receive(connection: socket.socket, method: str = "GET") -> Reply:
    """The answer to what was sent. Raises OSError and HTTPException."""
    with http.client.HTTPResponse(connection, method=method) as answer:
        answer.begin()
        body = answer.read()
        line = f"HTTP/{answer.version / 10:g} {answer.status} {answer.reason}"
        return Reply(answer.status, line, tuple(answer.getheaders()), body)
