"""How long a uvloop has waited for events, by libuv's own count of it.

libuv counts the time of its waits where a loop is told to (`uv_loop_configure` with
UV_METRICS_IDLE_TIME, libuv 1.39), and `uv_metrics_idle_time` reads it. uvloop exports neither, so
that both are done here where libuv does them: in the loop's internal fields, whose address stands
in the public part of `uv_loop_t`. The internal ones lie as below since libuv 1.45, whose
`uv_metrics_t` is kept at one size; 1.52 was looked at and held to strace
(`loadtests selfcheck utilisation`). Another major version is not read.

With it, libuv asks the kernel once more before each wait, without waiting. At rest it does not.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time

_INTERNAL_FIELDS = 40
"""Where `uv_loop_t` has the pointer, in bytes: behind `data`, `active_handles`, the queue of
handles and `active_reqs`, as uv.h has them for all of libuv 1."""

_ENTRY_TIME, _IDLE_TIME = 136, 144
"""In the internal fields, behind the flags and the 128 bytes of `uv_metrics_t`. CLOCK_MONOTONIC in
ns: when the wait began that lasts, 0 outside of one; and the sum of those that have ended."""

_IDLE_TIME_IS_COUNTED = 1
_FIRST_VERSION, _NEXT_MAJOR = (1 << 16) | (45 << 8), 2 << 16

_clock = time.monotonic_ns


class LibuvIdle:
    """The waits of one loop, while it is not at rest. Made in the loop's thread, and read from any
    until the loop is closed."""

    def __init__(self, fields: int) -> None:
        self._flags = ctypes.c_uint.from_address(fields)
        self._entry = ctypes.c_uint64.from_address(fields + _ENTRY_TIME)
        self._idle = ctypes.c_uint64.from_address(fields + _IDLE_TIME)
        self._settled_ns = self._from_ns = 0
        self.count()

    def count(self) -> None:
        """Begin, also again after a rest. In the loop's thread."""
        entered = self._entry.value
        if entered:  # the wait in which the rest began, whose end libuv did not note
            self._settled_ns += _clock() - entered
            self._entry.value = 0
        self._flags.value |= _IDLE_TIME_IS_COUNTED

    def rest(self) -> None:
        """Cost nothing until `count`. By how much `waited_ns` grows meanwhile means nothing, and is
        to be taken off again."""
        self._flags.value &= ~_IDLE_TIME_IS_COUNTED

    def reset(self) -> None:
        """Begin at 0, also in the middle of a wait."""
        self._from_ns = self._total_ns()

    def waited_ns(self) -> int:
        """Since the reset, with the wait that lasts."""
        return self._total_ns() - self._from_ns

    def _total_ns(self) -> int:
        # Between two steps of libuv's a wait that has just ended is in neither place.
        return max(self._once_ns(), self._once_ns())

    def _once_ns(self) -> int:
        ended, entered = self._idle.value, self._entry.value
        return self._settled_ns + ended + (_clock() - entered if entered else 0)


def libuv_address(loop: asyncio.AbstractEventLoop) -> int | None:
    """Where the `uv_loop_t` of a uvloop lies; None for another loop."""
    if not type(loop).__module__.startswith("uvloop"):
        return None
    from uvloop import loop as libuv  # only where it is asked for: it is optional

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = pointer(libuv.libuv_get_loop_t_ptr(loop), None)  # type: ignore[attr-defined]
    return address


def libuv_idle(loop: asyncio.AbstractEventLoop) -> LibuvIdle | None:
    """The waits of a uvloop that does not wait yet; None for another loop, or where its libuv is
    one whose fields are not known."""
    address = libuv_address(loop)
    if address is None or sys.maxsize < 2**32:
        return None
    from uvloop import loop as libuv

    if not _FIRST_VERSION <= libuv.libuv_get_version() < _NEXT_MAJOR:  # type: ignore[attr-defined]
        return None
    fields = ctypes.c_void_p.from_address(address + _INTERNAL_FIELDS).value
    return None if fields is None else LibuvIdle(fields)
