"""A little server that answers with exactly the bytes it is told to, in exactly the pieces."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

RESET = object()
"""A step of a script: break the connection with a TCP reset."""

CLOSE = object()
"""A step of a script: close the connection in order."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A step of a script: do nothing for this long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """A step of a script: go on when the test has set this."""

    event: threading.Event


Step = bytes | Pause | Until | object
Script = tuple[Step, ...]

_BOUND_S = 30.0
"""How long the server waits for a test that has failed meanwhile."""


@contextmanager
def hostile_server(*scripts: Script) -> Iterator[tuple[str, int]]:
    """Serve on a free port; each request is answered by the next script, the last one for ever.

    A script that neither closes nor resets leaves the connection open for the
    next request.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        remaining = list(scripts)
        threading.Thread(target=_accept, args=(listener, remaining), daemon=True).start()
        try:
            yield listener.getsockname()[:2]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, scripts: list[Script]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(connection, scripts), daemon=True).start()


def _serve(connection: socket.socket, scripts: list[Script]) -> None:
    with connection, suppress(OSError):
        while connection.recv(65536):
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            for step in script:
                if isinstance(step, bytes):
                    connection.sendall(step)
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                elif isinstance(step, Until):
                    step.event.wait(_BOUND_S)
                elif step is RESET:
                    # Lingering for no time makes close() send a reset.
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
                    )
                    return
                else:
                    return
