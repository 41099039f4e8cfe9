"""Whether a process serves: it listens at an address, and its main thread waits.

Read from /proc, as proc(5) describes it; where there is none nobody can say.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

_TABLES = ("tcp", "tcp6")
_LISTEN = "0A"
_STATE, _INODE = 3, 9
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_LOOKS, _APART_S = 10, 0.1
_MOST_BUSY = 0.05
"""Share of the time that its main thread may run: uvicorn looks around ten times a second."""


def serves(pid: int) -> bool | None:
    """Whether it listens for TCP connections while its main thread waits for something, over a
    second. None where /proc cannot be read, or where the process has ended.

    What is still being imported computes, also where it has opened a port on the way, or has only
    bound one to see whether it can.
    """
    try:
        return _listens(pid) and _waits(pid)
    except OSError:
        return None


def _listens(pid: int) -> bool:
    listening: set[str] = set()
    for name in _TABLES:
        with suppress(FileNotFoundError):  # a kernel without IPv6
            lines = Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
            rows = (line.split() for line in lines)
            listening |= {row[_INODE] for row in rows if row[_STATE] == _LISTEN}
    return not listening.isdisjoint(_sockets(pid))


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets that it has open."""
    found: set[str] = set()
    folder = Path(f"/proc/{pid}/fd")
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed meanwhile
            if (match := _SOCKET.fullmatch(os.readlink(folder / name))) is not None:
                found.add(match[1])
    return found


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
