"""One HTTP/1.1 connection on a gevent loop, its answers stamped by the kernel.

This is the measuring instrument, so it does as little as it can between two
readings of a clock: the request was encoded beforehand, the answer is framed
by llhttp (through geventhttpclient's parser), and an answer whose very bytes
were framed and checked before is not framed again.

Remembering answers is exact, not an approximation: framing starts from a fresh
parser for each request, so what a sequence of bytes means depends on those
bytes alone. One `AnswerBook` belongs to one request and one expectation.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.monkey
from geventhttpclient._parser import HTTPParseError, HTTPResponseParser

from loopbench.servers.contract.http import Case, Expected

_plain_socket = gevent.monkey.get_original("socket", "socket")
"""The class beneath gevent's patch: the waiting is done here, on the same loop, without
the bookkeeping that gevent's own class adds to each call."""

_SO_TIMESTAMPNS = 35
"""Linux's number on every architecture but alpha, parisc and sparc; Python's socket
module does not name it."""

_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_RECEIVE_BYTES = 65536
REMEMBERED_BYTES = 8192
_REMEMBERED_ANSWERS = 512
_KEPT_BYTES = 8192
_EXCESS_BYTES = 16 * 1024 * 1024
"""How much longer than the one demanded a body may be, and how long where any will do: as long as
an own application's may be while its answers are learned."""


IN_THE_MIDDLE = "closed in the middle of the answer"
MALFORMED = "malformed answer"
_PART_IN_TIME = "no end of the answer in time"


class TooLong(Exception):
    """An answer that goes on after all that it may have."""


