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


NATIVE_ENDS_S = 5.0
"""How long the descriptors of a server's native threads may be there when it says that it ended."""

_NATIVE = frozenset(("anon_inode:[eventfd]", "anon_inode:[eventpoll]"))
"""What granian's threads, in Rust, wait by. A loop that ends here closes its own before."""


@asynccontextmanager
async def nothing_left(settled_s: float = 0.0) -> AsyncIterator[None]:
    """Afterwards there are no tasks, threads and open files that were not there before.

    Some of before may be gone: what an earlier test let go of is collected meanwhile.
    settled_s: how long threads that were told to end may take; native ones have NATIVE_ENDS_S.
    """
    before = _traces()
    yield
    for _ in range(10):  # asyncio closes sockets in the loop's next turns
        await asyncio.sleep(0)
    ended_at = time.monotonic()
    while left := _traces() - before:
        bound_s = max(settled_s, NATIVE_ENDS_S if _native(left) else 0.0)
        if time.monotonic() > ended_at + bound_s:
            break
        await asyncio.sleep(0.01)
    assert not left, left


def _traces() -> set[object]:
    """Tasks, threads and open files, each as what no other is equal to."""
    return {*asyncio.all_tasks(), *threading.enumerate(), *_open_files()}


def _native(left: set[object]) -> bool:
    return all(isinstance(one, tuple) and one[-1] in _NATIVE for one in left)


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
