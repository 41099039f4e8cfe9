"""Ask a server one request, within bounds: an answer without end, or of any size, is an error.

A receive with a timeout bounds nothing, since each byte may come in time. Here the whole answer has
a bound, in time and in bytes, its interim answers (100 Continue) included.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from loopbench.servers.contract.http import Request

BOUND_S = 10.0
MOST_BYTES = 64 * 1024 * 1024
"""Of one answer. The largest of the contract has 16 MiB."""

_PIECE = 65536
_ZLIB = ("gzip", "x-gzip", "deflate")
_ANY_HEADER = zlib.MAX_WBITS | 32
"""For zlib: see from the first bytes whether they are of gzip or of zlib."""


class Unbounded(Exception):
    """An answer that was given up on; the message says which bound it broke.

    content_type: what its head says, where that had come.
    """

    content_type: str | None = None


class Unbegun(Unbounded):
    """Nothing had come of it when its time was over."""


class TooLarge(Unbounded):
    """It has more bytes than are taken, or says so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, with the headers that a Case can demand, and what a person is told of it.

    encoding: how its body is packed, as its Content-Encoding says.
    body: the bytes on the wire, not decompressed.
    """

    status: int
    content_type: str | None
    allow: str | None
    encoding: str | None
    body: bytes

    def unpacks_beyond(self, most_bytes: int) -> bool:
        """Whether the body is packed by gzip or deflate, and unpacks to more than so many bytes.
        It is unpacked no further than that, and nothing of it is kept."""
        if (self.encoding or "").strip().lower() not in _ZLIB:
            return False
        unpacker, rest, left = zlib.decompressobj(_ANY_HEADER), self.body, most_bytes
        try:
            while rest and left >= 0:
                left -= len(unpacker.decompress(rest, _PIECE))
                rest = unpacker.unconsumed_tail
                if unpacker.eof:  # a file of gzip may have several members
                    rest, unpacker = unpacker.unused_data, zlib.decompressobj(_ANY_HEADER)
        except zlib.error:
            return False  # it is not what it says; its bytes are compared as they are
        return left < 0


def ask(
    host: str,
    port: int,
    request: Request,
    *,
    bound_s: float = BOUND_S,
    most_bytes: int = MOST_BYTES,
    head_only: bool = False,
    body_s: float | None = None,
    events_s: float | None = None,
    until: Callable[[bytes], bool] | None = None,
) -> Answer:
    """Ask on a connection of its own.

    bound_s: for the whole answer. head_only: leave the body unread; `body` is empty then.
    body_s: how long after its head it may last; None: as long as bound_s leaves.
    events_s: the same of an answer of server-sent events; None: as any other.
    until: whether it is enough, asked with each piece of the body; `body` is what came until then.

    Raises Unbounded, OSError for a connection that cannot be had, and http.client.HTTPException
    for what is no answer.
    """
    with socket.create_connection((host, port), timeout=bound_s) as connection:
        deadline = time.monotonic() + bound_s
        connection.sendall(request.encode(f"{host}:{port}"))
        bounded = _Bounded(connection, deadline, bound_s, most_bytes)
        answer = http.client.HTTPResponse(bounded, method=request.method)  # type: ignore[arg-type]
        with answer:
            answer.begin()
            content_type = answer.getheader("Content-Type")
            if events_s is not None and is_of_events(content_type):
                body_s = events_s
            if body_s is not None:
                bounded.end_within(body_s)
            try:
                body = b"" if head_only else _body(answer, most_bytes, until)
            except Unbounded as error:
                error.content_type = content_type
                raise
            return Answer(
                answer.status,
                content_type,
                answer.getheader("Allow"),
                answer.getheader("Content-Encoding"),
                body,
            )


def _body(
    answer: http.client.HTTPResponse, most_bytes: int, until: Callable[[bytes], bool] | None
) -> bytes:
    if answer.length is not None and answer.length > most_bytes:
        raise TooLarge(
            f"says that it has {answer.length:,} bytes, more than the {most_bytes:,} taken"
        )
    expected, pieces = answer.length, []
    read = answer.read if until is None else answer.read1  # the latter waits for no more
    while piece := read(_PIECE):
        pieces.append(piece)
        if until is not None and until(piece):
            return b"".join(pieces)
    body = b"".join(pieces)
    if expected is not None and len(body) < expected:
        raise http.client.IncompleteRead(body, expected - len(body))
    return body


def is_of_events(content_type: str | None) -> bool:
    """Whether a body of this Content-Type is of server-sent events, which seldom end."""
    return (content_type or "").partition(";")[0].strip().lower() == "text/event-stream"


class _Bounded(io.RawIOBase):
    """What http.client takes for a socket, and for its file: it ends at the bounds."""

    def __init__(
        self, connection: socket.socket, deadline: float, bound_s: float, most_bytes: int
    ) -> None:
        self._connection = connection
        self._deadline, self._within = deadline, f"{bound_s:g} s"
        self._left, self._most = most_bytes + _PIECE, most_bytes
        self._read = 0

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _PIECE)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise self._late()
        self._connection.settimeout(left_s)
        try:
            count = self._connection.recv_into(buffer)
        except TimeoutError:
            raise self._late() from None
        self._read += count
        if self._read > self._left:
            raise TooLarge(f"goes on after {self._most:,} bytes")
        return count

    def end_within(self, bound_s: float) -> None:
        """Bound what is still to come, where that is earlier."""
        deadline = time.monotonic() + bound_s
        if deadline < self._deadline:
            self._deadline, self._within = deadline, f"{bound_s:g} s after its head"

    def _late(self) -> Unbounded:
        if not self._read:
            return Unbegun(f"did not begin within {self._within}")
        return Unbounded(
            f"did not end within {self._within} ({self._read:,} bytes had come until then)"
        )
