"""How much of a request a server takes, how many on one connection, and what ended ones leave open.

A patch release that begins to refuse a working form, or to close a connection sooner, is seen by
nothing that stays within the limits. Each is looked for by halving, up to a bound; beyond it the
fact says only that the limit is not below.
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from loopbench.loadtests.observe import raw_request
from loopbench.servers.contract.http import Request
from loopbench.servers.lifecycle.process import ServerProcess

SUBJECT = "limits"
ENDINGS: Mapping[str, bool] = {
    "connections ended by FIN": False,
    "connections ended by RST": True,
}
"""Subjects: and whether the connection is torn down hard."""

_CONNECTIONS = 30
_CLOSED_BOUND_S = 5.0
_READ_BOUND_S = 2.0
_LOOK_S = 0.0005
_CLOSED_LOOK_S = 0.02
"""Between two looks at all that the server has open."""
LINGER_NOT = struct.pack("ii", 1, 0)
"""With it, closing a socket sends RST in place of FIN (socket(7), SO_LINGER)."""

_PLAIN = Request("GET", "/plain")


def _field(size: int) -> Request:
    return Request("GET", "/plain", (("X-Long", "a" * size),))


def _fields(count: int) -> Request:
    return Request("GET", "/plain", tuple((f"X-{n}", "a") for n in range(count)))


def _target(size: int) -> Request:
    return Request("GET", f"/plain?{'a' * size}")


def _form(count: int) -> Request:
    body = "&".join(f"f{n}=a" for n in range(count)).encode()
    return Request("POST", "/form", (("Content-Type", "application/x-www-form-urlencoded"),), body)


SIZES: Mapping[str, tuple[Callable[[int], Request], int]] = {
    "bytes of a header field": (_field, 131_072),
    "header fields": (_fields, 2_048),
    "bytes of a query": (_target, 131_072),
    "fields of a form": (_form, 4_096),
}
"""By fact: the request of a size, and how far to look."""

_BODY_BYTES = 1_200_000
"""More than what a framework takes that has a limit worth naming: 1 MiB, or 500 kB of a form."""

_BOUNDARY = "loopbench"


def _body(size: int) -> Request:
    return Request("POST", "/body", (("Content-Type", "application/octet-stream"),), b"a" * size)


def _form_field(size: int) -> Request:
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return Request("POST", "/form", (kind,), b"f=" + b"a" * size)


def _form_part(size: int) -> Request:
    return _multipart([b"a" * size])


def _form_parts(count: int) -> Request:
    return _multipart([b"a"] * count)


def _multipart(values: Sequence[bytes]) -> Request:
    head = b'--%s\r\nContent-Disposition: form-data; name="f"\r\n\r\n' % _BOUNDARY.encode()
    body = b"".join(b"%s%s\r\n" % (head, value) for value in values)
    kind = ("Content-Type", f"multipart/form-data; boundary={_BOUNDARY}")
    return Request("POST", "/form", (kind,), body + b"--%s--\r\n" % _BOUNDARY.encode())


BODIES: Mapping[str, tuple[Callable[[int], Request], int]] = {
    "bytes of a body": (_body, _BODY_BYTES),
    "bytes of a form's field": (_form_field, _BODY_BYTES),
    "bytes of a part of a form": (_form_part, _BODY_BYTES),
    "parts of a form": (_form_parts, 2_048),
}
"""The same, of an application that sets no limits (`small_apps`)."""

OF_FORMS = frozenset(BODIES) - {"bytes of a body"}
"""Those of a framework that reads forms."""

REQUESTS = 1_100
"""On one connection; servers that count them close at a thousand."""


def limits(server: ServerProcess) -> Iterator[tuple[str, str]]:
    """Facts and their values: the largest that is answered with 200."""
    for fact, (make, most) in SIZES.items():
        yield fact, largest(partial(_taken, server, make), most)
    yield "requests on a connection", _limit_text(_requests(server), REQUESTS)


def largest(taken: Callable[[int], bool], most: int) -> str:
    """By halving; what is taken is taken at every smaller size."""
    if taken(most):
        return _limit_text(most, most)
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(middle) else (low, middle)
    return _limit_text(low, most)


def _limit_text(reached: int, most: int) -> str:
    return f"{reached} or more" if reached >= most else str(reached)


def _taken(server: ServerProcess, make: Callable[[int], Request], size: int) -> bool:
    """Whether a request of this size is answered with 200.

    The last bytes are sent once the server has read those before, so that what it makes of an
    unfinished head does not depend on how the kernel cut it."""
    request = make(size)
    whole = request.encode(f"{server.host}:{server.port}")
    try:
        with raw_request.connect(server.host, server.port) as connection:
            with suppress(ConnectionResetError, BrokenPipeError):  # a refusal may still be read
                connection.sendall(whole[:-2])
                _await_read(connection)
                connection.sendall(whole[-2:])
            return raw_request.receive(connection, request.method).status == 200
    except (OSError, http.client.HTTPException):
        return False


def answered(host: str, port: int, request: Request) -> bool:
    """Whether it is answered with 200."""
    try:
        with raw_request.connect(host, port) as connection:
            reply = raw_request.exchange(connection, request, f"{host}:{port}")
            return reply.status == 200
    except (OSError, http.client.HTTPException):
        return False


def _await_read(connection: socket.socket) -> None:
    """Until the server's end holds nothing unread (proc(5), net/tcp), or a while has passed."""
    here, there = (address[1] for address in (connection.getsockname(), connection.getpeername()))
    deadline = time.monotonic() + _READ_BOUND_S
    while _unread(there, here) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)


def _unread(local: int, remote: int) -> bool:
    ends = f":{local:04X}", f":{remote:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local_end, remote_end, _, queues = line.split()[:5]
        if local_end.endswith(ends[0]) and remote_end.endswith(ends[1]):
            return int(queues.partition(":")[2], 16) > 0
    return False


def _requests(server: ServerProcess) -> int:
    """How many are answered before the server closes the connection."""
    host = f"{server.host}:{server.port}"
    answered = 0
    with raw_request.connect(server.host, server.port) as connection:
        with suppress(OSError, http.client.HTTPException):
            while answered < REQUESTS:
                reply = raw_request.exchange(connection, _PLAIN, host)
                answered += 1
                if (reply.header("connection") or "").lower() == "close":
                    break
    return answered


def given_back(server: ServerProcess, hard: bool) -> str:
    """What becomes of the descriptors of connections that their clients end after an answer.

    Not of how many there are: a server that keeps its connections may give those of earlier
    requests back meanwhile.
    """
    host = f"{server.host}:{server.port}"
    before = _sockets(server)
    with ExitStack() as cleanup:
        for _ in range(_CONNECTIONS):
            connection = cleanup.enter_context(raw_request.connect(server.host, server.port))
            raw_request.exchange(connection, _PLAIN, host)
            if hard:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        opened = _sockets(server) - before
    deadline = time.monotonic() + _CLOSED_BOUND_S
    while (kept := _sockets(server) & opened) and time.monotonic() < deadline:
        time.sleep(_CLOSED_LOOK_S)
    return f"kept for {_CLOSED_BOUND_S:g} s" if kept else "given back"


def _sockets(server: ServerProcess) -> frozenset[str]:
    """Those that the server has open, by the numbers of their inodes (proc(5), fd)."""
    folder = Path(f"/proc/{server.pid}/fd")
    links = set()
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed since
            links.add(os.readlink(folder / name))
    return frozenset(link for link in links if link.startswith("socket:"))
