"""First bytes and last ones, and readers that are slow: real sockets, real generator."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import ExitStack
from typing import Any

import gevent
import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.generator.clients.http1 import AnswerBook
from loopbench.loadtests.generator.clients.streaming import (
    BROKEN_OFF,
    FirstByteConnection,
    SlowConnection,
)
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.scenarios.models import Closed, Load, Slow
from loopbench.servers.contract import payloads
from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import (
    Case,
    Expected,
    Request,
)
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import DEFAULT
from tests.loadtests.generator.clients.hostile import CLOSE, RESET, Pause, Script, hostile_server
from tests.loadtests.generator.loads import failures, histogram, spec_at
from tests.servers import processes
from tests.servers.choices import stacks

LATER = Pause(0.1)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
WHOLE = HEAD + b"hello"
IN_TWO: Script = (HEAD, LATER, b"hello")
CASE = Case("one", Request("GET", "/"), Expected(200, TEXT, b"hello"))


def offer(generator: Generator, at: tuple[str, int], load: Load, **changes: Any) -> Report:
    own = {"measured_s": 0.3, "drain_s": 3.0, "seed": 1, **changes}
    return generator.load(spec_at(*at, load, **own), bound_s=30.0, at={}, give_up=lambda: False)


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: the kernel stamps what arrives")
@pytest.mark.usefixtures("stamps")
def test_the_first_byte_is_that_of_the_head() -> None:
    """Of an answer whose body comes later, first and last byte are as far apart as the server
    kept them; of one in a single piece they are one."""
    with hostile_server(IN_TWO, (WHOLE,)) as (host, port):
        connection = FirstByteConnection(host, port)
        apart = []
        for _ in range(2):
            assert connection.exchange(b"GET / HTTP/1.1\r\n\r\n", AnswerBook(CASE)) is None
            assert connection.sent_ns <= connection.first_ns <= connection.received_ns
            apart.append(connection.received_ns - connection.first_ns)
        connection.close()
    assert apart[0] >= LATER.seconds * 1e9 * 0.9
    assert apart[1] == 0


def test_the_generator_records_first_bytes_where_asked(generator: Generator) -> None:
    """As many as right answers, and far before these end; without being asked, none."""
    with hostile_server(IN_TWO) as at:
        watched = offer(generator, at, Load("main", CASE, Closed(2, first_byte=True)))
        unwatched = offer(generator, at, Load("main", CASE, Closed(2)))
    first = histogram(watched, "first_byte", "measured")
    service = histogram(watched, "service_time", "measured")
    assert first.count == service.count > 0
    assert first.percentile_us(50) < service.percentile_us(50) / 2
    assert histogram(unwatched, "first_byte", "measured").count == 0
    assert histogram(unwatched, "service_time", "measured").count > 0


@pytest.mark.parametrize("rate", [20, 1_000_000])
def test_a_slow_reader_takes_its_time(generator: Generator, rate: int) -> None:
    """An answer of 60 bytes or so lasts as long as its rate says, and is right in the end; where
    that is longer than the load it is neither an answer nor a failure."""
    with hostile_server((WHOLE,)) as at:
        report = offer(generator, at, Load("main", CASE, Slow(3, rate_bytes_s=rate)))
    told = report.loads["main"]
    assert failures(report, "warmup") == failures(report, "measured") == {}
    answered = histogram(report, "service_time", "measured").count
    assert (answered == 0) if rate == 20 else (answered >= 3)
    assert told.users == 3


@pytest.mark.parametrize(
    ("script", "rate", "reason"),
    [
        ((HEAD + b"hallo",), 1000, "body differs from the contract"),
        ((HEAD + b"ha", Pause(1.0)), 1000, "body differs from the contract"),
        ((b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\n",), 1000, "status 500 instead of 200"),
        ((HEAD, CLOSE), 1000, "closed in the middle of the answer"),
        ((b"nonsense\r\n\r\n",), 1000, "malformed answer"),
        ((HEAD, RESET), 0, BROKEN_OFF),
    ],
    ids=["wrong", "wrong so far", "status", "cut short", "malformed", "reset"],
)
def test_what_a_slow_reader_is_sent_is_checked(
    generator: Generator, script: Script, rate: int, reason: str
) -> None:
    """As of any other answer; and a reader that reads nothing sees that it was broken off."""
    with hostile_server(script) as at:
        report = offer(generator, at, Load("main", CASE, Slow(1, rate)))
    assert set(failures(report, "measured")) == {reason}
    assert histogram(report, "service_time", "measured").count == 0


def test_a_slow_reader_reads_no_more_than_it_is_told() -> None:
    """Piece by piece; what it has not taken is still to come."""
    with hostile_server((WHOLE,)) as (host, port):
        connection = SlowConnection(host, port, 4096)
        book = AnswerBook(CASE)
        assert connection.ask(b"GET / HTTP/1.1\r\n\r\n", book) is None
        taken = 0
        while not connection.complete:
            gevent.sleep(0.01)
            assert connection.take(10) is None
            taken += 1
        connection.close()
    assert taken >= len(WHOLE) // 10


READERS = 8
CHUNKS, CHUNK_BYTES = 256, 65_536
ENDLESS = b"GET /stream?chunks=%d&size=%d HTTP/1.1\r\nHost: x\r\n\r\n" % (CHUNKS, CHUNK_BYTES)


@pytest.mark.parametrize("stack_name", stacks(DEFAULT))
def test_who_never_reads_does_not_fill_the_server(
    stack_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight clients ask for 16 MiB each and read nothing: the server stops making chunks for them
    when its sockets are full, and answers others meanwhile. When they have left and an idle
    connection would have been closed, none of its tasks is left.

    Chunks are counted, not bytes of memory: how much of what is free a process gives back to the
    system is the allocator's affair, and differs between machines and from run to run.
    """
    made = 0
    chunk = payloads.chunk

    def counted(number: int, size: int) -> bytes:
        nonlocal made
        made += 1
        return chunk(number, size)

    monkeypatch.setattr(payloads, "chunk", counted)

    async def stalled() -> int:
        """How many chunks had been made when no more were."""
        before = -1
        while before != made:
            before = made
            await asyncio.sleep(0.3)
        return made

    async def experiment() -> None:
        loop = asyncio.get_running_loop()
        settings = Settings(keep_alive_s=1.0)
        async with in_loop.serving(stack_name, settings=settings) as server:
            # Some servers have a task for each connection, which ends with it.
            idle = len(asyncio.all_tasks())
            with ExitStack() as cleanup:
                for _ in range(READERS):
                    reader = cleanup.enter_context(socket.socket())
                    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    reader.setblocking(False)
                    await loop.sock_connect(reader, (server.host, server.port))
                    await loop.sock_sendall(reader, ENDLESS)
                await asyncio.to_thread(processes.ask, server.port, "async")
                assert READERS <= await stalled() < READERS * CHUNKS / 4
                await asyncio.to_thread(processes.ask, server.port, "async")
            await asyncio.to_thread(processes.ask, server.port, "stream-16x65536")
            async with asyncio.timeout(30):
                while len(asyncio.all_tasks()) > idle:
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(processes.ask, server.port, "stream-16x65536")

    asyncio.run(experiment())
