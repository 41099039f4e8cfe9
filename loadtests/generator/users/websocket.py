"""The Locust users of WebSockets: to and fro, and pushed to; a broadcast's are elsewhere."""

from __future__ import annotations

import time
from itertools import cycle

import gevent

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.clients.websocket import WebSocket, prepared
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.users.http import RETRY_S, HarnessUser, fail, reconnect
from loopbench.loadtests.generator.users.pushes import Pushes
from loopbench.loadtests.scenarios.models import Echo, Pushed
from loopbench.servers.contract.frames import BrokenFrame, Op, Reader

_LIMIT = 1 << 24
_POLL_S = 0.01


class _SocketUser(HarnessUser):
    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        return WebSocket(session.spec.host, session.spec.port, run.payload)


class EchoUser(_SocketUser):
    """Sends its next message when the last one is back."""

    def drive(self, session: Session, run: LoadRun, connection: WebSocket, index: int) -> None:
        model: Echo = run.model
        pairs = prepared(model.size_bytes, index)
        if model.new_connections:
            turns = cycle(pairs)
            reconnect(
                *(run, connection, session.start_realtime_ns), lambda: connection.echo(*next(turns))
            )
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
                    series.add_answer(sent, received, start_ns, previous)
                    previous = received
                else:
                    fail(series, problem, connection.sent_ns, connection)
                    previous = 0
                    gevent.sleep(RETRY_S)


class PushedUser(_SocketUser):
    """Is sent stamped messages; each must be the next, and counts from when it was due.

    All that were due in the window are owed, and are waited for as long as a drain lasts.
    """

    def drive(self, session: Session, run: LoadRun, connection: WebSocket, index: int) -> None:
        model: Pushed = run.model
        length_s = session.spec.warmup_s + session.spec.measured_s
        pushes = Pushes(model.rate, session.start_realtime_ns + int(length_s * 1e9))
        problem = connection.connect()
        if problem is not None:
            connection.received_ns = time.time_ns()
            self.rest(run)
            fail(run.measured, problem, connection.sent_ns, connection)
            return
        connected_ns = connection.received_ns
        problem = self.follow(session, run, connection, pushes)
        connection.received_ns = time.time_ns()
        self.rest(run)
        for due_ns in pushes.owed(connected_ns, time.time_ns()):
            self.lose(session, run, connection, due_ns, f"never sent: {problem}")

    def follow(
        self, session: Session, run: LoadRun, connection: WebSocket, pushes: Pushes
    ) -> str | None:
        """Take messages until one comes that was due after the window; why there are no more."""
        reader = Reader(masked=False, limit=_LIMIT)
        connection.busy = True
        try:
            while True:
                connection.sent_ns = time.time_ns()
                for frame in reader.feed(connection.more(reader.between)):
                    due_ns, skipped, problem = pushes.take(frame)
                    for lost in skipped:
                        self.lose(session, run, connection, lost, "never sent, but a later one")
                    if frame.op is Op.CLOSE:
                        return problem
                    if problem is not None:
                        connection.sent_ns = connection.received_ns
                        fail(run.series, problem, connection.received_ns, connection)
                        continue
                    if pushes.over:
                        return None
                    late_ns = connection.received_ns - due_ns
                    series = run.series_at(due_ns - session.start_realtime_ns)
                    series.add_delivery(late_ns)
                    self.owe(session, run, due_ns)
        except OSError as error:
            return connection.why(error)
        except BrokenFrame as broken:
            return f"a broken frame: {broken}"
        finally:
            connection.busy = False

    def owe(self, session: Session, run: LoadRun, due_ns: int) -> bool:
        """Count a message that was due in the measured window; whether it was."""
        measured = run.series_at(due_ns - session.start_realtime_ns) is run.measured
        run.count("deliveries_owed", measured)
        return measured

    def lose(
        self, session: Session, run: LoadRun, connection: WebSocket, due_ns: int, why: str
    ) -> None:
        """Record a message that has not come."""
        run.count("deliveries_lost", self.owe(session, run, due_ns))
        series = run.series_at(due_ns - session.start_realtime_ns)
        fail(series, why, due_ns, connection)

    def rest(self, run: LoadRun) -> None:
        """Until the window is over."""
        while run.running:
            gevent.sleep(_POLL_S)
