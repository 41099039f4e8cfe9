"""What one event loop did: how late it was, how busy, how long away at a stretch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from servers.counts import Counts, rounded_us

TASKS_EVERY_BEATS = 10
"""Counting the tasks takes some 0.2 ms where there are a thousand: not at every beat."""

_clock = time.perf_counter_ns


def class_name(value: object) -> str:
    """Module and name of an object's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


class LoopWatch:
    """Loop delay by a timer; utilisation and longest stretch by the selector.

    Loop delay is how late a timer with an absolute schedule is served. Each
    point of the schedule counts, also those that passed while the loop was
    away: a block of 100 ms is ten late beats, so that percentiles are those
    that an event at a random moment would meet. asyncio keeps timers to whole
    milliseconds, so that an idle loop shows about half of one.

    Utilisation is the share of wall time outside the selector's wait. The
    longest stretch is the longest time between two waits. A loop without a
    selector in Python (uvloop) has neither: None.
    """

    def __init__(self, beat_s: float, on_beat: Callable[[], None]) -> None:
        self._beat_ns = int(beat_s * 1e9)
        self._on_beat = on_beat
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0
        self._beats = 0
        self._readable = False
        self._waiting_since = 0
        self._left_at = 0
        self.failure: str | None = None
        self.reset()

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch `loop` while in the block. Enter and leave in its thread."""
        self._loop = loop
        selector = getattr(loop, "_selector", None)
        self._readable = selector is not None
        if selector is not None:
            self._left_at = _clock()
            selector.select = self._timed(selector.select)
        self._due = _clock() + self._beat_ns
        self._handle = loop.call_later(self._beat_ns / 1e9, self._beat)
        try:
            yield
        finally:
            self._handle.cancel()
            if selector is not None:
                del selector.select
            self._loop = None

    def reset(self) -> None:
        """Begin counting anew, also in the middle of a wait or a stretch."""
        self._reset_at = _clock()
        self._idle_ns = 0
        self._longest_ns = 0
        self._most_tasks = 0
        self._delays: Counts = {}

    def _timed(self, select: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(timeout: Any = None) -> Any:
            began = _clock()
            stretch = began - max(self._left_at, self._reset_at)
            if stretch > self._longest_ns:
                self._longest_ns = stretch
            self._waiting_since = began
            try:
                return select(timeout)
            finally:
                self._left_at = ended = _clock()
                self._waiting_since = 0
                self._idle_ns += ended - (began if began > self._reset_at else self._reset_at)

        return timed

    def _beat(self) -> None:
        assert self._loop is not None
        now = _clock()
        delays = self._delays
        while self._due <= now:
            us = rounded_us(now - self._due)
            delays[us] = delays.get(us, 0) + 1
            self._due += self._beat_ns
        self._handle = self._loop.call_later((self._due - _clock()) / 1e9, self._beat)
        self._beats += 1
        try:
            if self._beats % TASKS_EVERY_BEATS == 0:
                self._most_tasks = max(self._most_tasks, len(asyncio.all_tasks(self._loop)))
            self._on_beat()
        except Exception as error:  # the beat goes on; the Run gets its Warning
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    def snapshot(self) -> dict[str, Any]:
        """Since the reset, as JSON types; a wait or stretch that still lasts counts so far."""
        now = _clock()
        waiting_since, left_at = self._waiting_since, self._left_at
        idle, longest = self._idle_ns, self._longest_ns
        if waiting_since:
            idle += now - max(waiting_since, self._reset_at)
        else:
            longest = max(longest, now - max(left_at, self._reset_at))
        wall = now - self._reset_at
        readable = self._readable
        return {
            "class": None if self._loop is None else class_name(self._loop),
            "wall_ns": wall,
            "idle_ns": idle if readable else None,
            "longest_stretch_ns": longest if readable else None,
            "most_tasks": self._most_tasks,
            "beats": self._beats,
            "delay_us": sorted(self._delays.copy().items()),
        }
