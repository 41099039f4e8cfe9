"""Where the kernel says that a thread waits, of threads that really wait there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from loopbench.servers.probe.stalls.thread_times import WatchedThread, described
from tests.servers.processes import eventually, needs_proc

Ends = tuple[Callable[[], object], Callable[[], object]]
"""What waits, and what ends the wait."""


@contextmanager
def in_a_pipe(folder: Path) -> Iterator[Ends]:
    reading, writing = os.pipe()
    try:
        yield lambda: os.read(reading, 1), lambda: os.write(writing, b"x")
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def in_a_socket(folder: Path) -> Iterator[Ends]:
    one, other = socket.socketpair()
    with closing(one), closing(other):
        yield lambda: one.recv(1), lambda: other.send(b"x")


@contextmanager
def in_a_file(folder: Path) -> Iterator[Ends]:
    os.mkfifo(folder / "queue")
    descriptor = os.open(folder / "queue", os.O_RDWR)
    try:
        yield lambda: os.read(descriptor, 1), lambda: os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


@contextmanager
def in_a_sleep(folder: Path) -> Iterator[Ends]:
    over = threading.Event()
    yield over.wait, over.set


WAITS = {
    "read on a pipe": in_a_pipe,
    "recvfrom on a socket": in_a_socket,
    "read on a file": in_a_file,
    "futex": in_a_sleep,
}


@needs_proc
@pytest.mark.parametrize("where", WAITS)
def test_a_wait_is_named_by_its_call_and_what_it_waits_for(where: str, tmp_path: Path) -> None:
    """A stall of the loop's thread says so, which tells a database's socket from a file."""
    with WAITS[where](tmp_path) as (wait, end):
        thread = threading.Thread(target=wait)
        thread.start()
        assert thread.native_id is not None
        watched = WatchedThread(thread.native_id)
        try:
            assert eventually(lambda: described(watched.position()) == where)
        finally:
            end()
            thread.join()
            watched.close()
