"""WebSockets and the broadcast: every promise on every stack, and what happens on bad days."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import ExitStack, suppress
from http.client import HTTPConnection

import pytest
from websocket import create_connection

from loopbench.loadtests.services.services import redis_server
from loopbench.servers.contract.close_codes import Close
from loopbench.servers.contract.frames import (
    BrokenFrame,
    Frame,
    Messages,
    Op,
    Reader,
    closing,
    encode,
    masked_bytes,
)
from loopbench.servers.contract.websocket_client import NotUpgraded, Talk, problem, talking
from loopbench.servers.contract.websockets import EXCHANGES, MASK, Exchange, opening
from loopbench.servers.handlers.broadcast import WAITING_LIMIT
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.promises import holes, keeps_exchanges
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import (
    CORE,
    STACKS,
)
from tests.servers.choices import here

BOUND_S = 60.0
MANY_FRAMES = 800
"""Of 60 kB each: far more than the kernel keeps for both ends of a connection."""

LATE_FRAMES = 200
"""The same, of one client whose receive buffer is small."""

FRAMEWORKS = CORE


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(
    scope="module", params=here(one for one in STACKS if "ws-ping" not in holes(STACKS[one]))
)
def any_server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A running server of each stack that has WebSockets, shared by the tests of this file, the
    last of which stops it."""
    with server_process(request.param, settings=Settings(grace_s=0.2)) as server:
        yield server


@pytest.fixture(scope="module", params=FRAMEWORKS)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A running server of each core framework."""
    with server_process(request.param) as one:
        yield one


def asked(server: ServerProcess, method: str, body: bytes | None = None) -> tuple[int, object]:
    """Status and JSON that `/feed` answers."""
    connection = HTTPConnection(server.host, server.port, timeout=BOUND_S)
    try:
        connection.request(method, "/feed", body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def answers(*servers: ServerProcess) -> set[int]:
    """The statuses that the servers answer `GET /feed` with."""
    return {asked(server, "GET")[0] for server in servers}


def counted(server: ServerProcess, name: str) -> int:
    status, told = asked(server, "GET")
    assert status == 200
    assert isinstance(told, dict)
    return int(told[name])


def test_exchanges(any_server: ServerProcess) -> None:
    """Each exchange of the contract goes as the contract has it."""
    kept = keeps_exchanges(STACKS[any_server.stack.name])
    wrong = {name: problem(any_server.host, any_server.port, one) for name, one in kept.items()}
    assert {name: told for name, told in wrong.items() if told is not None} == {}


def test_a_known_client_agrees(any_server: ServerProcess) -> None:
    """A client of somebody else's gets its messages back, too."""
    client = create_connection(f"ws://{any_server.host}:{any_server.port}/ws/echo", timeout=BOUND_S)
    try:
        client.send("é")
        assert client.recv() == "é"
        client.send_binary(b"\x00\xff")
        assert client.recv() == b"\x00\xff"
    finally:
        client.close()


def test_closed_in_the_middle_of_a_frame(any_server: ServerProcess) -> None:
    """Half a frame, then the end or a reset: the next client is served as ever."""
    half = encode(Frame(Op.BINARY, b"x" * 1000), MASK)[:500]
    for reset in (False, True):
        with talking(any_server.host, any_server.port, "/ws/echo") as talk:
            talk.socket.sendall(half)
            if reset:
                hard = struct.pack("ii", 1, 0)
                talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, hard)
        assert problem(any_server.host, any_server.port, EXCHANGES["ws-echo-text"]) is None


def test_an_echo_that_is_never_read(any_server: ServerProcess) -> None:
    """A client that sends and never reads is not read from any more; others are served. Only
    Quart takes all that it is sent, into a queue without a bound."""
    frame = encode(Frame(Op.BINARY, b"x" * 60_000), MASK)
    with talking(any_server.host, any_server.port, "/ws/echo", receive_bytes=4096) as talk:
        takes_all = any_server.stack.framework == "Quart"
        talk.socket.settimeout(BOUND_S if takes_all else 0.5)
        sent = 0
        with suppress(TimeoutError):
            for _ in range(MANY_FRAMES):
                talk.socket.sendall(frame)
                sent += 1
        assert problem(any_server.host, any_server.port, EXCHANGES["ws-echo-text"]) is None
        assert (sent == MANY_FRAMES) == takes_all


