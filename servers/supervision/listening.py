"""Whether a process serves: it listens at an address, and its main thread waits.

Its main thread is read from /proc, as proc(5) describes it; where there is none nobody can say.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil

_LOOKS, _APART_S = 10, 0.1
_MOST_BUSY = 0.05
"""Share of the time that its main thread may run: uvicorn looks around ten times a second."""


def serves(pid: int) -> bool | None:
    """Whether it listens for TCP connections while its main thread waits for something, over a
    second. None where that cannot be read, or where the process has ended.

    What is still being imported computes, also where it has opened a port on the way, or has only
    bound one to see whether it can.
    """
    try:
        connections = psutil.Process(pid).net_connections("tcp")
        listens = any(connection.status == psutil.CONN_LISTEN for connection in connections)
        return listens and _waits(pid)
    except (OSError, psutil.Error):
        return None


def _waits(pid: int) -> bool:
    """Whether its main thread was asleep each time, and computed next to nothing meanwhile."""
    begin = time.monotonic_ns()
    state, before = _main_thread(pid)
    now = before
    for _ in range(_LOOKS):
        if state != "S":
            return False
        time.sleep(_APART_S)
        state, now = _main_thread(pid)
    return now - before < _MOST_BUSY * (time.monotonic_ns() - begin)


def _main_thread(pid: int) -> tuple[str, int]:
    """Its state, and the nanoseconds that it has run (of schedstat)."""
    task = Path(f"/proc/{pid}/task/{pid}")
    state = (task / "stat").read_text().rpartition(")")[2].split()[0]
    return state, int((task / "schedstat").read_text().split()[0])
