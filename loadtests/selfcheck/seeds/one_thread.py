"""A server that holds its one thread for an exact time for each request.

`python -m loopbench.loadtests.selfcheck.seeds.one_thread MICROSECONDS [CPU]...` prints its port,
and serves on these CPUs until its standard input is closed. A request that had to wait begins when
the last one ended, so that reading it and answering take no time of their own.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from contextlib import suppress

from loopbench.servers.supervision.os_stats import pin

BODY = b"held"
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
_END = b"\r\n\r\n"
_SPIN_S = 0.0004
"""The last part of a hold, in which it looks at the clock without sleeping."""


def hold_until(end_s: float) -> None:
    """Keep this thread until then, by perf_counter."""
    rest_s = end_s - time.perf_counter() - _SPIN_S
    if rest_s > 0:
        time.sleep(rest_s)
    while time.perf_counter() < end_s:
        pass


class Clients:
    """The connections of a listener, and what of each request is there so far.

    Requests have no body, and are not pipelined.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)
        self._sockets: dict[int, socket.socket] = {}
        self._partial: dict[int, bytes] = {}

    def ready(self, *, wait: bool) -> list[int]:
        """Descriptors that can be read, in the order in which they became so."""
        return [descriptor for descriptor, _ in self._poll.poll(None if wait else 0)]

    def watch(self, descriptor: int) -> None:
        """Have it told by `ready`, too."""
        self._poll.register(descriptor, select.EPOLLIN)

    def asked(self, descriptor: int) -> bool:
        """Read what is there; whether it completes a request."""
        if descriptor == self._listener.fileno():
            client = self._listener.accept()[0]
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[client.fileno()] = client
            self.watch(client.fileno())
            return False
        received = b""
        with suppress(ConnectionError):
            received = self._sockets[descriptor].recv(65536)
        if not received:
            self._poll.unregister(descriptor)
            self._sockets.pop(descriptor).close()
        request = self._partial.pop(descriptor, b"") + received
        if received and not request.endswith(_END):
            self._partial[descriptor] = request
        return received != b"" and request.endswith(_END)

    def answer(self, descriptor: int) -> None:
        """With the constant answer; a client that has gone gets none."""
        with suppress(ConnectionError):
            self._sockets[descriptor].sendall(_ANSWER)


def serve(listener: socket.socket, hold_s: float, ends: int) -> None:
    """Until the descriptor `ends` can be read."""
    clients = Clients(listener)
    clients.watch(ends)
    free_s = 0.0
    while True:
        ready = clients.ready(wait=False)
        if not ready:
            ready = clients.ready(wait=True)
            free_s = time.perf_counter()
        for descriptor in ready:
            if descriptor == ends:
                return
            if clients.asked(descriptor):
                free_s += hold_s
                hold_until(free_s)
                clients.answer(descriptor)


def main() -> None:
    """On a free port of loopback."""
    hold_us, *cpus = sys.argv[1:]
    if cpus:
        pin(frozenset(map(int, cpus)))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        print(listener.getsockname()[1], flush=True)
        serve(listener, float(hold_us) * 1e-6, sys.stdin.fileno())


if __name__ == "__main__":
    main()