def test_who_reads_late_gets_every_echo(any_server: ServerProcess) -> None:
    """More than the kernel keeps has been sent before the first answer is read: all of them come,
    in their order, whether the server held its reading or its answers back meanwhile."""
    payloads = [b"%d " % number + b"x" * 60_000 for number in range(LATE_FRAMES)]
    with (
        talking(any_server.host, any_server.port, "/ws/echo", receive_bytes=4096) as talk,
        ThreadPoolExecutor(1) as sender,
    ):
        talk.socket.settimeout(BOUND_S)
        sent = sender.submit(talk.send, *(Frame(Op.BINARY, payload) for payload in payloads))
        with suppress(FuturesTimeout):
            sent.result(0.3)
        for payload in payloads:
            assert talk.receive() == Frame(Op.BINARY, payload)
        sent.result(BOUND_S)


def test_a_pong_that_nobody_asked_for_has_no_answer(any_server: ServerProcess) -> None:
    """RFC 6455, 5.5.3: it may come at any time, alone, within a message or before one."""
    pong = Frame(Op.PONG, b"beat")
    begun, ended = Frame(Op.TEXT, b"he", fin=False), Frame(Op.CONTINUATION, b"llo")
    with talking(any_server.host, any_server.port, "/ws/echo") as talk:
        for frames in ((pong,), (pong, begun, pong, ended), (begun, pong), (ended, pong)):
            talk.send(*frames)
        for _ in range(2):
            assert talk.receive() == Frame(Op.TEXT, b"hello")
        talk.send(pong, Frame(Op.PING, b"there?"))
        assert talk.receive() == Frame(Op.PONG, b"there?")


def test_a_problem_is_found(any_server: ServerProcess) -> None:
    """The check itself sees a wrong answer, a missing end and a missing route."""
    at = (any_server.host, any_server.port)
    right = EXCHANGES["ws-echo-text"]
    (first, *_) = right.turns
    other = type(first)(first.sent, (Frame(Op.BINARY, b"hello"),))
    said = problem(*at, Exchange("x", "/ws/echo", (other,)))
    assert said == "text of 5 bytes b'hello' instead of binary of 5 bytes b'hello'"
    with pytest.raises(NotUpgraded), talking(*at, "/plain"):
        pass


def test_broadcast(server: ServerProcess) -> None:
    """Each of many receivers gets each message once and in order; those who left are forgotten."""
    with ExitStack() as open_now:
        talks = [
            open_now.enter_context(talking(server.host, server.port, "/ws/feed")) for _ in range(50)
        ]
        assert eventually(lambda: counted(server, "receivers") == 50)
        for number in range(20):
            assert asked(server, "POST", b"%d" % number) == (
                200,
                {"published": len(str(number))},
            )
        for talk in talks:
            got = [talk.receive() for _ in range(20)]
            assert got == [Frame(Op.BINARY, b"%d" % number) for number in range(20)]
    assert eventually(lambda: counted(server, "receivers") == 0)


def test_a_slow_reader_is_dropped(server: ServerProcess) -> None:
    """Who does not read is disconnected and counted; the others miss nothing."""
    before = counted(server, "dropped")
    message = b"x" * 250_000
    with (
        talking(server.host, server.port, "/ws/feed", receive_bytes=4096) as slow,
        talking(server.host, server.port, "/ws/feed") as quick,
        ThreadPoolExecutor(1) as pool,
    ):
        assert eventually(lambda: counted(server, "receivers") == 2)
        count = WAITING_LIMIT + 60
        reading = pool.submit(lambda: [quick.receive() for _ in range(count)])
        for _ in range(count):
            assert asked(server, "POST", message)[0] == 200
        assert reading.result(BOUND_S) == [Frame(Op.BINARY, message)] * count
        assert counted(server, "dropped") == before + 1
        assert counted(server, "receivers") == 1
        got = _rest(slow)
        assert 0 < got < count


def _rest(talk: Talk) -> int:
    """How many messages still come before the end."""
    got = 0
    try:
        while (frame := talk.receive()) is not None:
            if frame.op is Op.CLOSE:
                talk.send(closing(Close.NORMAL))
            got += frame.op is Op.BINARY
    except (ConnectionResetError, BrokenPipeError):
        pass
    return got


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_redis_goes_and_comes(name: str) -> None:
    """While Redis is away `/feed` is a 503 and connections stay; afterwards they hear again."""
    with redis_server() as service:
        with (
            server_process(name, settings=Settings(redis_url=service.url)) as one,
            server_process(name, settings=Settings(redis_url=service.url)) as other,
            talking(one.host, one.port, "/ws/feed") as near,
            talking(other.host, other.port, "/ws/feed") as far,
        ):
            both = (one, other)
            assert eventually(lambda: answers(*both) == {200})
            assert eventually(lambda: [counted(each, "receivers") for each in both] == [1, 1])
            assert asked(one, "POST", b"first")[0] == 200
            for talk in (near, far):  # two servers share the channel
                assert talk.receive() == Frame(Op.BINARY, b"first")

            service.kill()
            assert eventually(lambda: answers(*both) == {503})
            status, told = asked(one, "POST", b"lost")
            assert status == 503
            assert isinstance(told, dict)
            assert told["reason"].startswith("redis: ")

            service.start()
            assert eventually(lambda: answers(*both) == {200})
            assert [counted(each, "reconnects") for each in both] == [1, 1]
            assert asked(other, "POST", b"second")[0] == 200
            for talk in (near, far):
                assert talk.receive() == Frame(Op.BINARY, b"second")
            assert counted(one, "heard") == 2


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_redis_is_not_there(name: str) -> None:
    """A server whose Redis is away starts, serves the rest, and says so."""
    settings = Settings(redis_url="redis://127.0.0.1:1/0", pool_timeout_s=0.3)
    with server_process(name, settings=settings) as server:
        assert asked(server, "GET")[0] == 503
        assert problem(server.host, server.port, EXCHANGES["ws-echo-text"]) is None


