"""The Locust user of a broadcast, whose number says what it does."""

from __future__ import annotations

import gevent

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.clients.websocket import WebSocket
from loopbench.loadtests.generator.session import LoadRun, Session
from loopbench.loadtests.generator.users.broadcast.deliveries import Published
from loopbench.loadtests.generator.users.broadcast.publisher import Publisher
from loopbench.loadtests.generator.users.broadcast.receiver import Receiver
from loopbench.loadtests.generator.users.http import HarnessUser
from loopbench.loadtests.scenarios.models import Broadcast

_SLOW_BUFFER_BYTES = 4096
_POLL_S = 0.01


class BroadcastUser(HarnessUser):
    """The first publishes, the last ones read nothing, the others receive."""

    def connection(self, session: Session, run: LoadRun, index: int) -> Connection:
        model, spec = _model(run), session.spec
        if index == 0:
            run.shared = Published()
            return Connection(spec.host, spec.port)
        slow = index > model.receivers
        return WebSocket(spec.host, spec.port, run.payload, _SLOW_BUFFER_BYTES if slow else 0)

    def prepare(self, session: Session, run: LoadRun, index: int) -> None:
        """The load begins when the server knows of every receiver."""
        if index == 0:
            self._publisher = Publisher(session, run)
            self._publisher.await_receivers()

    def drive(self, session: Session, run: LoadRun, connection: Connection, index: int) -> None:
        if index == 0:
            self._publisher.drive(connection)
        elif isinstance(connection, WebSocket) and index <= _model(run).receivers:
            Receiver(run, connection).drive()
        else:
            while run.running:
                gevent.sleep(_POLL_S)


def _model(run: LoadRun) -> Broadcast:
    model: Broadcast = run.model
    return model
