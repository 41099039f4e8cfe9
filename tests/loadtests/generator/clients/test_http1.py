"""The load client against servers that do everything that a server may do, and more."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import le

import gevent
import pytest

from loopbench.loadtests.generator.clients.http1 import (
    REMEMBERED_BYTES,
    AnswerBook,
    Connection,
    Framing,
)
from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import (
    Case,
    Expected,
    Request,
)
from tests.loadtests.generator.clients.hostile import (
    CLOSE,
    RESET,
    Pause,
    Script,
    Until,
    hostile_server,
)
from tests.servers.processes import eventually

PIECES = Pause(0.02)
"""Long enough for what was sent before to be read on its own."""

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


needs_kernel = pytest.mark.skipif(
    sys.platform != "linux", reason="on Linux only: the kernel stamps what arrives"
)


def needs_stamps(test: Callable[[], None]) -> Callable[[], None]:
    """For a test that goes by when answers arrived."""
    return needs_kernel(pytest.mark.usefixtures("stamps")(test))


def case(method: str = "GET", body: bytes = b"hello", status: int = 200) -> Case:
    return Case("one", Request(method, "/"), Expected(status, TEXT, body))


@dataclass(frozen=True)
class Told:
    """What a server sends, what the client must make of it, and whether it may go on with
    the same connection."""

    script: Script
    problem: str | None
    reusable: bool
    case: Case = field(default_factory=case)


ANSWERS: dict[str, Told] = {
    "whole": Told((GOOD,), None, True),
    "byte by byte": Told(
        tuple(step for byte in GOOD for step in (bytes([byte]), Pause(0.001))), None, True
    ),
    "head and body apart": Told((GOOD[:-5], PIECES, GOOD[-5:]), None, True),
    "chunked": Told(
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",),
        None,
        True,
    ),
    "chunked, split inside a size": Told(
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n000",
            PIECES,
            b"5\r\nhello\r\n0\r",
            PIECES,
            b"\n\r\n",
        ),
        None,
        True,
    ),
    "chunked with a trailer": Told(
        (
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n0\r\nDigest: x\r\n\r\n"
            ),
        ),
        None,
        True,
    ),
    "ended by closing": Told((b"HTTP/1.1 200 OK\r\n\r\nhello", CLOSE), None, False),
    "ended by closing, in pieces": Told(
        (b"HTTP/1.1 200 OK\r\n\r\nhe", PIECES, b"llo", PIECES, CLOSE), None, False
    ),
    "connection: close": Told(
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", CLOSE),
        None,
        False,
    ),
    "HTTP/1.0": Told((b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", CLOSE), None, False),
    "204": Told((b"HTTP/1.1 204 No Content\r\n\r\n",), None, True, case(body=b"", status=204)),
    "304 with a length": Told(
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",),
        None,
        True,
        case(body=b"", status=304),
    ),
    "HEAD": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",), None, True, case("HEAD", body=b"")
    ),
    "HEAD, chunked": Told(
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",),
        None,
        True,
        case("HEAD", body=b""),
    ),
    "empty body": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",), None, True, case(body=b"")
    ),
    "an interim answer first": Told(
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", PIECES, GOOD), None, True
    ),
    "larger than what is remembered": Told(
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 100_000,
            PIECES,
            b"x" * 200_000,
        ),
        None,
        True,
        case(body=b"x" * 300_000),
    ),
    "wrong status": Told(
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nhello",),
        "status 503 instead of 200",
        False,
    ),
    "wrong length": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell",),
        "body of 4 bytes instead of 5",
        False,
    ),
    "wrong bytes": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhullo",),
        "body differs from the contract",
        False,
    ),
    "closed before the answer": Told((CLOSE,), "closed before the answer", False),
    "closed inside the head": Told(
        (b"HTTP/1.1 200 OK\r\nCont", PIECES, CLOSE), "closed in the middle of the answer", False
    ),
    "closed inside the body": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", CLOSE),
        "closed in the middle of the answer",
        False,
    ),
    "closed inside a chunk": Told(
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CLOSE),
        "closed in the middle of the answer",
        False,
    ),
    "reset inside the body": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", PIECES, RESET), "ECONNRESET", False
    ),
    "not HTTP": Told((b"SSH-2.0-OpenSSH_9\r\n",), "malformed answer", False),
    "a length that is no number": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",), "malformed answer", False
    ),
    "both a length and chunks": Told(
        (
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n0\r\n\r\n"
            ),
        ),
        "malformed answer",
        False,
    ),
    "an answer without end": Told(
        (b"HTTP/1.1 200 OK\r\n\r\n", bytes(17 * 1024 * 1024)),
        "body goes on after 16,777,221 bytes",
        False,
    ),
    "more bytes than are taken": Told(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\nhello",),
        "body says that it has 10,737,418,240 bytes, more than the 16,777,221 taken",
        False,
    ),
    "304 with a length of more bytes than are taken": Told(
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10737418240\r\n\r\n",),
        None,
        True,
        case(body=b"", status=304),
    ),
    "two answers at once": Told((GOOD + GOOD,), "bytes after the end of the answer", False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_framed_and_judged(name: str) -> None:
    """Each answer of the table gets its verdict, the second and third time (from memory) too."""
    told = ANSWERS[name]
    book, payload = AnswerBook(told.case), told.case.request.encode("test")
    with hostile_server(told.script) as (host, port):
        connection = Connection(host, port)
        for _ in range(3):
            problem = connection.exchange(payload, book)
            assert problem == told.problem
            assert connection.connected is told.reusable
            assert connection.received_ns >= connection.sent_ns
        connection.close()


@pytest.mark.parametrize(
    ("expected", "right", "kept"),
    [
        (Expected(200, TEXT, b"x" * 4_000_000), True, 65_536),
        (Expected(200, TEXT, b"x" * 3_999_999), False, 65_536),
        (Expected(200, TEXT, b"x" * 4_000_001), False, 65_536),
        (Expected(200, TEXT, b"x" * 3_999_999 + b"y"), False, 65_536),
        (Expected(200, TEXT, re.compile(b"y*"), learned=True), True, 65_536),
        (Expected(200, TEXT, re.compile(b"x*")), True, 4_000_000),
    ],
)
def test_a_large_answer_is_compared_as_it_comes(expected: Expected, right: bool, kept: int) -> None:
    """Every byte of it, and little is kept, except where a pattern needs the whole."""
    framing = Framing("GET", expected)
    framing.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n")
    for _ in range(64):
        framing.feed(b"x" * 62_500)
    assert framing.complete
    assert framing.length == 4_000_000
    assert framing.right() is right
    assert len(framing.begin) <= kept


def test_a_remembered_answer_does_not_hide_a_changed_one() -> None:
    """After a thousand good answers, one with another byte is still a failure."""
    book, payload = AnswerBook(case()), case().request.encode("test")
    scripts: tuple[Script, ...] = (*((GOOD,),) * 1000, (GOOD[:-1] + b"O",), (GOOD,))
    with hostile_server(*scripts) as (host, port):
        connection = Connection(host, port)
        problems = [connection.exchange(payload, book) for _ in range(1002)]
        connection.close()
    assert problems == [None] * 1000 + ["body differs from the contract"] + [None]


def test_memory_is_bounded_where_answers_never_repeat() -> None:
    """A body that changes every time is not remembered without end."""
    endless = Expected(200, TEXT, re.compile(rb"\d{6}"))
    book = AnswerBook(Case("one", Request("GET", "/"), endless))
    answers = tuple(
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%06d" % number,) for number in range(2000)
    )
    with hostile_server(*answers) as (host, port):
        connection = Connection(host, port)
        for _ in range(2000):
            assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n", book) is None
        connection.close()
    assert len(book.known) <= 512
    assert max(map(len, book.known)) <= REMEMBERED_BYTES


def lies_there(connection: Connection, data: bytes) -> bool:
    """Whether exactly this has arrived and is not read yet, before long."""
    waiting = connection._socket
    assert waiting is not None

    def arrived() -> bool:
        with contextlib.suppress(BlockingIOError):
            return waiting.recv(65536, socket.MSG_PEEK) == data
        return False

    return eventually(arrived)


def beside_an_answer(*, held_up: bool) -> str | None:
    """What an exchange comes to where an answer that nobody asked for lies in the socket before
    the request is sent. The answer to the request comes after the client has read that one, or
    before it where the client is `held_up` between its send and its read."""
    book, payload = AnswerBook(case()), case().request.encode("test")
    read, judged = threading.Event(), threading.Event()
    if held_up:
        judged.set()
    with hostile_server((GOOD, Until(read), GOOD), (Until(judged), GOOD)) as (host, port):
        connection = Connection(host, port)
        try:
            assert connection.exchange(payload, book) is None
            read.set()
            assert lies_there(connection, GOOD)
            # Runs when the client waits for the loop, which is after it sent, and lets none run.
            holding = gevent.spawn(lambda: not held_up or lies_there(connection, GOOD + GOOD))
            problem = connection.exchange(payload, book)
            assert holding.get()
            assert not connection.connected
            return problem
        finally:
            judged.set()
            connection.close()


@needs_stamps
def test_an_answer_that_nobody_asked_for_is_none() -> None:
    """What arrived before its request was sent is a failure."""
    assert beside_an_answer(held_up=False) == "an answer that came before its request"


def test_an_answer_behind_one_that_nobody_asked_for_is_none() -> None:
    """Read together with the one before it, the right answer cannot be told from it."""
    assert beside_an_answer(held_up=True) == "bytes after the end of the answer"


def test_nobody_listening_is_a_failure_with_its_name() -> None:
    """A refused connection is a failed request, and the next one tries again."""
    with hostile_server((GOOD,)) as (host, port):
        pass
    connection = Connection(host, port)
    for _ in range(2):
        assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n", AnswerBook(case())) == (
            "connect: ECONNREFUSED"
        )


def test_an_expired_request_fails_and_the_connection_recovers() -> None:
    """`expire` ends a request that waits; the next request opens a new connection."""
    book, payload = AnswerBook(case()), case().request.encode("test")
    with hostile_server((Pause(30),), (GOOD,)) as (host, port):
        connection = Connection(host, port)
        assert connection.connect() is None  # on a busy machine that may take as long
        gevent.spawn_later(0.1, connection.expire)
        assert connection.exchange(payload, book) == "no answer in time"
        assert connection.exchange(payload, book) is None
        connection.close()


def test_an_expired_request_that_has_half_an_answer_fails() -> None:
    """A body that stops coming has no end in time, and is not "closed"."""
    book, payload = AnswerBook(case()), case().request.encode("test")
    with hostile_server((GOOD[:-2], Pause(30))) as (host, port):
        connection = Connection(host, port)
        assert connection.connect() is None  # on a busy machine that may take as long
        gevent.spawn_later(0.5, connection.expire)
        assert connection.exchange(payload, book) == "no end of the answer in time"


def test_a_large_request_is_sent_whole() -> None:
    """A request larger than the socket's buffers is sent in parts, without busy waiting."""
    request = Request("POST", "/", (), b"x" * 5_000_000).encode("test")
    # The server answers the first bytes that it reads and then reads on.
    with hostile_server((Pause(0.1), GOOD), ()) as (host, port):
        connection = Connection(host, port)
        assert connection.exchange(request, AnswerBook(case("POST"))) is None
        connection.close()


