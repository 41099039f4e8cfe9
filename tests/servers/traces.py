"""What a server leaves in the process that served, and whether it still accepts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import psutil

from servers import lifecycle
from servers.contract import CASES
from tests.servers import wire

Run = Callable[[Coroutine[Any, Any, None]], None]
"""What the fixture `run` gives."""


SETTLED_S = 2.0
"""How long threads that have been told to end, and uvloop's own turns, may take."""


@asynccontextmanager
async def nothing_left(settled_s: float = SETTLED_S) -> AsyncIterator[None]:
    """Afterwards there are no other tasks and threads, and no more open files, than before.

    There may be fewer: what an earlier test let go of may be collected meanwhile.
    """
    process = psutil.Process()
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), process.num_fds()

    def traces() -> tuple[set[asyncio.Task[Any]], set[threading.Thread], int]:
        more = max(0, process.num_fds() - files)
        return asyncio.all_tasks() - tasks, set(threading.enumerate()) - threads, more

    yield
    for _ in range(10):  # asyncio closes sockets in the loop's next turns
        await asyncio.sleep(0)
    deadline = time.monotonic() + settled_s
    while any(traces()) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert traces() == (set(), set(), 0)


async def plain_works(server: lifecycle.Server) -> None:
    """Assert that `server` answers as the contract says."""
    reply = await wire.get(server, "/plain")
    assert CASES["plain"].expected.check(reply.status, reply.body) is None


async def refuses(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        return True
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return False