def test_a_stop_with_sockets_open(any_server: ServerProcess) -> None:
    """Open WebSockets do not keep a server from its end. No test of a shared server comes after
    this one."""
    with talking(any_server.host, any_server.port, "/ws/echo"):
        ended = any_server.stop()
        assert not ended.killed
        assert ended.exit_code == 0


def test_pushed(server: ServerProcess) -> None:
    """Stamped messages count from 0, and none comes before it was due."""
    with talking(server.host, server.port, "/ws?rate=200&stamped=1") as talk:
        for number in range(20):
            frame = talk.receive()
            now = time.time_ns()
            assert frame is not None
            word, count, due = frame.payload.decode().split()
            assert (word, int(count)) == ("hello", number)
            assert int(due) < now


@pytest.mark.parametrize("query", ["", "?rate=0", "?rate=-1", "?rate=nan", "?rate=1e9", "?rate=x"])
def test_wrong_rates(server: ServerProcess, query: str) -> None:
    """A rate that makes no sense is refused before the upgrade."""
    with pytest.raises(NotUpgraded) as caught, talking(server.host, server.port, f"/ws{query}"):
        pass
    assert str(caught.value) == "status 400 instead of 101"


# The frames themselves.


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [None, MASK])
def test_frames_in_pieces(size: int, mask: bytes | None) -> None:
    """A frame is the same whether it comes whole or byte by byte."""
    frame = Frame(Op.BINARY, bytes(index % 251 for index in range(size)))
    data = encode(frame, mask)
    whole = Reader(masked=mask is not None, limit=size)
    assert list(whole.feed(data)) == [frame]
    assert whole.between
    pieces = Reader(masked=mask is not None, limit=size)
    step = max(1, len(data) // 50)
    found = [one for at in range(0, len(data), step) for one in pieces.feed(data[at : at + step])]
    assert found == [frame]


def test_mask_is_the_rfcs() -> None:
    """The example of RFC 6455, 5.7."""
    assert encode(Frame(Op.TEXT, b"Hello"), MASK).hex() == "818537fa213d7f9f4d5158"
    assert masked_bytes(masked_bytes(b"Hello", MASK), MASK) == b"Hello"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x81", Close.PROTOCOL_ERROR),
        (b"\x83\x00", Close.PROTOCOL_ERROR),
        (b"\xc1\x00", Close.PROTOCOL_ERROR),
        (b"\x09\x00", Close.PROTOCOL_ERROR),
        (b"\x89\x7e\x00\x7e", Close.PROTOCOL_ERROR),
        (b"\x82\x7f" + (1 << 40).to_bytes(8), Close.TOO_LONG),
    ],
)
def test_broken_frames(data: bytes, code: Close) -> None:
    """What is no frame is refused as soon as that can be seen."""
    with pytest.raises(BrokenFrame) as caught:
        list(Reader(masked=False, limit=1000).feed(data))
    assert caught.value.code is code


def test_messages_within_messages() -> None:
    """A message cannot begin within another, nor go on without one; both ends are seen."""
    for first in ([], [Frame(Op.TEXT, b"a", fin=False)]):
        messages = Messages(10)
        for frame in first:
            assert messages.add(frame) is None
        with pytest.raises(BrokenFrame):
            messages.add(Frame(Op.TEXT if first else Op.CONTINUATION, b"b"))
    messages = Messages(3)
    messages.add(Frame(Op.BINARY, b"ab", fin=False))
    with pytest.raises(BrokenFrame) as caught:
        messages.add(Frame(Op.CONTINUATION, b"cd"))
    assert caught.value.code is Close.TOO_LONG


def test_the_opening_is_a_case() -> None:
    """A load's Case is the upgrade itself."""
    case = opening("ws-echo", "/ws/echo")
    assert case.request.encode("h").startswith(b"GET /ws/echo HTTP/1.1\r\nHost: h\r\n")
    assert case.expected.status == 101
