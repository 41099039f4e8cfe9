"""The Locust users that ask for an answer and then read it slowly, or not at all."""

from __future__ import annotations

import gevent

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.clients.streaming import BROKEN_OFF, SlowConnection
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.users.http import RETRY_S, HarnessUser, fail
from loopbench.loadtests.scenarios.models import Slow

_TURN_S = 0.1
"""How often each of them reads its share, or looks whether it still has a connection."""


class SlowUser(HarnessUser):
    """Asks as the lead-in begins, and again when it has read an answer to its end."""

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model: Slow = run.model
        return SlowConnection(session.spec.host, session.spec.port, model.window_bytes)

    def drive(self, session: Session, run: LoadRun, connection: SlowConnection, index: int) -> None:
        model: Slow = run.model
        while run.running:
            problem = connection.ask(run.payload, run.book)
            if problem is None:
                problem = _read_slowly(run, connection, int(model.rate_bytes_s * _TURN_S))
            if problem is not None:
                fail(run.series, problem, connection.sent_ns, connection)
                connection.close()
                gevent.sleep(RETRY_S)
            elif connection.complete:
                # As of any other answer; the last byte's time is the reader's own.
                sent, received = connection.sent_ns, connection.received_ns
                run.series.add_answer(sent, received, session.start_realtime_ns)


def _read_slowly(run: LoadRun, connection: SlowConnection, share: int) -> str | None:
    """Read `share` bytes each turn until the answer is complete or the load is over; what is
    wrong with it, or None."""
    problem = None
    while problem is None and run.running and not connection.complete:
        gevent.sleep(_TURN_S)
        if share:
            problem = connection.take(share)
        elif connection.broken_off:
            problem = BROKEN_OFF
    return problem
