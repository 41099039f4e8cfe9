"""What is read from a connection: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from loopbench.loadtests.behaviour.parsing.scene import (
    CLOSES,
    FOLLOWING,
    OPEN,
    WAITS,
    exchange,
)
from loopbench.loadtests.behaviour.talking import head

Said = Callable[..., str]

STACKS = ("aiohttp", "quart-hypercorn")
AIOHTTP, QUART = STACKS


@contextmanager
def _server(*answers: bytes, hold: bool = False) -> Iterator[int]:
    """Sends each answer upon what it receives, then closes or holds the connection."""
    done = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            for answer in answers:
                connection.recv(65536)
                connection.sendall(answer)
            if hold:
                done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            thread.join()


EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(
    ("answers", "hold", "words"),
    [
        ((EMPTY, EMPTY), False, f"204, {OPEN}"),
        ((EMPTY,), False, f"204, {CLOSES}"),
        ((EMPTY,), True, f"204, {WAITS}"),
        ((b"",), False, f"no answer, {CLOSES}"),
        ((b"",), True, f"no answer, {WAITS}"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",), False, f"no answer, {CLOSES}"),
    ],
)
def test_an_exchange_says_what_became_of_the_connection(
    answers: tuple[bytes, ...], hold: bool, words: str
) -> None:
    """Kept, closed, or silent; with an answer and without."""
    with _server(*answers, hold=hold) as port:
        assert exchange(port, FOLLOWING, bound_s=0.5).words == words


def test_a_head_has_the_lines_that_it_is_given() -> None:
    """In their order, after Host."""
    assert head("GET", "/x", "A: 1") == b"GET /x HTTP/1.1\r\nHost: localhost\r\nA: 1\r\n\r\n"
