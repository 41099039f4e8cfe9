"""The one user of a broadcast that publishes."""

from __future__ import annotations

import time

import gevent

from loopbench.loadtests.generator.clients.http1 import AnswerBook, Connection
from loopbench.loadtests.generator.clients.websocket import WebSocket
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.generator.users.broadcast.deliveries import Published
from loopbench.loadtests.generator.users.broadcast.server_counts import ServerCounts
from loopbench.loadtests.generator.users.http import fail
from loopbench.loadtests.scenarios.models import Broadcast
from loopbench.servers.contract.http import BINARY_TYPE, Case, Request, written

NUMBER_BYTES = 8
"""What a message begins with: its number."""

_EVERYONE_S = 2.0
"""How long the server may take to know of every receiver once all connections stand."""

_SETTLE_S = 1.5
"""How long deliveries are waited for after the last publication; together with the time to ask
the server for its counts less than a session's drain."""

_POLL_S = 0.01
_READY_POLL_S = 0.05


class Publisher:
    """Publishes at the load's rate, and ends the broadcast for its receivers."""

    def __init__(self, session: Session, run: LoadRun) -> None:
        self._session = session
        self._run = run
        self._model: Broadcast = run.model
        self._published: Published = run.shared
        self._counts = ServerCounts(session.spec)
        self._all_known = False

    def await_receivers(self) -> None:
        """Wait until the server knows of every receiver, or until it is clear that it will not:
        one that it does not know yet would miss what is published, and rightly so."""
        others, standing_since = self._model.population - 1, 0.0
        while self._counts.ask() is None or self._counts.total("receivers") != others:
            sockets = [socket for socket in self._run.connections if isinstance(socket, WebSocket)]
            if len(sockets) == others and not any(socket.busy for socket in sockets):
                standing_since = standing_since or time.monotonic()
                late = time.monotonic() > standing_since + _EVERYONE_S
                if late or not all(socket.connected for socket in sockets):
                    return
            if self._session.aborted or self._session.started.is_set():
                return
            gevent.sleep(_READY_POLL_S)
        self._all_known = True

    def drive(self, connection: Connection) -> None:
        """Publish until the load is over; then wait for what is under way, and count."""
        try:
            if self._all_known:
                self._publish(connection)
            else:
                connection.sent_ns = connection.received_ns = time.time_ns()
                problem = "not every receiver was known"
                fail(self._run.measured, problem, connection.sent_ns, connection)
        finally:
            self._published.complete = True
            self._settle()
        if not self._session.aborted and self._counts.ask_all_again():
            self._run.count("receivers_dropped", self._counts.total("dropped"))

    def _publish(self, connection: Connection) -> None:
        """Publish at the rate, whatever the server does."""
        session, run = self._session, self._run
        body = bytes(self._model.size_bytes)
        request = Request("POST", "/feed", BINARY_TYPE, body)
        payload = request.encode(session.spec.authority)
        head, rest = payload[: len(payload) - len(body)], body[NUMBER_BYTES:]
        expected = written({"published": len(body)})
        book = AnswerBook(Case("publish", request, expected))
        begun = time.monotonic_ns()
        end_ns = session.start_ns + session.spec.close_ns
        turn = 0
        with Timer() as timer:
            while (due := begun + int(turn * 1e9 / self._model.rate)) < end_ns:
                timer.sleep_until(due)
                if not run.running or session.aborted:
                    return
                number = self._published.begin(due - session.start_ns)
                publication = self._published.publications[number]
                problem = connection.exchange(head + number.to_bytes(NUMBER_BYTES) + rest, book)
                publication.sent_ns = connection.sent_ns
                if problem is not None:
                    publication.failed = True
                    series = run.series_at(publication.due_ns)
                    fail(series, f"publish: {problem}", publication.sent_ns, connection)
                turn += 1

    def _settle(self) -> None:
        """Give what is under way a while; then wake those who still wait for something."""
        run, receivers = self._run, self._model.receivers
        publications = self._published.publications
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline and not self._session.aborted:
            if all(
                publication.failed or publication.deliveries >= receivers
                for publication in publications
            ):
                break
            gevent.sleep(_POLL_S)
        while run.running:  # what nobody published may still come
            gevent.sleep(_POLL_S)
        for publication in publications:
            if not publication.failed and run.series_at(publication.due_ns) is run.measured:
                run.count("deliveries_owed", receivers)
        for receiver in run.connections[1 : receivers + 1]:
            receiver.expire()