@needs_stamps
def test_time_spent_elsewhere_is_not_charged_to_the_server() -> None:
    """A client that is busy until 50 ms after the answer was there still reads when it came."""
    book, payload = AnswerBook(case()), case().request.encode("test")
    there_ns: list[int] = []

    def spin() -> None:
        assert lies_there(connection, GOOD)
        there_ns.append(time.time_ns())
        time.sleep(0.05)

    with hostile_server((GOOD,)) as (host, port):
        connection = Connection(host, port)
        connection.exchange(payload, book)
        received_ns = []
        for _ in range(5):
            gevent.spawn(spin)  # runs as soon as the exchange waits
            assert connection.exchange(payload, book) is None
            received_ns.append(connection.received_ns)
        assert connection.user_clock_reads == 0
        connection.close()
    # A user-space clock would have read 50 ms more each time.
    assert all(map(le, received_ns, there_ns))
    assert len(there_ns) == 5


def test_an_attempt_to_connect_can_expire_too() -> None:
    """Where the backlog is full the handshake gets no answer; that ends as a failed request."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with contextlib.ExitStack() as cleanup:
            for _ in range(3):
                client = cleanup.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(listener.getsockname())
            connection = Connection(*listener.getsockname())
            gevent.spawn_later(0.1, connection.expire)
            problem = connection.exchange(b"GET / HTTP/1.1\r\n\r\n", AnswerBook(case()))
    assert problem == "connect: no answer in time"
    assert not connection.busy
    assert not connection.connected
