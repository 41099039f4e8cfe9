"""The Locust users: lean ones for the harness, and the same by hand.

A user has one connection and sends its load's one request, encoded once. In
the harness it records into its load's Series; by hand (`locust -f`) it fires
Locust's request event, so that Locust's own page and statistics work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlsplit

import gevent
from locust import User, constant, task
from locust.exception import StopUser

from loopbench.loadtests.generator.clients.http1 import AnswerBook, Connection
from loopbench.loadtests.generator.clients.streaming import FirstByteConnection
from loopbench.loadtests.generator.recorder import Series, to_us
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.scenarios.models import Closed
from loopbench.servers.contract.http import Case

RETRY_S = 0.01
"""A user whose connection fails pauses this long: a server that is gone must
not be met by a loop that does nothing but try."""


_IDLE_POLL_S = 0.1
"""How often an idle user looks whether the load is over."""


class HarnessUser(User):
    """A user of one LoadRun: takes part in the session's phases, then ends."""

    abstract = True
    wait_time = constant(0)
    session: ClassVar[Session]
    run_of: ClassVar[LoadRun]

    @task
    def take_part(self) -> None:
        session, run = self.session, self.run_of
        index = len(run.connections)
        connection = self.connection(session, run, index)
        run.connections.append(connection)
        try:
            try:
                session.connect(connection)
                self.prepare(session, run, index)
                session.arrive()
                session.started.wait()
                self.drive(session, run, connection, index)
            except Exception as error:  # a defect of the generator, not an answer of the server
                session.break_off(error)
            finally:
                session.finish()
            session.released.wait()
        finally:
            session.part_with(connection)
        raise StopUser

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        """What the load's user of this number, from 0, sends on."""
        return Connection(session.spec.host, session.spec.port)

    def prepare(self, session: Session, run: LoadRun, index: int) -> None:
        """What is to be done before the load begins."""

    def drive(self, session: Session, run: LoadRun, connection: Any, index: int) -> None:
        """Send requests until the load is over."""
        raise NotImplementedError


def closed_loop(run: LoadRun, connection: Connection, start_ns: int, previous_ns: int = 0) -> None:
    """Send the next request when the last answer is in: the loop that most is measured by.

    start_ns: the session's start, by the real-time clock. previous_ns: when this user's last answer
    arrived, where it has had one just now.
    """
    payload, book, exchange = run.payload, run.book, connection.exchange
    previous = previous_ns
    while run.running:
        series = run.series
        problem = exchange(payload, book)
        if problem is None:
            sent, received = connection.sent_ns, connection.received_ns
            series.add_answer(sent, received, start_ns, previous)
            previous = received
        else:
            fail(series, problem, connection.sent_ns, connection)
            previous = 0
            gevent.sleep(RETRY_S)


