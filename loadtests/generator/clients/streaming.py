"""Connections for answers that come in pieces: when the first came, and readers that are slow."""

from __future__ import annotations

import contextlib
import socket
import time

from geventhttpclient._parser import HTTPParseError

from loopbench.loadtests.generator.clients.http1 import (
    IN_THE_MIDDLE,
    MALFORMED,
    AnswerBook,
    Connection,
    Framing,
    reason,
)
from loopbench.loadtests.scenarios.events import EVENTS, Events

_PIECE_BYTES = 4096

BROKEN_OFF = "broken off by the server"
"""What becomes of a reader that reads nothing where the server gives it up."""


class FirstByteConnection(Connection):
    """A Connection that also knows when an answer began to arrive.

    After `exchange` `first_ns` is the kernel's timestamp of what the first read returned. The
    kernel joins segments that wait to be read and keeps the latest one's timestamp, so that a
    generator that comes late to a read sees the first bytes as late as the last of those that
    waited with them: a bound from above, tight where the generator is not late.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.first_ns = 0

    def exchange(self, request: bytes, book: AnswerBook) -> str | None:
        """See `Connection.exchange`."""
        self.first_ns = 0
        return super().exchange(request, book)

    def _receive(self, connection: socket.socket) -> bytes:
        chunk = super()._receive(connection)
        if not self.first_ns:
            self.first_ns = self.received_ns
        return chunk


class _PieceByPiece(Connection):
    """Sends a request, and leaves its answer to be read in pieces."""

    def __init__(self, host: str, port: int, window_bytes: int = 0) -> None:
        super().__init__(host, port, window_bytes)
        self._framing: Framing | None = None
        self._book: AnswerBook | None = None

    def _new_framing(self, book: AnswerBook) -> Framing:
        return Framing(book.method, book.expected)

    def ask(self, request: bytes, book: AnswerBook) -> str | None:
        """Send a request; returns what went wrong, or None."""
        self.sent_ns = self.received_ns = time.time_ns()
        problem = self.connect()
        if problem is not None:
            return problem
        connection = self._socket
        assert connection is not None
        self._framing, self._book = self._new_framing(book), book
        self.sent_ns = time.time_ns()
        try:
            self._send_rest(connection, memoryview(request))
        except OSError as error:
            return self._broken(reason(error))
        return None

    @property
    def complete(self) -> bool:
        """Whether the whole answer has been read."""
        return self._framing is not None and self._framing.complete

    def _broken(self, problem: str) -> str:
        self.received_ns = time.time_ns()
        self.close()
        return problem


class SlowConnection(_PieceByPiece):
    """Sends a request, and then reads a little of the answer each time that `take` is called.

    It is never `busy`, so that a session does not expire it for being slow.
    """

    def take(self, most_bytes: int) -> str | None:
        """Read what is there, `most_bytes` at most, without waiting; returns what is wrong with
        the answer so far, or None."""
        connection, framing = self._socket, self._framing
        assert connection is not None
        assert framing is not None
        taken = 0
        while taken < most_bytes and not framing.complete:
            try:
                piece = connection.recv(min(_PIECE_BYTES, most_bytes - taken))
                if not piece:
                    return self._broken(IN_THE_MIDDLE)
                framing.feed(piece)
            except BlockingIOError:
                break
            except OSError as error:
                return self._broken(reason(error))
            except HTTPParseError:
                return self._broken(MALFORMED)
            self.received_ns = time.time_ns()
            taken += len(piece)
        return self.problem()

    @property
    def broken_off(self) -> bool:
        """Whether the server has broken the connection off, though not all that it sent was read.

        A reset shows at once, an orderly end only when all before it has been read.
        """
        connection = self._socket
        if connection is None:
            return True
        return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def problem(self) -> str | None:
        """What is wrong with as much of the answer as has been read, or None."""
        framing, book = self._framing, self._book
        if framing is None or book is None:
            return None
        if framing.complete:
            return book.judge(framing).problem
        status = framing.get_code()
        if status >= 100 and status != book.expected.status:  # below, not all of it has come
            return f"status {status} instead of {book.expected.status}"
        if not framing.agrees:
            return "body differs from the contract"
        return None


class _EventFraming(Framing):
    """Counts the events of a body, and keeps none of it."""

    def __init__(self, book: AnswerBook, events: Events) -> None:
        super().__init__(book.method, book.expected)
        self.events = events
        self.count = 0

    def _on_body(self, data: bytearray) -> None:
        self.count += self.events.feed(bytes(data))


class EventConnection(_PieceByPiece):
    """Reads the events of an answer that need not end.

    events: how they are told apart, a key of EVENTS.
    """

    def __init__(self, host: str, port: int, events: str) -> None:
        super().__init__(host, port)
        self._events = EVENTS[events]
        self._hung_up = False

    def _new_framing(self, book: AnswerBook) -> Framing:
        return _EventFraming(book, self._events())

    def more(self) -> tuple[int, str | None]:
        """Wait for what comes next; how many events ended in it, at `received_ns`, and what is
        wrong with the answer, or None."""
        connection, framing, book = self._socket, self._framing, self._book
        assert connection is not None
        assert isinstance(framing, _EventFraming)
        assert book is not None
        before = framing.count
        try:
            piece = self._receive(connection)
            if self._hung_up:
                return 0, None
            if piece:
                framing.feed(piece)
            else:
                self._finish(framing, b"begun" if framing.get_code() else b"")
        except OSError as error:
            return 0, self._broken("no event in time" if self.expired else reason(error))
        except HTTPParseError:
            return 0, self._broken(MALFORMED)
        status = framing.get_code()
        if status >= 200 and status != book.expected.status:
            return 0, self._broken(f"status {status} instead of {book.expected.status}")
        if framing.events.too_large:
            return 0, self._broken("an event of more than 1 MiB")
        if framing.complete and not (piece and framing.should_keep_alive()):
            self.close()
        return framing.count - before, None

    def hang_up(self) -> None:
        """Wake whoever waits for more. The connection stays until it is closed."""
        self._hung_up = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the server was quicker
                self._socket.shutdown(socket.SHUT_RD)
