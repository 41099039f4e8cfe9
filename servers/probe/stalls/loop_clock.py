"""When a loop last came back from its selector, read from another thread at no cost to the loop."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Callable
from typing import Protocol

from loopbench.servers.probe.stalls.thread_times import SELECTING, WatchedThread

_MOST_OFFSET = 640
"""How far into libuv's uv_loop_t its time is looked for, in bytes; the structure of libuv 1.x is
longer on every platform with 64 bits."""


class LoopClock(Protocol):
    """exact: whether the loop itself notes the end of a stretch that was too long."""

    exact: bool

    def away_since(self) -> int | None:
        """When the loop came back from its selector, perf_counter in ns; None while it waits
        there."""
        ...


class SelectorClock:
    """Of a loop whose selector keeps the time of its waits."""

    exact = True

    def __init__(self, away_since: Callable[[], float | None]) -> None:
        self._away_since = away_since

    def away_since(self) -> int | None:
        """See LoopClock."""
        since = self._away_since()
        return None if since is None else int(since * 1e9)


class LibuvClock:
    """Of a uvloop: libuv keeps the instant of its last return from the kernel in whole ms.

    uvloop's own `time` brings that instant up to date before it tells it, and libuv's functions
    cannot be called, since uvloop exports none of them. So the field is read where it lies. Where
    that is, is found out and not known: the one place within libuv's loop that changes with what
    `loop.time` says, twice in a row.
    """

    exact = False

    def __init__(self, field: ctypes.c_uint64, thread: WatchedThread) -> None:
        self._field = field
        self._thread = thread

    def away_since(self) -> int | None:
        """See LoopClock. Whether the loop waits is asked of the kernel."""
        since = self._field.value * 1_000_000
        if self._thread.position().call in SELECTING:
            return None
        return since


def libuv_clock(loop: asyncio.AbstractEventLoop, thread: WatchedThread) -> LibuvClock | None:
    """The clock of a uvloop that does not run yet; None for another loop, or where the field
    cannot be found for certain."""
    if not type(loop).__module__.startswith("uvloop"):
        return None
    from uvloop import loop as libuv  # only where it is asked for: it is optional

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer(libuv.libuv_get_loop_t_ptr(loop), None)  # type: ignore[attr-defined]
    found = [set(_places(address, loop))]
    for _ in range(2):
        time.sleep(0.002)  # so that the clock shows another time
        found.append(set(_places(address, loop)))
    places = set.intersection(*found)
    if len(places) != 1:
        return None
    return LibuvClock(ctypes.c_uint64.from_address(address + places.pop()), thread)


def _places(address: int, loop: asyncio.AbstractEventLoop) -> list[int]:
    """Offsets at which the loop's time stands right now."""
    now_ms = round(loop.time() * 1000)
    return [
        offset
        for offset in range(0, _MOST_OFFSET, 8)
        if ctypes.c_uint64.from_address(address + offset).value == now_ms
    ]
