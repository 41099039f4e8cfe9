"""When a loop last came back from its selector, read from another thread at no cost to the loop."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Callable
from typing import Protocol

from loopbench.servers.probe.libuv_idle import libuv_address
from loopbench.servers.probe.stalls.thread_times import RUNNING, SELECTING

_MOST_OFFSET = 640
"""How far into libuv's uv_loop_t its time is looked for, in bytes; the structure of libuv 1.x is
longer on every platform with 64 bits."""


MOST_OF = 0.5
"""The share of a stretch that a thread must have used for it to be known that it ran."""


class Usage(Protocol):
    """A reading of the loop's thread: the instant, and how long it had been on a CPU or had waited
    for one until then, in ns."""

    @property
    def at_ns(self) -> int: ...

    @property
    def used_ns(self) -> int: ...


class LoopClock(Protocol):
    """exact: whether the loop itself notes the end of a stretch that was too long."""

    exact: bool

    def away_since(self) -> int | None:
        """When the loop came back from its selector, perf_counter in ns; None where it is known
        to wait there. Does not give the interpreter's lock up."""
        ...

    def certain(self, since_ns: int, call: str, before: Usage, now: Usage) -> bool | None:
        """Whether it is away since then, in the light of the call that its thread is in and of
        two readings of the thread; None where they do not tell."""
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

    def certain(self, since_ns: int, call: str, before: Usage, now: Usage) -> bool | None:
        """See LoopClock: the selector itself says so."""
        return True


class LibuvClock:
    """Of a uvloop: libuv keeps the instant of its last return from the kernel in whole ms.

    uvloop's own `time` brings that instant up to date before it tells it, and libuv's functions
    cannot be called, since uvloop exports none of them. So the field is read where it lies. Where
    that is, is found out and not known: the one place within libuv's loop that changes with what
    `loop.time` says, twice in a row.
    """

    exact = False

    def __init__(self, field: ctypes.c_uint64) -> None:
        self._field = field

    def away_since(self) -> int | None:
        """See LoopClock. Whether it waits, libuv does not tell."""
        return int(self._field.value) * 1_000_000

    def certain(self, since_ns: int, call: str, before: Usage, now: Usage) -> bool | None:
        """See LoopClock. What waits in another call than the selector's is away from it.

        What is ready to run may have been woken just now, and libuv's instant is then that of
        before the wait: a loop on a CPU that others use would seem away for as long as it slept.
        It was away where its thread has used most of the time since.
        """
        if call != RUNNING:
            return call not in SELECTING
        used_ns = now.used_ns - before.used_ns - max(0, since_ns - before.at_ns)
        return True if used_ns >= MOST_OF * (now.at_ns - max(since_ns, before.at_ns)) else None


def libuv_clock(loop: asyncio.AbstractEventLoop) -> LibuvClock | None:
    """The clock of a uvloop that does not run yet; None for another loop, or where the field
    cannot be found for certain."""
    address = libuv_address(loop)
    if address is None:
        return None
    scans = [set(_places(address, loop))]
    for _ in range(2):
        time.sleep(0.002)  # so that the clock shows another time
        scans.append(set(_places(address, loop)))
    places = set.intersection(*scans)
    if len(places) != 1:
        return None
    return LibuvClock(ctypes.c_uint64.from_address(address + places.pop()))


def _places(address: int, loop: asyncio.AbstractEventLoop) -> list[int]:
    """Offsets at which the loop's time stands right now."""
    now_ms = round(loop.time() * 1000)
    return [
        offset
        for offset in range(0, _MOST_OFFSET, 8)
        if ctypes.c_uint64.from_address(address + offset).value == now_ms
    ]
