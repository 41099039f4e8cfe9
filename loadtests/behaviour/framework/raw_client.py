"""A client that sends exactly the bytes it is given, leaves as it is told, and shows what came."""

import enum
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

BOUND_S = 10.0
"""When an answer is given up, unless the caller says otherwise."""


class NoAnswer(Exception):
    """The connection ended, or the bound passed, before an answer was complete."""


class Leaving(enum.Enum):
    """How a client goes."""

    FIN = "FIN"
    """close(): all it had to say has been said, and nothing more will be read."""
    RST = "RST"
    """a reset, as from a process that was killed with data unread, or a cut network."""
    HALF_CLOSE = "half-close"
    """shutdown(SHUT_WR): it says nothing more but still reads."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. headers: names in lower case, in their order. took_s: from the last send."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    took_s: float

    def header(self, name: str) -> str | None:
        """The first value of this header, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")


def head(method: str, target: str, *lines: str) -> bytes:
    """The head of a request of HTTP/1.1; lines: headers beside Host."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


class Wire:
    """One TCP connection to a server."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection((host, port), BOUND_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self._sent_at = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    @property
    def left(self) -> bool:
        """Whether this side has closed."""
        return self._socket.fileno() < 0

    def send(self, data: bytes) -> None:
        """Send these bytes. Raises OSError where the server has gone."""
        self._sent_at = time.perf_counter()
        self._socket.sendall(data)

    def request(self, method: str, target: str, *lines: str, body: bytes = b"") -> None:
        """Send an HTTP/1.1 request, lines: headers; a body gets its Content-Length."""
        length = [f"Content-Length: {len(body)}"] if body else []
        self.send(head(method, target, *lines, *length) + body)

    def ask(self, method: str, target: str, *lines: str, body: bytes = b"") -> Reply:
        """Send a request, and wait for its answer. Raises NoAnswer."""
        self.request(method, target, *lines, body=body)
        return self.answer()

    def answer(self, bound_s: float = BOUND_S, *, to_head: bool = False) -> Reply:
        """The next final answer. Raises NoAnswer when it ends early or is not there in time."""
        deadline = time.monotonic() + bound_s
        status = 100
        while status < 200:
            head = self._until(b"\r\n\r\n", deadline).decode("latin-1")
            status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
            status = int(status_line.split(" ")[1])
            pairs = (line.partition(":")[::2] for line in lines)
            headers = tuple((name.lower(), value.strip()) for name, value in pairs)
        reply = Reply(status, headers, b"", 0.0)
        body = b"" if to_head or status in (204, 304) else self._body(reply, deadline)
        return Reply(status, headers, body, time.perf_counter() - self._sent_at)

    def head(self, bound_s: float = BOUND_S) -> bytes:
        """The head of the next answer, whatever follows. Raises NoAnswer."""
        return self._until(b"\r\n\r\n", time.monotonic() + bound_s)

    def some(self, bound_s: float = BOUND_S) -> bytes:
        """What comes next: at least a byte, or nothing where the server has closed. Raises
        NoAnswer at the bound."""
        if not self._read:
            return self._receive(time.monotonic() + bound_s)
        taken, self._read = self._read, b""
        return taken

    def rest(self, bound_s: float = BOUND_S) -> bytes:
        """All that comes until the server closes. Raises NoAnswer when it does not in time."""
        deadline = time.monotonic() + bound_s
        with suppress(ConnectionError):
            while received := self._receive(deadline):
                self._read += received
        taken, self._read = self._read, b""
        return taken

    def closed(self, bound_s: float = BOUND_S) -> float | None:
        """Seconds until the server closes, what it sends meanwhile ignored; None: not in time."""
        began = time.perf_counter()
        try:
            self.rest(bound_s)
        except NoAnswer:
            return None
        return time.perf_counter() - began

    def leave(self, how: Leaving) -> None:
        """Go away."""
        if how is Leaving.HALF_CLOSE:
            self._socket.shutdown(socket.SHUT_WR)
            return
        if how is Leaving.RST:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _body(self, reply: Reply, deadline: float) -> bytes:
        length = reply.header("content-length")
        if length is not None:
            return self._exactly(int(length), deadline)
        if reply.header("transfer-encoding") == "chunked":
            parts = []
            while size := int(self._until(b"\r\n", deadline), 16):
                parts.append(self._exactly(size, deadline))
                self._until(b"\r\n", deadline)
            self._until(b"\r\n", deadline)
            return b"".join(parts)
        return self.rest(deadline - time.monotonic())

    def _until(self, mark: bytes, deadline: float) -> bytes:
        while mark not in self._read:
            self._more(deadline)
        taken, _, self._read = self._read.partition(mark)
        return taken + mark

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._read) < size:
            self._more(deadline)
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _more(self, deadline: float) -> None:
        try:
            received = self._receive(deadline)
        except ConnectionError as error:
            raise NoAnswer(f"the connection ended: {type(error).__name__}") from error
        if not received:
            raise NoAnswer("the server closed the connection before the answer was complete")
        self._read += received

    def _receive(self, deadline: float) -> bytes:
        readable = select.poll()  # select() takes no descriptor above 1,023
        readable.register(self._socket, select.POLLIN)
        ready = readable.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise NoAnswer("nothing more came in time")
        return self._socket.recv(65536)


def get(port: int, target: str, bound_s: float = BOUND_S) -> Reply:
    """`GET target` over a connection of its own. Raises NoAnswer."""
    with Wire(port) as wire:
        wire.request("GET", target)
        return wire.answer(bound_s)
