"""What is said of a server that breaks the contract, before it is loaded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from loopbench.loadtests.bench.checks.verify import problems, socket_problems
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.websockets import EXCHANGES
from tests.loadtests.generator.sockets import upgraded


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, int]]:
    """Where one connection is answered so, whatever it asks, and then ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection), suppress(ConnectionError):
                connection.recv(65_536)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass  # until the client has read all

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join()


def http_answer(status: str, content_type: str, body: bytes, allow: str | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    if allow is not None:
        lines.append(f"Allow: {allow}")
    return "\r\n".join((*lines, "", "")).encode() + body


NOT_ALLOWED = b'{"error":"Method Not Allowed"}'
WRONG = {
    "body": ("plain", http_answer("200 OK", "text/plain; charset=utf-8", b"Hello, earth"), "body"),
    "type": (
        "plain",
        http_answer("200 OK", "text/html", b"Hello, world"),
        "Content-Type 'text/html' instead of 'text/plain; charset=utf-8'",
    ),
    "methods": (
        "wrong-method",
        http_answer("405 No", "application/json", NOT_ALLOWED, "GET"),
        "Allow 'GET' instead of 'GET, HEAD'",
    ),
    "end": (
        "plain",
        http_answer("200 OK", "text/plain; charset=utf-8", b"Hello, world")[:-3],
        "IncompleteRead",
    ),
    "nothing": ("plain", b"", "RemoteDisconnected"),
}
"""By what is wrong: the Case, the answer, and what is said of it."""


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_answer_is_named(wrong: str) -> None:
    """In a line with the Case and its request."""
    name, answer, why = WRONG[wrong]
    with answering(answer) as (host, port):
        (said,) = problems(host, port, [CASES[name]])
    request = CASES[name].request
    assert said.startswith(f"{name} ({request.method} {request.target}): ")
    assert why in said


UNTRUE = {
    "no upgrade": (http_answer("200 OK", "text/plain", b"x"), "status 200 instead of 101"),
    "another's key": (upgraded(b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="), "a wrong Sec-WebSocket-Accept"),
    "nothing": (b"", "closed before the answer"),
    "no echo": (upgraded(), "the connection's end instead of text of 5 bytes b'hello'"),
}
"""The same of WebSockets: what answers the upgrade."""


@pytest.mark.parametrize("wrong", UNTRUE)
def test_a_wrong_websocket_is_named(wrong: str) -> None:
    """In a line with the exchange and its path."""
    answer, why = UNTRUE[wrong]
    with answering(answer) as (host, port):
        (said,) = socket_problems(host, port, [EXCHANGES["ws-echo-text"]])
    assert said.startswith("ws-echo-text (/ws/echo): ")
    assert said.endswith(why)
