"""What one event loop did: how late it was, how busy, how long away at a stretch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from selectors import BaseSelector
from typing import Annotated

from loopbench.servers.probe.durations import Counts, rounded_us
from loopbench.servers.probe.libuv_idle import LibuvIdle, libuv_idle
from loopbench.servers.probe.selector import SelectorWatch, watched_selector
from loopbench.servers.probe.stalls.loop_clock import LoopClock, SelectorClock
from loopbench.servers.probe.stalls.watcher import StallWatcher
from loopbench.servers.probe.tasks import TaskWatch
from loopbench.servers.supervision.merging import (
    COUNTS,
    FIRST,
    FIRST_KNOWN,
    MOST,
    MOST_KNOWN,
    SUM,
    Pairs,
)

SELDOM = 10
"""Every so many beats the tasks are counted, which takes some 0.2 ms where there are a
thousand."""

OFTEN = 3
"""Every so many beats `on_beat` is called: in it thread pools are looked at, which takes some
20 us, and memory is kept in bounds."""

_STEP_S = 0.001
"""How long to wait again for a point that a timer came before: uvloop keeps timers to the
nearest millisecond of a clock of its own, and a shorter one would be served at once."""

_clock = time.perf_counter_ns


def class_name(value: object) -> str:
    """Module and name of an object's class."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


@dataclass(frozen=True, slots=True)
class LoopReading:
    """A loop since the reset; a wait or stretch that still lasts counts so far. None: the loop does
    not let itself be read, or there is none.

    Of several processes, idle and wall time are added, so that utilisation is the mean.
    idle_ns: of the wait for events. idle_read_by: how it was read, see runs.csv. beats: how often
    the timer was served, since the process began. delay_us: pairs of us and count. tasks_created,
    task_oldest_ns, task_exceptions_unread: see servers.probe.tasks. task_oldest_graph: None where
    it was not asked for.
    """

    loop_class: Annotated[str | None, FIRST]
    wall_ns: Annotated[int, SUM]
    idle_ns: Annotated[int | None, SUM]
    longest_stretch_ns: Annotated[int | None, MOST]
    tasks_max: Annotated[int | None, MOST]
    beats: Annotated[int, SUM]
    delay_us: Annotated[Pairs, COUNTS]
    idle_read_by: Annotated[str | None, FIRST] = None
    tasks_created: Annotated[int | None, SUM] = None
    task_oldest_ns: Annotated[int | None, MOST_KNOWN] = None
    task_exceptions_unread: Annotated[int | None, SUM] = None
    task_oldest_graph: Annotated[str | None, FIRST_KNOWN] = None


