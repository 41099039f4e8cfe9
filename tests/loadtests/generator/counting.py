"""A little server that counts what it is asked, and answers as the path says.

`/now…` at once, `/wait/MS…` after so many milliseconds, `/never…` not at all, `/some/N` at once,
but every Nth not at all, `/wrong…` with a 503, `/close…` by closing the connection instead,
`/bye…` at once, but then closing it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loopbench.servers.contract.content import TEXT
from loopbench.servers.contract.http import (
    Case,
    Expected,
    Request,
)

BODY = b"hello"


def _answer(status: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(BODY), BODY)


class Counting:
    """What a counting server has seen. `first_ns`: when each connection's first request came,
    CLOCK_REALTIME, in the order of coming."""

    def __init__(self, listener: socket.socket) -> None:
        self.host, self.port = listener.getsockname()[:2]
        self.requests: Counter[str] = Counter()
        self.first_ns: list[int] = []
        self.connections = 0
        self.closed = 0
        self._lock = threading.Lock()
        self._listener = listener
        self._gone = threading.Event()
        self._sockets: list[socket.socket] = []

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return self.connections - self.closed

    @property
    def total(self) -> int:
        """Requests in all."""
        return sum(self.requests.values())

    def accept(self) -> None:
        """Serve connections, each in a thread, until the listener is shut down."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def hang_up(self) -> None:
        """Close all connections, as a server does with those that are idle for too long."""
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Let go of the requests that are never answered."""
        self._gone.set()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._converse(connection)
        with self._lock:
            self.closed += 1

    def _converse(self, connection: socket.socket) -> None:
        first = True
        while data := connection.recv(65536):
            now_ns = time.time_ns()
            path = data.split(b" ", 2)[1].decode()
            with self._lock:
                self.requests[path] += 1
                if first:
                    self.first_ns.append(now_ns)
            first = False
            answer = self._act(path)
            if not answer:
                return
            connection.sendall(answer)
            if b"Connection: close" in answer:
                return

    def _act(self, path: str) -> bytes:
        verb, *rest = path.strip("/").split("/")
        if verb == "some":
            verb = "now" if self.requests[path] % int(rest[0]) else "never"
        if verb == "wait":
            time.sleep(int(rest[0]) / 1000)
        elif verb == "never":
            self._gone.wait(60)
        elif verb == "wrong":
            return _answer(b"503 Service Unavailable")
        elif verb == "bye":
            return _answer(b"200 OK\r\nConnection: close")
        return b"" if verb in ("never", "close") else _answer(b"200 OK")


@contextmanager
def counting_server() -> Iterator[Counting]:
    """Serve on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = Counting(listener)
        threading.Thread(target=server.accept, daemon=True).start()
        try:
            yield server
        finally:
            server.leave()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def case(path: str) -> Case:
    """The request for a path, with the answer that a counting server gives where all is well."""
    return Case(path, Request("GET", path), Expected(200, TEXT, BODY))
