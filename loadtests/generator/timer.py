"""A timer for greenlets that wakes on time.

gevent's own timers are kept in whole milliseconds by the loop underneath, so
that requests scheduled within one millisecond would be sent in a bunch. A
timerfd is a descriptor that becomes readable when the kernel's high-resolution
timer fires; the loop watches it as it watches a socket.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any, Self

import gevent

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_CLOEXEC = 0o2000000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """Sleeps one greenlet. Uses a timerfd where the system has it, else gevent's timer."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._fd = -1
        if sys.platform == "linux":
            # os.timerfd_create exists from Python 3.13 on only.
            libc = ctypes.CDLL(None, use_errno=True)
            self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
            if self._fd < 0:
                code = ctypes.get_errno()
                raise OSError(code, f"timerfd_create: {os.strerror(code)}")
            self._settime = libc.timerfd_settime
            self._spec = _Itimerspec()
            self._pointer = ctypes.byref(self._spec)
            self._readable: Any = self._hub.loop.io(self._fd, 1)

    def sleep_until(self, due_ns: int) -> None:
        """Sleep until `due_ns` on CLOCK_MONOTONIC; returns at once when that has passed."""
        remaining = due_ns - time.monotonic_ns()
        if remaining <= 0:
            return
        if self._fd < 0:
            gevent.sleep(remaining / 1e9)
            return
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(remaining, 1_000_000_000)
        # Setting the timer also takes back the readiness of the last expiry.
        self._settime(self._fd, 0, self._pointer, None)
        self._hub.wait(self._readable)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._readable.close()
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
