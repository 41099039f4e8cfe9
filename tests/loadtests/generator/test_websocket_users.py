"""The socket users against servers that do it right, and against some that do not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.generator.clients.websocket import DISTINCT, prepared
from loopbench.loadtests.messages.generator import At, WindowOpened
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.scenarios.models import Broadcast, Echo, Load, Pushed
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.servers.adapters.asyncio_websocket import MEMO_BYTES, MEMO_FRAMES
from loopbench.servers.contract.close_codes import Close
from loopbench.servers.contract.frames import (
    Frame,
    Op,
    closing,
    encode,
)
from loopbench.servers.contract.websockets import opening
from tests.loadtests.generator.loads import begun, failures, histogram, spec_at
from tests.loadtests.generator.sockets import Answers, Told, answer, right, socket_server, upgraded

USERS = 3
RECEIVERS = 3
RATE = 100
MEASURED_S = 0.2
LONG_S = 1.5
"""So that publication 15, due 0.15 s after the first one, is due in the window even where a busy
machine publishes the first one late."""


def echo(*, new_connections: bool = False) -> Load:
    return Load("main", opening("e", "/ws/echo"), Echo(USERS, 32, new_connections))


def pushed() -> Load:
    return Load("main", opening("p", f"/ws?rate={RATE}&stamped=1"), Pushed(2, RATE))


def broadcast() -> Load:
    return Load("main", opening("f", "/ws/feed"), Broadcast(RECEIVERS, float(RATE), 32))


def offer(
    generator: Generator,
    told: Told,
    load: Load,
    opened: Callable[[], None] = lambda: None,
    **changes: Any,
) -> Report:
    """opened: called once the window has opened."""
    own = {"measured_s": MEASURED_S, "drain_s": 3.0, "timeout_s": 5.0, "seed": 1, **changes}
    with socket_server(told):
        asked = spec_at(told.host, told.port, load, **own)
        at: At = {WindowOpened: opened}
        return generator.load(asked, bound_s=120.0, at=at, give_up=lambda: False)


def total(report: Report) -> int:
    """How many messages began, however they ended."""
    return begun(report, "warmup") + begun(report, "measured")


def counted(report: Report) -> dict[str, int]:
    return report.loads["main"].counted


def right_ones(report: Report) -> int:
    return sum(histogram(report, "service_time", phase).count for phase in ("warmup", "measured"))


# To and fro.


@pytest.mark.parametrize("new_connections", [False, True])
def test_every_echo_counts_once(generator: Generator, new_connections: bool) -> None:
    """As many messages are recorded as the server has echoed, and none has failed."""
    told = Told()
    report = offer(generator, told, echo(new_connections=new_connections))
    assert failures(report, "warmup") == failures(report, "measured") == {}
    assert right_ones(report) == told.echoed > USERS


WRONG: dict[str, tuple[Answers, str]] = {
    "another": (
        lambda message, _: encode(Frame(Op.TEXT, message[::-1])),
        "another text message than the one that was due",
    ),
    "another-kind": (
        lambda message, _: encode(Frame(Op.BINARY, message)),
        "another binary message than the one that was due",
    ),
    "twice": (lambda message, _: right(message, 0) * 2, "more than the answer"),
    "opcode": (lambda message, _: b"\x83\x00", "a broken frame: an unknown opcode"),
    "masked": (
        lambda message, _: encode(Frame(Op.TEXT, message), b"abcd"),
        "a broken frame: masked frame",
    ),
    "beyond-the-limit": (
        lambda message, _: b"\x82\x7f" + (1 << 40).to_bytes(8),
        "a broken frame: a frame beyond the limit",
    ),
    "closing": (lambda message, _: encode(closing(Close.GOING_AWAY)), "closed with code 1001"),
    "closed": (lambda message, _: None, "closed without a word"),
}


def test_wrong_echoes(generator: Generator) -> None:
    """Each is a failure with its reason, and no figure counts it as right."""
    wrong = list(WRONG.values())

    def answers(message: bytes, number: int) -> bytes | None:
        return wrong[int(message.partition(b":")[0])][0](message, number)

    load = Load("main", opening("e", "/ws/echo"), Echo(len(wrong), 32))
    told = Told(answers=answers)
    report = offer(generator, told, load)
    assert set(failures(report, "measured")) == {reason for _, reason in wrong}
    assert right_ones(report) == report.loads["main"].completed == 0
    assert total(report) == told.echoed >= len(wrong)


def test_closed_in_the_middle_of_a_frame(generator: Generator) -> None:
    """Half an answer and the end of the connection."""

    class Half(Told):
        def echo(self, connection: Any) -> None:
            connection.recv(65536)
            connection.sendall(encode(Frame(Op.TEXT, b"0:0;" * 8))[:3])

    report = offer(generator, Half(), echo())
    reasons = failures(report, "measured")
    # The first user's first byte is right; what the others get is of another user.
    assert set(reasons) <= {
        "closed in the middle of a frame",
        "a part of another message than the one that was due",
    }
    assert reasons["closed in the middle of a frame"] > 0
    assert right_ones(report) == 0


def test_one_wrong_among_right_ones(generator: Generator) -> None:
    """Every fifth message of a connection is answered with the one before: as many failures,
    and the rest is right."""
    before: dict[bytes, bytes] = {}
    wrong = []

    def answers(message: bytes, number: int) -> bytes:
        user = message.partition(b":")[0]
        last, before[user] = before.get(user, b""), message
        if number % 5 == 4:
            wrong.append(message)
            return right(last, number)
        return right(message, number)

    told = Told(answers=answers)
    report = offer(generator, told, echo())
    assert total(report) == told.echoed
    assert right_ones(report) == told.echoed - len(wrong)
    assert len(wrong) > 0


def test_an_echo_that_never_comes(generator: Generator) -> None:
    """Each message fails at its own bound."""
    report = offer(generator, Told(answers=lambda *_: b""), echo(), timeout_s=0.1, drain_s=0.2)
    assert list(failures(report, "measured")) == ["no answer in time"]
    assert failures(report, "measured")["no answer in time"] >= USERS
    assert min(histogram(report, "failure_time", "measured").buckets()) >= 100_000
    assert right_ones(report) == 0


def test_an_echo_nobody_asked_for(generator: Generator) -> None:
    """Bytes that stand behind the upgrade's answer are no answer to a message."""
    told = Told(opening=lambda _: upgraded() + right(b"hello", 0))
    report = offer(generator, told, echo())
    assert list(failures(report, "measured")) == ["a message that nobody asked for"]
    assert right_ones(report) == 0


