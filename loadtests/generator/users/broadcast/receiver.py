"""A user of a broadcast that receives, and holds the server to every publication."""

from __future__ import annotations

import time

import gevent

from loopbench.loadtests.generator.clients.websocket import WebSocket, otherwise
from loopbench.loadtests.generator.recorder import to_us
from loopbench.loadtests.generator.session import LoadRun
from loopbench.loadtests.generator.users.broadcast.deliveries import Inbox, Published
from loopbench.loadtests.generator.users.broadcast.publisher import NUMBER_BYTES
from loopbench.loadtests.generator.users.http import fail
from loopbench.loadtests.scenarios.models import Broadcast
from loopbench.servers.contract.frames import Frame, Op, encode

_POLL_S = 0.01


class Receiver:
    """Takes messages on one WebSocket."""

    def __init__(self, run: LoadRun, connection: WebSocket) -> None:
        self._run = run
        self._connection = connection
        self._model: Broadcast = run.model
        self._published: Published = run.shared
        self._inbox = Inbox(self._published)

    def drive(self) -> None:
        """Take messages until there will be no more; what has not come then is lost."""
        run, connection, published = self._run, self._connection, self._published
        problem = connection.connect() or self._take()
        ended_well = published.complete and connection.expired
        why = "never delivered" if ended_well else f"never delivered: {problem}"
        connection.received_ns = time.time_ns()
        while not published.complete:
            gevent.sleep(_POLL_S)
        lost = self._inbox.lost()
        for publication in lost:
            connection.sent_ns = publication.sent_ns
            series = run.series_at(publication.due_ns)
            fail(series, why, publication.sent_ns, connection)
            run.count("deliveries_lost", series is run.measured)
        if not lost and not ended_well:
            fail(run.measured, f"a receiver was lost: {problem}", connection.sent_ns, connection)

    def _take(self) -> str:
        """Take messages as long as they are ones; why there are no more."""
        connection, size = self._connection, self._model.size_bytes
        head, data = encode(Frame(Op.BINARY, bytes(size)))[:-size], b""
        whole, after = len(head) + size, len(head) + NUMBER_BYTES
        while True:
            try:
                data += connection.more(not data)
            except OSError as error:
                return connection.why(error)
            while len(data) >= whole and data.startswith(head):
                number = int.from_bytes(data[len(head) : after])
                self._delivered(number, self._inbox.take(number))
                data = data[whole:]
            if not data.startswith(head) and not head.startswith(data[: len(head)]):
                return otherwise(data)

    def _delivered(self, number: int, problem: str | None) -> None:
        """Record the message of a number, with why it is not right that it came now."""
        run, connection = self._run, self._connection
        publications = self._published.publications
        if number >= len(publications):
            connection.sent_ns = connection.received_ns
            fail(run.series, problem or "", connection.received_ns, connection)
            return
        publication, received = publications[number], connection.received_ns
        # It may arrive before the publisher has its own answer.
        sent_ns = publication.sent_ns or run.connections[0].sent_ns
        series = run.series_at(publication.due_ns)
        if problem is not None:
            connection.sent_ns = sent_ns
            fail(series, problem, sent_ns, connection)
            return
        series.add_delivery(received - sent_ns)
        publication.deliveries += 1
        publication.last_ns = max(publication.last_ns, received)
        if publication.deliveries == self._model.receivers:
            series.last_delivery.append(to_us(publication.last_ns - sent_ns))
