"""The Locust users of a broadcast: one publishes, many receive, some read nothing."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import gevent

from loopbench.loadtests.generator.clients.http1 import Answer, AnswerBook, Connection, Framing
from loopbench.loadtests.generator.clients.websocket import WebSocket, otherwise
from loopbench.loadtests.generator.deliveries import Inbox, Message
from loopbench.loadtests.generator.recorder import Series, to_us
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.generator.users.http import HarnessUser, fail
from loopbench.loadtests.scenarios.models import Broadcast
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.frames import Frame, Op, encode
from loopbench.servers.contract.http import BINARY_TYPE, JSON, Case, Expected, Request, dumps

_NUMBER_BYTES = 8
_EVERYONE_S = 2.0
"""How long the server may take to know of every receiver once all connections stand."""

_SETTLE_S = 1.5
"""How long deliveries are waited for after the last publication; with the next two less than
a session's drain."""

_COUNT_S = 0.3
"""How long every process of the server is looked for, to ask it what it has counted."""

_ASK_S = 1.0
_POLL_S = 0.01
_READY_POLL_S = 0.05
_SLOW_BUFFER_BYTES = 4096


class _State(AnswerBook):
    """Keeps the body of the last right answer."""

    __slots__ = ("body",)

    def __init__(self) -> None:
        super().__init__(CASES["feed"])
        self.body = b""

    def remember(self, data: bytes, answer: Answer | None) -> None:
        """Nothing: each answer is to be read."""

    def judge(self, framing: Framing) -> Answer:
        self.body = bytes(framing.body)
        return super().judge(framing)


class _Counts:
    """What the processes of the server say of the feed, each the last time it was asked."""

    def __init__(self, session: Session) -> None:
        self._spec = session.spec
        self._request = CASES["feed"].request.encode("feed")
        self._by_process: dict[int, dict[str, int]] = {}

    def ask(self) -> int | None:
        """Ask on a new connection, which any process may get: which one it was."""
        book, connection = _State(), Connection(self._spec.host, self._spec.port)
        problem: str | None = "no answer in time"
        with suppress(gevent.Timeout), gevent.Timeout(_ASK_S):
            problem = connection.exchange(self._request, book)
        connection.close()
        if problem is not None:
            return None
        told: dict[str, int] = json.loads(book.body)
        self._by_process[told["pid"]] = told
        return told["pid"]

    def total(self, what: str) -> int:
        return sum(told[what] for told in self._by_process.values())

    def again(self) -> bool:
        """Ask every process that has answered before once more; whether all did in time."""
        waiting, deadline = set(self._by_process), time.monotonic() + _COUNT_S
        while waiting and time.monotonic() < deadline:
            process = self.ask()
            if process is None:
                return False
            waiting.discard(process)
        return not waiting