REFUSED = {
    "503": (answer(503, b"{}"), "status 503 instead of 101"),
    "accept": (upgraded(b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "a wrong Sec-WebSocket-Accept"),
    "nothing": (b"", "upgrade: closed without a word"),
    "endless": (b"HTTP/1.1 101 x\r\nX: " + b"y" * 200_000, "upgrade: a head without an end"),
}


@pytest.mark.parametrize(
    ("name", "load"),
    [*((name, echo()) for name in REFUSED), ("accept", pushed()), ("503", broadcast())],
    ids=[*REFUSED, "pushed", "broadcast"],
)
def test_refused_upgrades(generator: Generator, name: str, load: Load) -> None:
    """Each attempt is a failure with its reason, of every kind of user."""
    said, reason = REFUSED[name]

    class Refusing(Told):
        def upgrade(self, connection: Any, target: bytes) -> None:
            connection.sendall(said)

    report = offer(generator, Refusing(), load)
    reasons = failures(report, "measured")
    assert {one.removeprefix("a receiver was lost: ") for one in reasons} - {
        "not every receiver was known"
    } == {reason}
    assert right_ones(report) == 0


def test_an_upgrade_that_never_comes(generator: Generator) -> None:
    """The first connections stand; a new one that is never answered fails at its bound."""
    told = Told(opening=lambda number: upgraded() if number < USERS else None)
    report = offer(generator, told, echo(new_connections=True), timeout_s=0.1, drain_s=0.2)
    assert list(failures(report, "measured")) == ["upgrade: no answer in time"]
    assert right_ones(report) == 0


# Pushed to.


def hello(number: int, begun_ns: int) -> tuple[int, bytes]:
    """When a message is due, and the message."""
    due_ns = begun_ns + int(number * 1e9 / RATE)
    return due_ns, encode(Frame(Op.TEXT, f"hello {number} {due_ns}".encode()))


def pushes(numbers: Callable[[], Iterator[int]]) -> Callable[[], Iterator[tuple[float, bytes]]]:
    """Messages of these numbers, at the rate."""

    def sent() -> Iterator[tuple[float, bytes]]:
        begun_ns = time.time_ns()
        for number in numbers():
            due_ns, message = hello(number, begun_ns)
            yield (due_ns - time.time_ns()) / 1e9, message

    return sent


def test_every_push_counts_once(generator: Generator) -> None:
    """All that were due in the window are owed, and all have come."""
    report = offer(generator, Told(pushes=pushes(lambda: iter(range(500)))), pushed())
    assert failures(report, "warmup") == failures(report, "measured") == {}
    owed = counted(report)["deliveries_owed"]
    each = RATE * MEASURED_S
    assert 2 * (each - 1) <= owed <= 2 * (each + 1)
    assert histogram(report, "service_time", "measured").count == owed
    assert counted(report).get("deliveries_lost", 0) == 0


Odd = Callable[[int, int], tuple[int, list[bytes]]]
"""From number n and when number 0 was due to the number to go on with, and what is sent first."""


class OddInTheWindow:
    """Pushes what is odd about message n on each connection, n being due after the window has
    opened, however long after the connections that is."""

    def __init__(self, odd: Odd) -> None:
        self._odd = odd
        self._opened = threading.Event()

    def __call__(self) -> Iterator[tuple[float, bytes]]:
        begun_ns, number = time.time_ns(), 0
        while not self._opened.is_set() or hello(number, begun_ns)[0] <= time.time_ns():
            yield self._usual(number, begun_ns)
            number += 1
        after, sent = self._odd(number, begun_ns)
        yield from ((0.0, message) for message in sent)
        for number in range(after, 10_000):
            yield self._usual(number, begun_ns)

    def offer(self, generator: Generator) -> Report:
        told = Told(pushes=self)
        return offer(generator, told, pushed(), opened=self._opened.set, measured_s=1.0)

    def _usual(self, number: int, begun_ns: int) -> tuple[float, bytes]:
        due_ns, message = hello(number, begun_ns)
        return (due_ns - time.time_ns()) / 1e9, message


def test_a_push_that_skips_numbers(generator: Generator) -> None:
    """Each number that is left out is one failure and one delivery lost, and no other."""
    report = OddInTheWindow(lambda number, _: (number + 2, [])).offer(generator)
    assert failures(report, "measured") == {"never sent, but a later one": 4}
    assert counted(report)["deliveries_lost"] == 4
    right = histogram(report, "service_time", "measured").count
    assert counted(report)["deliveries_owed"] == right + 4


def test_a_push_that_comes_twice(generator: Generator) -> None:
    """The second is a failure, and nothing is lost by it."""
    twice = OddInTheWindow(lambda number, begun: (number + 1, [hello(number, begun)[1]] * 2))
    report = twice.offer(generator)
    assert failures(report, "measured") == {"a message that had come before": 2}
    assert counted(report).get("deliveries_lost", 0) == 0
    assert histogram(report, "service_time", "measured").count == counted(report)["deliveries_owed"]


@pytest.mark.parametrize(
    ("numbers", "why"),
    [
        (list(range(20)), "no answer in time"),
        ([], "no answer in time"),
        (None, "closed with code 1013"),
    ],
    ids=["stops", "never-begins", "closes"],
)
def test_a_push_that_ends(generator: Generator, numbers: list[int] | None, why: str) -> None:
    """What was due until the window's end and has not come is lost, message by message."""
    goodbye = encode(closing(Close.TRY_AGAIN_LATER))
    sent = pushes(lambda: iter(numbers or []))
    told = Told(pushes=sent if numbers is not None else lambda: iter([(0.0, goodbye)]))
    report = offer(generator, told, pushed(), drain_s=0.2)
    assert list(failures(report, "measured")) == [f"never sent: {why}"]
    lost = counted(report)["deliveries_lost"]
    assert lost == failures(report, "measured")[f"never sent: {why}"]
    assert (
        counted(report)["deliveries_owed"]
        == lost + histogram(report, "service_time", "measured").count
    )
    assert RATE * MEASURED_S / 2 <= lost <= 2 * (RATE * MEASURED_S + 1)


def test_a_push_of_something_else(generator: Generator) -> None:
    """It is a failure, and what came right beside it still counts."""
    said = (b"goodbye 1 1", b"hello", b"hello 3 12345")
    other = [encode(Frame(Op.TEXT, text)) for text in said]
    report = OddInTheWindow(lambda number, _: (number, other)).offer(generator)
    assert failures(report, "measured") == {
        "another text message than the one that was due": 4,
        "a number and a time that do not belong together": 2,
    }
    assert histogram(report, "service_time", "measured").count == counted(report)["deliveries_owed"]


# A broadcast.


def test_every_delivery_counts_once(generator: Generator) -> None:
    """Publications times receivers; and the last receiver's time once a publication."""
    told = Told(dropped=5)
    report = offer(generator, told, broadcast())
    assert failures(report, "warmup") == failures(report, "measured") == {}
    assert right_ones(report) == told.published * RECEIVERS
    measured = histogram(report, "service_time", "measured").count
    assert counted(report) == {"deliveries_owed": measured, "receivers_dropped": 5}
    assert histogram(report, "last_delivery", "measured").count * RECEIVERS == measured > 0


def spread_wrong(number: int, receiver: int) -> list[int]:
    """What is wrong about one message for one receiver."""
    wrong = {
        (11, 1): [],  # lost
        (12, 2): [12, 12],
        (13, 0): [],  # it comes after the next one
        (14, 0): [14, 13],
        (15, 2): [15, 10_000],
    }
    return wrong.get((number, receiver), [number])


def test_wrong_broadcasts(generator: Generator) -> None:
    """One message that is wrong for one receiver is one failure; what is lost was owed."""
    told = Told(spread=spread_wrong)
    report = offer(generator, told, broadcast(), measured_s=LONG_S)
    assert failures(report, "warmup") == {}
    assert failures(report, "measured") == {
        "never delivered": 1,
        "delivered twice": 1,
        "delivered after a later one": 1,
        "a message that nobody published": 1,
    }
    assert counted(report)["deliveries_lost"] == 1
    measured = histogram(report, "service_time", "measured").count
    assert counted(report)["deliveries_owed"] == measured + 2
    assert right_ones(report) == told.published * RECEIVERS - 2
    assert (
        histogram(report, "last_delivery", "measured").count
        == counted(report)["deliveries_owed"] // RECEIVERS - 2
    )


def test_refused_publications(generator: Generator) -> None:
    """A publication that is refused is a failure, and nobody is owed it."""
    told = Told(publish=lambda number: 503 if number in (13, 15) else 200)
    report = offer(generator, told, broadcast(), measured_s=LONG_S)
    assert failures(report, "measured") == {"publish: status 503 instead of 200": 2}
    assert right_ones(report) == (told.published - 2) * RECEIVERS
    assert counted(report).get("deliveries_lost", 0) == 0


def test_a_receiver_that_is_cut_off(generator: Generator) -> None:
    """All that it does not get from then on is lost, with the reason; the others are not
    touched."""

    class Cutting(Told):
        def fed(self, data: bytes) -> bytes:
            if self.published == 13 and data.startswith(b"POST"):
                self._receivers[1].sendall(encode(closing(Close.TRY_AGAIN_LATER)))
            return super().fed(data)

    told = Cutting()
    report = offer(generator, told, broadcast(), measured_s=LONG_S)
    lost = told.published - 13
    assert failures(report, "measured") == {"never delivered: closed with code 1013": lost}
    assert counted(report)["deliveries_lost"] == lost
    assert right_ones(report) == told.published * RECEIVERS - lost


def test_a_receiver_that_is_not_known(generator: Generator) -> None:
    """Nothing is published before the server knows of everybody; that it never does is said."""

    class Forgetful(Told):
        def fed(self, data: bytes) -> bytes:
            return answer(503, b"{}")

    told = Forgetful()
    report = offer(generator, told, broadcast())
    assert failures(report, "measured") == {"not every receiver was known": 1}
    assert told.published == right_ones(report) == 0


def test_the_yardstick_remembers_every_message_of_a_scenario() -> None:
    """One that it has to parse anew makes it slower than what it is the ceiling of."""
    models = [load.model for one in SCENARIOS.values() for load in one.loads]
    echoes = [model for model in models if isinstance(model, Echo)]
    different = {
        frame
        for model in echoes
        for user in range(model.users)
        for frame, _ in prepared(model.size_bytes, user)
    }
    assert len(different) == max(model.users for model in echoes) * DISTINCT
    assert len(different) <= MEMO_FRAMES
    assert max(map(len, different)) <= MEMO_BYTES