class LoopWatch:
    """Loop delay by a timer; utilisation and longest stretch by the selector.

    Loop delay is how late a timer with an absolute schedule is served. Each
    point of the schedule counts, also those that passed while the loop was
    away: a block of 100 ms is ten late beats, so that percentiles are those
    that an event at a random moment would meet. asyncio keeps timers to whole
    milliseconds, so that an idle loop shows about half of one.

    Utilisation is the share of wall time outside the selector's wait. The
    longest stretch is the longest time between two calls of the selector. A loop
    that was not made with `new_selector` (uvloop takes none) has no such stretch: None. The waits
    of a uvloop are those that libuv counts. Where it cannot be asked, utilisation is what the
    loop's thread computed, waited for a CPU, or was held in stalls.
    """

    def __init__(self, beat_s: float, on_beat: Callable[[], None], stalls: StallWatcher) -> None:
        self._beat_ns = int(beat_s * 1e9)
        self._on_beat = on_beat
        self._stalls = stalls
        self._tasks = TaskWatch()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0
        self._beats = 0
        self._selector: SelectorWatch | None = None
        self._libuv: LibuvIdle | None = None
        self._paused_at: int | None = None
        self._paused_ns = 0
        self._idle_at_pause = self._paused_idle_ns = 0
        self.failure: str | None = None
        self.reset()

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch `loop` while in the block. Enter and leave in its thread."""
        self._loop = loop
        if self._selector is None:
            self._libuv = libuv_idle(loop)
        self._due = _clock() + self._beat_ns
        self._handle = loop.call_later(self._beat_ns / 1e9, self._beat)
        try:
            with self._tasks.attached(loop):
                yield
        finally:
            self._handle.cancel()
            self._loop = self._libuv = None

    def new_selector(self) -> BaseSelector:
        """The selector to make the watched loop with."""
        self._selector = watched_selector(self._stalls.threshold_ns / 1e9, self._overdue)
        return self._selector.selector

    def _overdue(self, began_s: float, ended_s: float) -> None:
        self._stalls.overdue(int(began_s * 1e9), int(ended_s * 1e9))

    @property
    def clock(self) -> LoopClock | None:
        """The clock of a loop that was made with `new_selector`."""
        return None if self._selector is None else SelectorClock(self._selector.away_since)

    def reset(self) -> None:
        """Begin counting anew, also in the middle of a wait or a stretch."""
        self._reset_at = _clock()
        self._paused_ns = self._idle_at_pause = self._paused_idle_ns = 0
        if self._paused_at is not None:
            self._paused_at = self._reset_at
        if self._selector is not None:
            self._selector.reset()
        if self._libuv is not None:
            self._libuv.reset()
        self._tasks_max: int | None = None
        self._delays: Counts = {}

    def pause(self) -> None:
        """Stop the beat; from any thread.

        What follows until `resume` counts neither as wall time nor as idle, nor as a stretch.
        """
        if self._paused_at is None:
            self._paused_at, self._idle_at_pause = _clock(), self._waited_ns()
            if self._selector is not None:
                self._selector.rest(True)
            if self._libuv is not None:
                self._libuv.rest()

    def _waited_ns(self) -> int:
        """Of a loop whose waits are counted: those since the reset."""
        libuv = self._libuv
        if libuv is not None:
            return libuv.waited_ns()
        return 0 if self._selector is None else int(self._selector.read()[0] * 1e9)

    def resume(self) -> None:
        """Go on; from any thread. Does nothing where there was no pause."""
        paused_at, loop = self._paused_at, self._loop
        if paused_at is None:
            return
        self._paused_ns += _clock() - paused_at
        self._paused_idle_ns += self._waited_ns() - self._idle_at_pause
        self._paused_at = None
        if self._selector is not None:
            self._selector.rest(False)
        if loop is not None:
            loop.call_soon_threadsafe(self._begin_again)

    def _begin_again(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._due = _clock() + self._beat_ns
        assert self._loop is not None
        if self._libuv is not None and self._paused_at is None:
            self._libuv.count()
        self._tasks.skip()
        self._handle = self._loop.call_later(self._beat_ns / 1e9, self._beat)

    def _beat(self) -> None:
        assert self._loop is not None
        if self._paused_at is not None:
            return  # `resume` begins anew
        now, due = _clock(), self._due
        if now < due:
            self._handle = self._loop.call_later(max((due - now) / 1e9, _STEP_S), self._beat)
            return
        self._due += ((now - due) // self._beat_ns + 1) * self._beat_ns
        self._stalls.beat(due, now, self._due)
        self._handle = self._loop.call_later((self._due - _clock()) / 1e9, self._beat)
        try:
            self._count(due, now)
            self._beats += 1
            if self._beats % OFTEN == 0:
                self._on_beat()
            if self._beats % SELDOM == 0:
                alive = asyncio.all_tasks(self._loop)
                self._tasks_max = max(self._tasks_max or 0, len(alive))
                self._tasks.look(alive)
        except Exception as error:  # the beat goes on; the Run gets its Warning
            self.failure = self.failure or f"{type(error).__name__}: {error}"

    def _count(self, due: int, now: int) -> None:
        """Count the lateness of every point of the schedule from `due` to `now`, but of those
        before the last reset."""
        delays, reset_at = self._delays, self._reset_at
        if now < due + self._beat_ns and due >= reset_at:  # nearly always
            us = rounded_us(now - due)
            delays[us] = delays.get(us, 0) + 1
            return
        for point in range(due, now + 1, self._beat_ns):
            if point >= reset_at:
                us = rounded_us(now - point)
                delays[us] = delays.get(us, 0) + 1

    def read_with_graph(self) -> LoopReading:
        """As `read`, with what the oldest task waits for, which takes a look at every task."""
        return replace(self.read(), task_oldest_graph=self._tasks.oldest_graph())

    def read(self) -> LoopReading:
        """Since the reset."""
        idle_ns = longest = busy_ns = read_by = None
        paused_at = self._paused_at
        if self._selector is not None:
            longest = self._selector.read()[1]
        if self._selector is not None or self._libuv is not None:
            # What it has waited since the pause counts as little as what it did.
            waited_ns = self._waited_ns() if paused_at is None else self._idle_at_pause
            idle_ns = waited_ns - self._paused_idle_ns
            read_by = "libuv" if self._selector is None else "selector"
        else:
            busy_ns = self._stalls.busy_ns()
        now = _clock()  # last, so that no part is longer than the whole
        paused_ns = self._paused_ns + (0 if paused_at is None else now - paused_at)
        wall_ns = now - self._reset_at - paused_ns
        if busy_ns is not None:
            idle_ns, read_by = max(0, wall_ns - busy_ns), "schedstat"
        return LoopReading(
            loop_class=None if self._loop is None else class_name(self._loop),
            wall_ns=wall_ns,
            idle_ns=idle_ns,
            longest_stretch_ns=None if longest is None else int(longest * 1e9),
            tasks_max=None if self._loop is None else self._tasks_max,
            beats=self._beats,
            delay_us=tuple(sorted(self._delays.copy().items())),
            idle_read_by=read_by,
            task_oldest_graph=None,
            **({} if self._loop is None else self._tasks.figures()),
        )
