"""Connections that stay open from one session with a server to the next.

A server keeps something of each connection for a while after its end, and collects garbage the
sooner the more of them come and go: where a load is offered again and again, with new connections
each time, it is that which is measured. Between two loads nothing is sent on a kept connection.
"""

from __future__ import annotations

from collections import defaultdict

from loopbench.loadtests.generator.clients.http1 import Connection

_Alike = tuple[tuple[str, int], int]
"""What connections have in common that can stand for each other: address, and size of the receive
buffer."""


class KeptConnections:
    """Those of all servers."""

    def __init__(self) -> None:
        self._kept: defaultdict[_Alike, list[Connection]] = defaultdict(list)

    def lend(self, connection: Connection) -> None:
        """Give a connection that has not connected yet one that was kept, if there is one that the
        server has not closed meanwhile."""
        kept = self._kept[_alike(connection)]
        while kept and not connection.connected:
            kept.pop().hand_over(connection)

    def keep(self, connection: Connection) -> None:
        """Take it back from a user that has ended. Other kinds have more to them than a socket."""
        if type(connection) is Connection and connection.connected:
            self._kept[_alike(connection)].append(connection)
        else:
            connection.close()


def _alike(connection: Connection) -> _Alike:
    return connection.address, connection.window_bytes
