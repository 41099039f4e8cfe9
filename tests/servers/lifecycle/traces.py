"""What a server leaves in the process that served, and whether it still accepts."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil

from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle import in_loop
from tests.servers.contract import wire
from tests.servers.processes import PROC

Run = Callable[[Coroutine[Any, Any, None]], None]
"""What the fixture `run` gives."""


@asynccontextmanager
async def nothing_left(settled_s: float = 0.0) -> AsyncIterator[None]:
    """Afterwards there are no tasks, threads and open files that were not there before.

    Some of before may be gone: what an earlier test let go of is collected meanwhile.
    settled_s: how long threads that were told to end may take.
    """
    before = _traces()
    yield
    for _ in range(10):  # asyncio closes sockets in the loop's next turns
        await asyncio.sleep(0)
    deadline = time.monotonic() + settled_s
    while (left := _traces() - before) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert left == set()


def _traces() -> set[object]:
    """Tasks, threads and open files, each as what no other is equal to."""
    return {*asyncio.all_tasks(), *threading.enumerate(), *_open_files()}


def _open_files() -> set[object]:
    """Number and target of each descriptor: sockets and pipes are numbered anew each time.
    Without /proc, how many there are."""
    found: set[object] = set()
    if not PROC.is_dir():
        return set(range(psutil.Process().num_fds()))
    for entry in (PROC / "self" / "fd").iterdir():
        with suppress(FileNotFoundError):  # of the listing itself
            found.add((entry.name, os.readlink(entry)))
    return found


async def plain_works(server: in_loop.Server) -> None:
    """Assert that `server` answers as the contract says."""
    reply = await wire.get(server, "/plain")
    assert CASES["plain"].expected.check(reply.status, reply.body) is None


async def refuses(host: str, port: int) -> bool:
    """Whether nobody listens there, or closes just now: who then waits in its queue is reset."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return False