class BroadcastUser(HarnessUser):
    """The first publishes, the last ones read nothing, the others receive."""

    abstract = True

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model, spec = _model(run), session.spec
        if index == 0:
            return Connection(spec.host, spec.port)
        slow = index > model.receivers
        return WebSocket(spec.host, spec.port, run.payload, _SLOW_BUFFER_BYTES if slow else 0)

    def prepare(self, session: Session, run: LoadRun, index: int) -> None:
        """The load begins when the server knows of every receiver: one that it does not know
        yet would miss what is published, and nothing would be wrong with that."""
        self._counts = _Counts(session)
        self._known = index == 0 and self.everyone(session, run)

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        model = _model(run)
        if index == 0:
            try:
                self.publish(session, run, connection)
            finally:
                run.published.complete = True
                self.settle(session, run)
            if not session.aborted and self._counts.again():
                run.count("receivers_dropped", self._counts.total("dropped"))
        elif isinstance(connection, WebSocket) and index <= model.receivers:
            self.receive(session, run, connection)
        else:
            while run.running:
                gevent.sleep(_POLL_S)

    def publish(self, session: Session, run: LoadRun, connection: Connection) -> None:
        """Publish at the rate, whatever the server does, until the load is over."""
        model = _model(run)
        if not self._known:
            connection.sent_ns = connection.received_ns = time.time_ns()
            fail(run.measured, "not every receiver was known", connection.sent_ns, connection)
            return
        host = f"{session.spec.host}:{session.spec.port}"
        body = bytes(model.size_bytes)
        request = Request("POST", "/feed", BINARY_TYPE, body)
        payload = request.encode(host)
        head, rest = payload[: len(payload) - len(body)], body[_NUMBER_BYTES:]
        said = Expected(200, JSON, dumps({"published": len(body)}))
        book = AnswerBook(Case("publish", request, said))
        begun = time.monotonic_ns()
        end_ns = session.start_ns + int((session.spec.warmup_s + session.spec.measured_s) * 1e9)
        turn = 0
        with Timer() as timer:
            while (due := begun + int(turn * 1e9 / model.rate)) < end_ns:
                timer.sleep_until(due)
                if not run.running or session.aborted:
                    return
                number = run.published.begin(due - session.start_ns)
                message = run.published.messages[number]
                problem = connection.exchange(head + number.to_bytes(_NUMBER_BYTES) + rest, book)
                message.sent_ns = connection.sent_ns
                if problem is not None:
                    message.failed = True
                    fail(_series(run, message), f"publish: {problem}", message.sent_ns, connection)
                turn += 1

    def everyone(self, session: Session, run: LoadRun) -> bool:
        """Wait until the server knows of every receiver; False where it will not be."""
        others, standing_since = run.load.model.population - 1, 0.0
        while self._counts.ask() is None or self._counts.total("receivers") != others:
            mine = [one for one in run.connections if isinstance(one, WebSocket)]
            if len(mine) == others and not any(one.busy for one in mine):
                standing_since = standing_since or time.monotonic()
                late = time.monotonic() > standing_since + _EVERYONE_S
                if late or not all(one.connected for one in mine):
                    return False
            if session.aborted or session.started.is_set():
                return False
            gevent.sleep(_READY_POLL_S)
        return True

    def settle(self, session: Session, run: LoadRun) -> None:
        """Give what is under way a while; then wake those who still wait for something."""
        deadline, receivers = time.monotonic() + _SETTLE_S, _model(run).receivers
        while time.monotonic() < deadline and not session.aborted:
            if all(one.failed or one.deliveries >= receivers for one in run.published.messages):
                break
            gevent.sleep(_POLL_S)
        while run.running:  # what nobody published may still come
            gevent.sleep(_POLL_S)
        for message in run.published.messages:
            if not message.failed and _series(run, message) is run.measured:
                run.count("deliveries_owed", receivers)
        for receiver in run.connections[1 : receivers + 1]:
            receiver.expire()

    def receive(self, session: Session, run: LoadRun, connection: WebSocket) -> None:
        """Take messages until there will be no more, and hold the server to every one."""
        inbox = Inbox(run.published)
        problem = connection.connect() or self.take(run, connection, inbox)
        ended_well = run.published.complete and connection.expired
        why = "never delivered" if ended_well else f"never delivered: {problem}"
        connection.received_ns = time.time_ns()
        while not run.published.complete:
            gevent.sleep(_POLL_S)
        lost = inbox.lost()
        for message in lost:
            connection.sent_ns = message.sent_ns
            series = _series(run, message)
            fail(series, why, message.sent_ns, connection)
            run.count("deliveries_lost", series is run.measured)
        if not lost and not ended_well:
            fail(run.measured, f"a receiver was lost: {problem}", connection.sent_ns, connection)

    def take(self, run: LoadRun, connection: WebSocket, inbox: Inbox) -> str:
        """Take messages as long as they are ones; why there are no more."""
        size = _model(run).size_bytes
        head, data = encode(Frame(Op.BINARY, bytes(size)))[:-size], b""
        whole, after = len(head) + size, len(head) + _NUMBER_BYTES
        while True:
            try:
                data += connection.more(not data)
            except OSError as error:
                return connection.why(error)
            while len(data) >= whole and data.startswith(head):
                number = int.from_bytes(data[len(head) : after])
                self.delivered(run, connection, number, inbox.take(number))
                data = data[whole:]
            if not data.startswith(head) and not head.startswith(data[: len(head)]):
                return otherwise(data)

    def delivered(
        self, run: LoadRun, connection: WebSocket, number: int, problem: str | None
    ) -> None:
        """Record the message of a number, with why it is not right that it came now."""
        messages = run.published.messages
        if number >= len(messages):
            connection.sent_ns = connection.received_ns
            fail(run.series, problem or "", connection.received_ns, connection)
            return
        message, received = messages[number], connection.received_ns
        # It may arrive before the publisher has its own answer.
        sent_ns = message.sent_ns or run.connections[0].sent_ns
        series = _series(run, message)
        if problem is not None:
            connection.sent_ns = sent_ns
            fail(series, problem, sent_ns, connection)
            return
        series.add_delivery(received - sent_ns)
        message.deliveries += 1
        message.last_ns = max(message.last_ns, received)
        if message.deliveries == _model(run).receivers:
            series.last.append(to_us(message.last_ns - sent_ns))


def _model(run: LoadRun) -> Broadcast:
    model: Broadcast = run.model
    return model


def _series(run: LoadRun, message: Message) -> Series:
    return run.series_at(message.due_ns)