class Framing(HTTPResponseParser):
    """One answer as llhttp sees it; `complete` once its last byte was fed.

    An answer of any size takes little memory: its body is compared as it comes. `begin` is what is
    kept of it, all where only the whole can be matched against a pattern. `length` is in bytes,
    `declared` what the head says of it, 0 where it says nothing.
    """

    def __init__(self, method: str, expected: Expected) -> None:
        super().__init__()
        self.method = method
        self.begin = bytearray()
        self.length = self.declared = 0
        self.agrees = True
        self.complete = False
        self._pattern: re.Pattern[bytes] | None = None
        self._exact: memoryview | None = None
        if isinstance(expected.body, bytes):
            self._exact = memoryview(expected.body)
        elif not expected.any_body:
            self._pattern = expected.body
        self._most_bytes = (expected.body_bytes or 0) + _EXCESS_BYTES
        self.excess = False

    def _on_message_begin(self) -> None:
        self.excess = self.complete

    def _on_status(self, text: str) -> None:
        pass

    def _on_header_field(self, text: str) -> None:
        pass

    def _on_header_value(self, text: str) -> None:
        pass

    def _on_headers_complete(self) -> bool:
        if self.method == "HEAD":
            return True  # tells llhttp that no body follows
        self.declared = self.get_remaining_content_length()
        return False

    def _on_body(self, data: bytearray) -> None:
        before, self.length = self.length, self.length + len(data)
        if self._exact is not None and self.agrees:
            self.agrees = self._exact[before : self.length] == data
        if self._pattern is not None or before < _KEPT_BYTES:
            self.begin += data

    def bound(self) -> None:
        """Raise TooLong for a body that is longer than any that is taken, or says that it is."""
        if self.declared > self._most_bytes and not self.complete:
            raise TooLong(
                f"body says that it has {self.declared:,} bytes, more than the "
                f"{self._most_bytes:,} taken"
            )
        if self.length > self._most_bytes:
            raise TooLong(f"body goes on after {self._most_bytes:,} bytes")

    def right(self) -> bool:
        """Whether the body of the whole answer is the one demanded."""
        if self._exact is not None:
            return self.agrees and self.length == len(self._exact)
        return self._pattern is None or self._pattern.fullmatch(self.begin) is not None

    def _on_message_complete(self) -> None:
        # An interim answer (1xx) is a message of its own; the final one follows.
        self.complete = not 100 <= self.get_code() < 200


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sequence of bytes was worth: `problem` is None for the right answer."""

    status: int
    problem: str | None
    keep_alive: bool
    body_bytes: int


class AnswerBook:
    """Answers by their bytes, for one Case.

    known: None stands for "more must follow". length: of the body of the answer framed last.
    """

    __slots__ = ("expected", "known", "length", "method")

    def __init__(self, case: Case) -> None:
        self.method = case.request.method
        self.length = 0
        self.expected: Expected = case.expected
        self.known: dict[bytes, Answer | None] = {}

    def remember(self, data: bytes, answer: Answer | None) -> None:
        """Keep it, where it is small; forget all where answers vary without end."""
        if len(data) <= REMEMBERED_BYTES:
            if len(self.known) >= _REMEMBERED_ANSWERS:
                self.known.clear()
            self.known[data] = answer

    def judge(self, framing: Framing) -> Answer:
        """Check a framed answer against the contract."""
        status = framing.get_code()
        self.length = framing.length
        right = framing.right()
        problem = self.expected.judge(status, bytes(framing.begin), framing.length, right)
        if framing.excess:
            problem = "bytes after the end of the answer"
        keep_alive = framing.should_keep_alive() and not framing.excess
        return Answer(status, problem, keep_alive, framing.length)


class Connection:
    """One connection to a server: connects when needed, one request at a time.

    After `exchange`: `sent_ns` is the clock just before the request was handed
    to the kernel, `received_ns` when the last byte of the answer reached the
    kernel (or, without kernel timestamps, was read here). Both CLOCK_REALTIME,
    the clock of the kernel's timestamps; bench watches it for steps.
    `answers` counts the right answers, `answered_ns` is when the last of them was received.

    window_bytes: the size of the kernel's receive buffer; 0 leaves it to the kernel.
    """

    def __init__(self, host: str, port: int, window_bytes: int = 0) -> None:
        self.address = (host, port)
        self.window_bytes = window_bytes
        self.sent_ns = 0
        self.received_ns = 0
        self.answers = self.answered_ns = 0
        self.busy = False
        self.expired = False
        self.user_clock_reads = 0
        self._hub = gevent.get_hub()
        self._socket: socket.socket | None = None
        self._connecting: socket.socket | None = None
        self._readable: Any = None

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def connect(self) -> str | None:
        """Connect if not connected; returns what went wrong, or None."""
        if self._socket is not None:
            return None
        self.expired = False
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        connection = _plain_socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.window_bytes:  # before it connects: the handshake offers a window
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.window_bytes)
            if sys.platform == "linux":
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            code = connection.connect_ex(self.address)
            if code == errno.EINPROGRESS:
                self._wait_connected(connection)
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code or self.expired:
                connection.close()
                name = errno.errorcode.get(code, str(code))
                return f"connect: {'no answer in time' if self.expired else name}"
        except OSError as error:
            connection.close()
            return f"connect: {reason(error)}"
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        self._readable = self._hub.loop.io(connection.fileno(), 1)
        return None

    def hand_over(self, successor: Connection) -> None:
        """Let another connection to the same address, not connected yet, go on with this one's
        socket, unless the server has closed it or has sent what nobody asked for."""
        if self._socket is not None and _is_silent(self._socket):
            successor._socket, successor._readable = self._socket, self._readable
            self._socket = self._readable = None
        self.close()

    def _wait_connected(self, connection: socket.socket) -> None:
        """Wait for the kernel's handshake, which a server with a full backlog leaves open."""
        self._connecting, self.busy = connection, True
        try:
            self._hub.wait(self._hub.loop.io(connection.fileno(), 2))
        finally:
            self._connecting, self.busy = None, False

    def exchange(self, request: bytes, book: AnswerBook) -> str | None:
        """Send one request and read its answer to the last byte.

        Returns None for the right answer, else why it failed; a connection
        that cannot be used again is closed and the next exchange opens a new one.
        """
        if self._socket is None:
            self.sent_ns = self.received_ns = time.time_ns()
            problem = self.connect()
            if problem is not None:
                self.received_ns = time.time_ns()
                return problem
        self.busy = True
        try:
            answer = self._send_and_read(request, book)
        except (OSError, HTTPParseError, TooLong) as error:
            self.received_ns = time.time_ns()
            self.close()
            return self._why(error)
        except BaseException:
            self.close()
            raise
        finally:
            self.busy = False
        if self.received_ns < self.sent_ns:
            self.close()
            return "an answer that came before its request"
        if answer.problem is None:
            self.answers += 1
            self.answered_ns = self.received_ns
        if answer.problem is not None or not answer.keep_alive:
            self.close()
        return answer.problem

    def _why(self, error: Exception) -> str:
        if isinstance(error, HTTPParseError):
            return MALFORMED
        if not isinstance(error, OSError):
            return str(error)
        if not self.expired:
            return reason(error)
        return _PART_IN_TIME if error.strerror == IN_THE_MIDDLE else "no answer in time"

    def _send_and_read(self, request: bytes, book: AnswerBook) -> Answer:
        connection = self._socket
        assert connection is not None
        sent = 0
        self.sent_ns = time.time_ns()
        try:  # noqa: SIM105  (nothing may stand between the clock and the send)
            sent = connection.send(request)
        except BlockingIOError:
            pass
        if sent != len(request):
            self._send_rest(connection, memoryview(request)[sent:])
        known, data = book.known, b""
        while True:
            chunk = self._receive(connection)
            data = data + chunk if data else chunk
            answer = known.get(data)
            if answer is not None:
                return answer
            if not chunk or data not in known:
                return self._frame(connection, data, not chunk, book)

    def _receive(self, connection: socket.socket) -> bytes:
        """Wait for bytes, read them and set `received_ns`; empty at end of file."""
        while True:
            self._hub.wait(self._readable)
            try:
                chunk, ancillary, _, _ = connection.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                continue
            if ancillary and ancillary[0][1] == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                self.received_ns = seconds * 1_000_000_000 + nanoseconds
            else:
                self.received_ns = time.time_ns()
                if chunk:  # end of file never carries a timestamp
                    self.user_clock_reads += 1
            return chunk

    def _frame(
        self, connection: socket.socket, data: bytes, ended: bool, book: AnswerBook
    ) -> Answer:
        """The slow way: feed a parser until it says that the answer is complete.

        `data` is all that has come so far, `ended` whether the server has closed.
        """
        framing = Framing(book.method, book.expected)
        framing.feed(data)
        framing.bound()
        while not framing.complete:
            if ended:
                self._finish(framing, data)
                break
            book.remember(data, None)
            chunk = self._receive(connection)
            ended = not chunk
            if chunk:
                framing.feed(chunk)
                framing.bound()
                data = data + chunk if len(data) <= REMEMBERED_BYTES else data
        answer = book.judge(framing)
        if ended:
            return Answer(answer.status, answer.problem, False, answer.body_bytes)
        book.remember(data, answer)
        return answer

    @staticmethod
    def _finish(framing: Framing, data: bytes) -> None:
        """The server closed: that ends a body without a length, and breaks any other."""
        if not data:
            raise ConnectionAbortedError(errno.ECONNABORTED, "closed before the answer")
        try:
            framing.feed(b"")
        except HTTPParseError:
            framing.complete = False
        if not framing.complete:
            raise ConnectionAbortedError(errno.ECONNABORTED, IN_THE_MIDDLE)

    def _send_rest(self, connection: socket.socket, rest: memoryview) -> None:
        writable = self._hub.loop.io(connection.fileno(), 2)
        while rest:
            self._hub.wait(writable)
            with contextlib.suppress(BlockingIOError):
                rest = rest[connection.send(rest) :]

    def expire(self) -> None:
        """End the request or the attempt to connect under way: it fails as "no answer in time".

        Shutting the socket down wakes the waiting greenlet by way of the
        loop, so that there is no race with an answer that arrives just now.
        """
        self.expired = True
        waiting = self._socket or self._connecting
        if waiting is not None:
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)

    def hang_up(self) -> None:
        """The load is over. Answers that end by themselves are read to their end."""

    def close(self) -> None:
        """Close the socket; the connection can be used again and then reconnects."""
        if self._socket is not None:
            self._readable.close()
            self._readable = None
            self._socket.close()
            self._socket = None


def _is_silent(connection: socket.socket) -> bool:
    """Whether there is nothing to read on an open one: no byte, no end, no error."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def reason(error: OSError) -> str:
    """A reason that does not vary from request to request."""
    if isinstance(error, ConnectionAbortedError) and error.strerror is not None:
        return error.strerror
    return errno.errorcode.get(error.errno or 0, type(error).__name__)
