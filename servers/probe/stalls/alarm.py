"""An alarm that a loop puts off at every beat, and that wakes another thread when it does not."""

from __future__ import annotations

import ctypes
import os
import select
import sys
from typing import Any

_CLOCK_MONOTONIC = 1  # which perf_counter reads on Linux
_TFD_TIMER_ABSTIME = 1


class Alarm:
    """A timer of the kernel's (timerfd_create(2)). Raises OSError where there is none.

    rings_ns: the instant that it was last put off to, perf_counter.
    """

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("there is no timerfd on this system")
        # PyDLL: a beat must not give the interpreter's lock up for a call of a microsecond.
        library: Any = ctypes.PyDLL(None, use_errno=True)
        self._set = library.timerfd_settime
        self._descriptor: int = library.timerfd_create(
            _CLOCK_MONOTONIC, os.O_CLOEXEC | os.O_NONBLOCK
        )
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)
        self._time = (ctypes.c_long * 4)()  # an itimerspec: interval, then the instant
        self.rings_ns = 0

    def put_off(self, until_ns: int) -> None:
        """Ring then, unless put off again; 0: not at all. It does not ring any more if it did."""
        self.rings_ns = until_ns
        self._time[2], self._time[3] = divmod(until_ns, 1_000_000_000)
        self._set(self._descriptor, _TFD_TIMER_ABSTIME, self._time, None)

    def wait(self, seconds: float | None) -> bool:
        """Wait for it to ring, so long at most; whether it did. It goes on ringing."""
        return bool(self._poll.poll(None if seconds is None else seconds * 1000))

    def close(self) -> None:
        """Nobody may be waiting any more."""
        os.close(self._descriptor)
