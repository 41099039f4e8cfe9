"""A little WebSocket server that may do everything wrong, for the tests of the socket users."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from loopbench.servers.contract.frames import Frame, Op, Reader, accept_key, encode
from loopbench.servers.contract.websockets import KEY

Answers = Callable[[bytes, int], bytes | None]
"""From a message and its number on its connection to the bytes that answer it; None: close."""

Spread = Callable[[int, int], list[int]]
"""From the number of a publication and of a receiver to the numbers that it is sent now."""


def upgraded(key: bytes = accept_key(KEY)) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + key + b"\r\n\r\n"
    )


def answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def right(message: bytes, number: int) -> bytes:
    return encode(Frame(Op.TEXT, message))


def everything(number: int, receiver: int) -> list[int]:
    return [number]


@dataclass
class Told:
    """What the server is to do.

    opening: the answer to the upgrade of a connection's number; None: never any.
    pushes: what is sent on `/ws`, each with the seconds to wait before it. publish: the status
    of a publication by its number.
    """

    opening: Callable[[int], bytes | None] = lambda number: upgraded()
    answers: Answers = right
    pushes: Callable[[], Iterator[tuple[float, bytes]]] = lambda: iter(())
    spread: Spread = everything
    publish: Callable[[int], int] = lambda number: 200
    dropped: int = 0
    host: str = ""
    port: int = 0
    echoed: int = 0
    published: int = 0
    _opened: int = 0
    _receivers: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _gone: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            data = connection.recv(65536)
            while data and b" /feed " in data.partition(b"\r\n")[0]:
                connection.sendall(self.fed(data))
                data = connection.recv(65536)
            if data:
                self.upgrade(connection, data.split(b" ", 2)[1])

    def fed(self, data: bytes) -> bytes:
        """Answer GET and POST of `/feed`."""
        if data.startswith(b"GET"):
            told = {"receivers": len(self._receivers), "heard": 0, "dropped": self.dropped}
            state = json.dumps({**told, "reconnects": 0, "pid": 7}, separators=(",", ":"))
            return answer(200, state.encode())
        body = data.partition(b"\r\n\r\n")[2]
        number = int.from_bytes(body[:8])
        status = self.publish(number)
        self.published += 1
        if status != 200:
            return answer(status, b"{}")
        for place, receiver in enumerate(self._receivers):
            for sent in self.spread(number, place):
                with suppress(OSError):
                    receiver.sendall(encode(Frame(Op.BINARY, sent.to_bytes(8) + body[8:])))
        return answer(200, b'{"published":%d}' % len(body))

    def upgrade(self, connection: socket.socket, target: bytes) -> None:
        with self._lock:
            number = self._opened
            self._opened += 1
        opening = self.opening(number)
        if opening is None:
            self._gone.wait(60)
            return
        connection.sendall(opening)
        if target.startswith(b"/ws/feed"):
            self._receivers.append(connection)
            while connection.recv(65536):
                pass
        elif target.startswith(b"/ws?"):
            for wait_s, sent in self.pushes():
                time.sleep(max(0.0, wait_s))
                connection.sendall(sent)
            self._gone.wait(60)
        else:
            self.echo(connection)

    def echo(self, connection: socket.socket) -> None:
        reader, count = Reader(masked=True, limit=1 << 20), 0
        while data := connection.recv(65536):
            for frame in reader.feed(data):
                with self._lock:
                    self.echoed += 1
                said = self.answers(frame.payload, count)
                count += 1
                if said is None:
                    return
                connection.sendall(said)

    def leave(self) -> None:
        self._gone.set()


@contextmanager
def socket_server(told: Told) -> Iterator[Told]:
    """Serve on a free port until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        told.host, told.port = listener.getsockname()[:2]
        threading.Thread(target=_accept, args=(listener, told), daemon=True).start()
        try:
            yield told
        finally:
            told.leave()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, told: Told) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=told.serve, args=(connection,), daemon=True).start()
