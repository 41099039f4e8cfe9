"""The Locust users that read the events of an answer which need not end."""

from __future__ import annotations

import gevent

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.clients.streaming import EventConnection
from loopbench.loadtests.generator.recorder import to_us
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.users.http import RETRY_S, HarnessUser, fail
from loopbench.loadtests.scenarios.models import Stream

_NO_EVENT = "an answer without an event"


class StreamUser(HarnessUser):
    """Asks as the lead-in begins, and again when an answer has ended after all."""

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model: Stream = run.model
        return EventConnection(session.spec.host, session.spec.port, model.events)

    def drive(
        self, session: Session, run: LoadRun, connection: EventConnection, index: int
    ) -> None:
        while run.running:
            problem = connection.ask(run.payload, run.book)
            if problem is None:
                problem = _follow(run, connection)
            if problem is not None and run.running:
                fail(run.series, problem, connection.sent_ns, connection)
                connection.close()
                gevent.sleep(RETRY_S)


def _follow(run: LoadRun, connection: EventConnection) -> str | None:
    """Count events until the answer ends or the load is over; what is wrong with it, or None.

    The time to the first event is of the window, whenever the answer began: most streams begin
    in the lead-in, and never end. Until then the answer can be late; a pause between events is
    the application's own.
    """
    before, first = connection.sent_ns, True
    connection.busy = True
    try:
        while run.running and not connection.complete:
            count, problem = connection.more()
            arrived = connection.received_ns
            for _ in range(count):
                run.series.add_delivery(arrived - before)
                before = arrived
            if count and first:
                run.measured.first_event.append(to_us(arrived - connection.sent_ns))
                first = connection.busy = False
            if problem is not None:
                return problem
    finally:
        connection.busy = False
    return _NO_EVENT if first else None