class ClosedLoopUser(HarnessUser):
    """Sends its next request when the last answer is in."""

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model: Closed = run.model
        if model.first_byte:
            return FirstByteConnection(session.spec.host, session.spec.port)
        return super().connection(session, run, index)

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        model: Closed = run.model
        with Timer() as timer:
            step = (index + session.spec.phase) / model.users
            timer.sleep_until(session.start_ns + int(model.ramp_s * 1e9 * step))
        if model.think_s:
            self.think(session, run, connection, index)
            return
        if model.new_connections:
            exchange = partial(connection.exchange, run.payload, run.book)
            reconnect(run, connection, session.start_realtime_ns, exchange)
            return
        if isinstance(connection, FirstByteConnection):
            self.watch(session, run, connection)
            return
        closed_loop(run, connection, session.start_realtime_ns)

    def watch(self, session: Session, run: LoadRun, connection: FirstByteConnection) -> None:
        """The same, with an eye on when each answer began to arrive."""
        previous = 0
        while run.running:
            series = run.series
            problem = connection.exchange(run.payload, run.book)
            if problem is None:
                series.first_byte.append(to_us(connection.first_ns - connection.sent_ns))
            previous = record(series, problem, connection, session.start_realtime_ns, previous)

    def think(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        """The same with a pause after each answer; the first request comes after a part of one,
        so that users are not in step."""
        model: Closed = run.model
        spec = session.spec
        draw = Random(f"{spec.seed}/{run.load.name}{spec.part}/{index}").uniform
        run.over.wait(draw(0.0, draw(model.think_min_s, model.think_max_s)))
        while run.running:
            series = run.series
            problem = connection.exchange(run.payload, run.book)
            record(series, problem, connection, session.start_realtime_ns)
            run.over.wait(draw(model.think_min_s, model.think_max_s))


def reconnect(
    run: LoadRun, connection: Connection, start_ns: int, exchange: Callable[[], str | None]
) -> None:
    """A closed loop with a new connection for every request or message, sent by `exchange`."""
    connection.close()
    while run.running:
        series, began = run.series, time.time_ns()
        problem = exchange()
        connection.close()
        if record(series, problem, connection, start_ns, since_ns=began):
            series.response_time.append(to_us(connection.received_ns - began))


class IdleUser(HarnessUser):
    """Sends one request as the lead-in begins, then holds its connection until the end."""

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        problem = connection.exchange(run.payload, run.book)
        if problem is not None:
            fail(run.measured, problem, connection.sent_ns, connection)
        while run.running:
            gevent.sleep(_IDLE_POLL_S)


def open_loop(
    run: LoadRun,
    connection: Connection,
    due_from: tuple[int, int],
    start_realtime_ns: int,
    over: Callable[[], bool],
) -> None:
    """Take the next arrival, wait until it is due, send it: the loop whose users wait for nobody.

    due_from: the instant that arrivals count from, by the monotonic and by the real-time clock.
    start_realtime_ns: the session's start. over: whether to end without the arrival waited for.

    The response time counts from the intended start, less the generator's own
    lateness: from then, or, where the connection was still busy, as long as it
    was. What is left between that and the send is `send_lag`.
    """
    assert run.arrivals is not None
    assert run.backlog is not None
    take, payload, book, backlog = run.arrivals.take, run.payload, run.book, run.backlog
    due_from_ns, due_from_realtime_ns = due_from
    free_ns = 0
    with Timer() as timer:
        while not over() and (due := take()) is not None:
            series = run.series_at(due)
            timer.sleep_until(due_from_ns + due)
            if over():
                return
            # A server that has closed the connection is charged with the next one, too.
            began = 0 if connection.connected else time.time_ns()
            problem = connection.exchange(payload, book)
            sent, received = connection.sent_ns, connection.received_ns
            intended, began = due_from_realtime_ns + due, began or sent
            waited = max(0, free_ns - intended)
            # Where the wall clock has stepped, what piled up is not to be that step.
            apart_ns = time.time_ns() - time.monotonic_ns()
            backlog.add(due, received - apart_ns - due_from_ns, failed=problem is not None)
            if problem is None:
                series.add_answer(sent, received, start_realtime_ns)
                series.response_time.append(to_us(received - began + waited))
                series.send_lag.append(max(0, began - max(intended, free_ns)) // 1000)
            else:
                fail(series, problem, intended, connection)
                gevent.sleep(RETRY_S)
                received = time.time_ns()  # the pause is the failure's, not the generator's
            free_ns = received


class OpenLoopUser(HarnessUser):
    """Sends requests when they are due."""

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        starts = session.start_ns, session.start_realtime_ns
        open_loop(run, connection, starts, session.start_realtime_ns, session.over)


def record(
    series: Series,
    problem: str | None,
    connection: Connection,
    start_ns: int,
    previous_ns: int = 0,
    *,
    since_ns: int | None = None,
) -> int:
    """Record what came of a request, and pause where it failed; when its answer arrived, else 0.

    start_ns, previous_ns: as of `Series.add_answer`. since_ns: when a failure began, where that is
    not its send.
    """
    sent, received = connection.sent_ns, connection.received_ns
    if problem is None:
        series.add_answer(sent, received, start_ns, previous_ns)
        return received
    fail(series, problem, sent if since_ns is None else since_ns, connection)
    gevent.sleep(RETRY_S)
    return 0


def fail(series: Series, problem: str, since_ns: int, connection: Connection) -> None:
    example = f"after {(connection.received_ns - connection.sent_ns) / 1e6:.3f} ms"
    series.fail(problem, max(0, connection.received_ns - since_ns), example)


class ByHandUser(User):
    """One Case of the contract against `--host`, reported through Locust's own events."""

    abstract = True
    wait_time = constant(0)
    case: ClassVar[Case]

    def on_start(self) -> None:
        address = urlsplit(self.host or "http://127.0.0.1:8080")
        host, port = address.hostname or "127.0.0.1", address.port or 80
        self.connection = Connection(host, port)
        self.payload = self.case.request.encode(f"{host}:{port}")
        self.book = AnswerBook(self.case)

    def on_stop(self) -> None:
        self.connection.close()

    @task
    def ask(self) -> None:
        started = time.time()
        problem = self.connection.exchange(self.payload, self.book)
        self.environment.events.request.fire(
            request_type=self.case.request.method,
            name=self.case.name,
            response_time=(self.connection.received_ns - self.connection.sent_ns) / 1e6,
            response_length=0 if problem else self.book.length,
            exception=None if problem is None else RuntimeError(problem),
            context={},
            start_time=started,
        )
        if problem is not None:
            gevent.sleep(RETRY_S)
