"""The Locust users of WebSockets: to and fro, pushed to, and a broadcast."""

from __future__ import annotations

import re
import time

import gevent

from loadtests.client import AnswerBook, Connection
from loadtests.models import Broadcast, Echo, Pushed
from loadtests.session import LoadRun, Session
from loadtests.timer import Timer
from loadtests.users import RETRY_S, HarnessUser, fail
from loadtests.websocket_client import WebSocket, otherwise, prepared
from servers.exchange import BINARY_TYPE, JSON, Case, Expected, Request, dumps, get
from servers.exchanges import HELLO
from servers.frames import BrokenFrame, Frame, Op, Reader, encode

_LIMIT = 1 << 24
_NUMBER_BYTES = 8
_EVERYONE_S = 10.0
"""How long the publisher waits until the server knows of every receiver."""

_SETTLE_S = 2.0
"""How long deliveries are waited for after the last publication; less than a session's drain."""

_POLL_S = 0.01
_SLOW_BUFFER_BYTES = 4096
_READY_POLL_S = 0.05


class _SocketUser(HarnessUser):
    abstract = True

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        return WebSocket(session.spec.host, session.spec.port, run.payload)


class EchoUser(_SocketUser):
    """Sends its next message when the last one is back."""

    abstract = True

    def drive(self, session: Session, run: LoadRun, connection: WebSocket, index: int) -> None:
        model = run.load.model
        assert isinstance(model, Echo)
        pairs = prepared(model.size_bytes, index)
        if model.new_connections:
            self.reconnect(session, run, connection, pairs)
            return
        echo, start_ns, previous = connection.echo, session.start_realtime_ns, 0
        while run.running:
            for frame, expected in pairs:
                if not run.running:
                    break
                series = run.series
                problem = echo(frame, expected)
                if problem is None:
                    sent, received = connection.sent_ns, connection.received_ns
                    series.service.append((received - sent + 500) // 1000)
                    series.sent_sum_ns += sent - start_ns
                    series.service_sum_ns += received - sent
                    if previous:
                        series.gap_ns += sent - previous
                        series.gaps += 1
                    previous = received
                else:
                    fail(series, problem, connection.sent_ns, connection)
                    previous = 0
                    gevent.sleep(RETRY_S)

    def reconnect(
        self,
        session: Session,
        run: LoadRun,
        connection: WebSocket,
        pairs: list[tuple[bytes, bytes]],
    ) -> None:
        """The same with a new connection for every message."""
        connection.close()
        turn = 0
        while run.running:
            series, began = run.series, time.time_ns()
            frame, expected = pairs[turn % len(pairs)]
            problem = connection.echo(frame, expected)
            connection.close()
            turn += 1
            if problem is None:
                sent, received = connection.sent_ns, connection.received_ns
                series.service.append((received - sent + 500) // 1000)
                series.response.append((received - began + 500) // 1000)
                series.sent_sum_ns += sent - session.start_realtime_ns
                series.service_sum_ns += received - sent
            else:
                fail(series, problem, began, connection)
                gevent.sleep(RETRY_S)


class PushedUser(_SocketUser):
    """Is sent stamped messages; each must be the next, and counts from when it was due."""

    abstract = True

    def drive(self, session: Session, run: LoadRun, connection: WebSocket, index: int) -> None:
        assert isinstance(run.load.model, Pushed)
        problem = connection.connect()
        reader, number = Reader(masked=False, limit=_LIMIT), 0
        try:
            while run.running and problem is None:
                connection.busy, connection.sent_ns = True, time.time_ns()
                for frame in reader.feed(connection.more()):
                    problem = self.take(session, run, connection, frame, number)
                    if problem is not None:
                        break
                    number += 1
        except OSError as error:
            problem = error.strerror or type(error).__name__
        except BrokenFrame as broken:
            problem = f"a broken frame: {broken}"
        finally:
            connection.busy = False
        if problem is not None and run.running:
            connection.received_ns = time.time_ns()
            fail(run.series, problem, connection.sent_ns, connection)
        while run.running:
            gevent.sleep(_POLL_S)

    def take(
        self, session: Session, run: LoadRun, connection: WebSocket, frame: Frame, number: int
    ) -> str | None:
        """Record one message; why it is not the one that was due."""
        word, _, stamps = frame.payload.decode("latin-1").partition(" ")
        count, _, due = stamps.partition(" ")
        if frame.op is not Op.TEXT or word != HELLO or count != str(number):
            return otherwise(encode(frame))
        if not run.running:
            return None
        series = run.series_at(int(due) - session.start_realtime_ns)
        late_ns = connection.received_ns - int(due)
        series.service.append(max(0, late_ns + 500) // 1000)
        series.sent_sum_ns += int(due) - session.start_realtime_ns
        series.service_sum_ns += late_ns
        return None


class BroadcastUser(_SocketUser):
    """The first publishes, the last ones read nothing, the others receive."""

    abstract = True

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model, spec = run.load.model, session.spec
        assert isinstance(model, Broadcast)
        if index == 0:
            return Connection(spec.host, spec.port)
        slow = index > model.receivers
        return WebSocket(spec.host, spec.port, run.payload, _SLOW_BUFFER_BYTES if slow else 0)

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        model = run.load.model
        assert isinstance(model, Broadcast)
        if index == 0:
            try:
                self.publish(session, run, connection, model)
            finally:
                run.published.complete = True
                self.settle(session, run)
        elif isinstance(connection, WebSocket) and index <= model.receivers:
            run.published.receiving += 1
            try:
                self.receive(run, connection, model)
            finally:
                run.published.receiving -= 1
        else:
            while run.running:
                gevent.sleep(_POLL_S)

    def publish(
        self, session: Session, run: LoadRun, connection: Connection, model: Broadcast
    ) -> None:
        """Publish at the rate, whatever the server does, until the load is over."""
        if not self.everyone(connection, model):
            fail(run.series, "not every receiver was known", time.time_ns(), connection)
            return
        host = f"{session.spec.host}:{session.spec.port}"
        body = bytes(model.size_bytes)
        payload = Request("POST", "/feed", BINARY_TYPE, body).encode(host)
        head = payload[: len(payload) - len(body)]
        rest = body[_NUMBER_BYTES:]
        said = Expected(200, JSON, dumps({"published": len(body)}))
        book = AnswerBook(Case("publish", Request("POST", "/feed", BINARY_TYPE, body), said))
        begun = time.monotonic_ns()
        end_ns = session.start_ns + int((session.spec.warmup_s + session.spec.measured_s) * 1e9)
        with Timer() as timer:
            for turn in range(1 << 62):
                due = begun + int(turn * 1e9 / model.rate)
                if due >= end_ns or not run.running or session.aborted:
                    return
                timer.sleep_until(due)
                number = run.published.begin(due - session.start_ns)
                message = run.published.messages[number]
                problem = connection.exchange(head + number.to_bytes(_NUMBER_BYTES) + rest, book)
                message.sent_ns = connection.sent_ns
                if problem is not None:
                    message.failed = True
                    fail(run.series_at(message.due_ns), problem, connection.sent_ns, connection)

    def everyone(self, connection: Connection, model: Broadcast) -> bool:
        """Wait until the server knows of every receiver: one that it does not know yet would
        miss what is published, and nothing would be wrong with that."""
        count = model.receivers + model.slow
        state = re.compile(rb'\{"receivers":%d,.*' % count)
        book = AnswerBook(Case("feed", get("/feed"), Expected(200, JSON, state)))
        request = get("/feed").encode("feed")
        deadline = time.monotonic() + _EVERYONE_S
        while connection.exchange(request, book) is not None:
            if time.monotonic() > deadline:
                return False
            gevent.sleep(_READY_POLL_S)
        return True

    def settle(self, session: Session, run: LoadRun) -> None:
        """Give what is under way a while; then wake those who still wait for something."""
        deadline = time.monotonic() + _SETTLE_S
        model = run.load.model
        assert isinstance(model, Broadcast)
        while time.monotonic() < deadline and not session.aborted:
            if all(
                one.failed or one.deliveries >= model.receivers for one in run.published.messages
            ):
                break
            gevent.sleep(_POLL_S)
        for receiver in run.connections[1 : model.receivers + 1]:
            receiver.expire()

    def receive(self, run: LoadRun, connection: WebSocket, model: Broadcast) -> None:
        """Take messages until there will be no more, and hold the server to every one."""
        head = encode(Frame(Op.BINARY, bytes(model.size_bytes)))[: -model.size_bytes]
        size, due, data = len(head) + model.size_bytes, 0, b""
        problem = connection.connect()
        while problem is None:
            try:
                data += connection.more()
            except OSError as error:
                problem = error.strerror or type(error).__name__
                break
            while len(data) >= size and data.startswith(head):
                number = int.from_bytes(data[len(head) : len(head) + _NUMBER_BYTES])
                data = data[size:]
                self.delivered(run, connection, number, due)
                due = max(due, number + 1)
            if data and not head.startswith(data[: len(head)]) and not data.startswith(head):
                problem = otherwise(data)
        ended_well = run.published.complete and connection.expired
        why = "never delivered" if ended_well else f"never delivered: {problem}"
        connection.received_ns = time.time_ns()
        while not run.published.complete:
            gevent.sleep(_POLL_S)
        for lost in run.published.owed(due, len(run.published.messages)):
            message = run.published.messages[lost]
            connection.sent_ns = message.sent_ns
            fail(run.series_at(message.due_ns), why, message.sent_ns, connection)

    def delivered(self, run: LoadRun, connection: WebSocket, number: int, due: int) -> None:
        """Record the message of a number where `due` or a later one was to come."""
        published = run.published.messages
        if number >= len(published):
            fail(run.series, "a message that nobody published", connection.received_ns, connection)
            return
        message = published[number]
        series = run.series_at(message.due_ns)
        if number < due:
            fail(series, "a message that had come before", message.sent_ns, connection)
            return
        for lost in run.published.owed(due, number):
            series = run.series_at(published[lost].due_ns)
            fail(series, "never delivered, but a later one", published[lost].sent_ns, connection)
        # It may arrive before the publisher has its own answer.
        sent_ns = message.sent_ns or run.connections[0].sent_ns
        received = connection.received_ns
        series = run.series_at(message.due_ns)
        series.service.append(max(0, received - sent_ns + 500) // 1000)
        series.service_sum_ns += received - sent_ns
        message.deliveries += 1
        message.last_ns = max(message.last_ns, received)
        model = run.load.model
        assert isinstance(model, Broadcast)
        if message.deliveries == model.receivers:
            series.last.append(max(0, message.last_ns - sent_ns + 500) // 1000)


SOCKET_USERS: dict[str, type[HarnessUser]] = {
    Echo.kind: EchoUser,
    Pushed.kind: PushedUser,
    Broadcast.kind: BroadcastUser,
}
