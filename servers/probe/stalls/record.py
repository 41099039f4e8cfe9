"""What was read around a stall, and the Evidence that follows from it."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from loopbench.servers.probe.garbage_collector import Pause
from loopbench.servers.probe.stalls.causes import Evidence, Sample
from loopbench.servers.probe.stalls.stack import read_stack
from loopbench.servers.probe.stalls.system import stolen_ns, throttled
from loopbench.servers.probe.stalls.thread_times import ThreadTimes, cpu_by_thread
from loopbench.servers.supervision.cpu_quota import CpuQuota, cpu_quotas

SLACK_NS = 1_000_000
"""So much later than asked for a sleep ends on a quiet machine."""

LONG_STOP = 4
"""A stop of less than so many switch intervals cannot be told from a wait for the lock."""

_clock = time.perf_counter_ns


@dataclass(frozen=True, slots=True)
class Mark:
    """CPU time at one instant: of the loop's thread, of the watcher's, of the whole process.

    own: None where the loop itself took the reading, when the watcher slept.
    """

    at_ns: int
    loop: ThreadTimes
    process_ns: int
    own: ThreadTimes | None = None

    @classmethod
    def read(cls, loop: ThreadTimes, own: ThreadTimes | None = None) -> Mark:
        """A Mark of now."""
        process_ns = time.process_time_ns()
        return cls(_clock(), loop, process_ns, own)

    @property
    def used_ns(self) -> int:
        """How long the loop's thread was on a CPU or waited for one."""
        return self.loop.used_ns


Beat = tuple[int, bytes, int]
"""What a Mark is made of, as a beat of the loop reads it: the instant, the thread's schedstat as it
came, CPU time of the process. Nobody ever looks at most of them."""


def _instant(reading: Mark | Beat) -> int:
    return reading.at_ns if isinstance(reading, Mark) else reading[0]


def _mark(reading: Mark | Beat) -> Mark:
    if isinstance(reading, Mark):
        return reading
    at_ns, schedstat, process_ns = reading
    return Mark(at_ns, ThreadTimes.of(schedstat), process_ns)


@dataclass(frozen=True, slots=True)
class Delay:
    """What kept the watcher from waking when it was to: lock_ns that it waited for the
    interpreter's lock, stopped_ns that nothing is known to have kept it.

    asleep_ns: how much of that it was not ready to run either, so that it waited for the lock,
    whether or not who had the lock had a CPU. held_cpu_ns: how long the loop's thread computed
    meanwhile, at least.
    """

    planned_ns: int
    woke_ns: int
    lock_ns: int
    stopped_ns: int
    asleep_ns: int
    held_cpu_ns: int


@dataclass(frozen=True, slots=True)
class System:
    """What is dear to read, and so is read seldom."""

    quotas: tuple[CpuQuota, ...]
    throttled: int | None
    stolen_ns: int | None
    by_thread: dict[int, int]

    @classmethod
    def read(cls, quotas: tuple[CpuQuota, ...] | None = None) -> System:
        """A reading of now; some 60 us, and 150 more where the quotas are to be looked for."""
        known = cpu_quotas() if quotas is None else quotas
        return cls(known, throttled(known), stolen_ns(), cpu_by_thread())

    def again(self) -> System:
        """The same, read now."""
        return System.read(self.quotas)

    def cut_off_since(self) -> bool:
        """Whether a quota has cut this process off since; False where that cannot be told."""
        before, now = self.throttled, throttled(self.quotas)
        return before is not None and now is not None and now > before


@dataclass(frozen=True, slots=True)
class Threads:
    """The threads of this process at one instant, with their frames."""

    at_ns: int
    threads: list[threading.Thread]
    frames: dict[int, FrameType]

    @classmethod
    def now(cls) -> Threads:
        """No system call is made for it. The frames of this thread are left out: they would keep
        themselves alive."""
        frames = sys._current_frames()
        del frames[threading.get_ident()]
        return cls(_clock(), threading.enumerate(), frames)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who seems to have had the interpreter's lock: of the threads that are not the loop's.

    who: the one that has computed most, with its frame. used_ns: what all that live have computed.
    gone: the one that ended while they were looked at.
    """

    who: str | None
    used_ns: int
    gone: str | None


class Record:
    """Readings of some seconds. The loop and the watcher add to it, each its own.

    pauses: the collector's long ones. holders: who was seen to have had the interpreter's lock, and
    when. skipped: begins of stretches whose frames were not read,
    and unseen: stretches in which nobody looked, as the watcher had used its share of the CPU.
    """

    def __init__(self, threshold_ns: int, pauses: Sequence[Pause]) -> None:
        self._threshold_ns = threshold_ns
        self._pauses = pauses
        self.beats: deque[Beat] = deque(maxlen=2_048)
        self.marks: deque[Mark] = deque(maxlen=512)
        self.delays: deque[Delay] = deque(maxlen=512)
        self.samples: deque[Sample] = deque(maxlen=512)
        self.holders: deque[tuple[int, Holder]] = deque(maxlen=64)
        self.skipped: deque[int] = deque(maxlen=64)
        self.unseen: deque[tuple[int, int]] = deque(maxlen=64)
        self.system = System.read()
        self._stolen_ns, self._throttled = self.system.stolen_ns, False

    def look_at_the_system(self) -> None:
        """Before evidence is asked for: what the system has taken since it was last read."""
        self._stolen_ns, self._throttled = stolen_ns(), self.system.cut_off_since()

    def delayed(
        self, planned_ns: int, past: Mark, mark: Mark, since_ns: int | None = None
    ) -> Delay:
        """Note how late the watcher has woken, and why.

        Who waits for the lock is woken once every switch interval, to look again; who is stopped
        is not. What the loop's thread waited for a CPU meanwhile kept it from giving the lock up.
        since_ns: when the loop was last in its selector, where it is away.
        """
        assert past.own is not None
        assert mark.own is not None
        late_ns = max(0, mark.at_ns - planned_ns)
        # The last look may be long ago: what the loop's thread waited then kept nobody now.
        loop = self._last_before(planned_ns, past).loop
        queued = max(mark.own.queued_ns - past.own.queued_ns, mark.loop.queued_ns - loop.queued_ns)
        rest = max(0, late_ns - queued)
        turns, interval = mark.own.turns - past.own.turns, sys.getswitchinterval() * 1e9
        stopped = rest > LONG_STOP * interval and turns < max(2, rest / interval / 2)
        asleep = max(0, late_ns - (mark.own.queued_ns - past.own.queued_ns))
        held_cpu = min(asleep, self._computed_ns(planned_ns, past, mark, since_ns))
        kept = (0, rest, 0, 0) if stopped else (rest, 0, asleep, held_cpu)
        delay = Delay(planned_ns, mark.at_ns, *kept)
        if late_ns > SLACK_NS:
            self.delays.append(delay)
        return delay

    def _computed_ns(self, planned_ns: int, past: Mark, mark: Mark, since_ns: int | None) -> int:
        """How long the loop's thread computed from an instant until `mark`, at least: all that it
        may have computed between the last reading before that instant and the instant is taken
        off."""
        known = past if since_ns is None else self._last_before(since_ns, past)
        used_ns = mark.loop.cpu_ns - known.loop.cpu_ns
        return max(0, used_ns - max(0, planned_ns - known.at_ns))

    def _last_before(self, instant_ns: int, past: Mark) -> Mark:
        """The last reading before an instant, or `past` where that is younger."""
        before = self._beside(instant_ns)[0] if instant_ns > past.at_ns else None
        return past if before is None or _instant(before) <= past.at_ns else _mark(before)

    def kept_from(self, due_ns: int, served_ns: int) -> int:
        """When what made a timer late began, for all that is known: in the middle between the
        loop's last sign of life and the timer, where the watcher was stopped or kept waiting, too;
        else when the timer was due."""
        kept = [d for d in self.delays.copy() if d.planned_ns < served_ns and due_ns < d.woke_ns]
        if 2 * sum(delay.lock_ns + delay.stopped_ns for delay in kept) < served_ns - due_ns:
            return due_ns
        before, _ = self._beside(due_ns)
        return due_ns if before is None else (_instant(before) + due_ns) // 2

    def near(self, since_ns: int, mark: Mark) -> Mark:
        """The first reading from an instant on; where `mark`, just taken, is that, the last
        before it."""
        before, after = self._beside(since_ns)
        if after is not None and _instant(after) < mark.at_ns:
            return _mark(after)
        return mark if before is None else _mark(before)

    def _beside(self, instant_ns: int) -> tuple[Mark | Beat | None, Mark | Beat | None]:
        """The last reading before an instant, and the first from it on."""
        before: list[Mark | Beat] = []
        after: list[Mark | Beat] = []
        both: tuple[deque[Any], deque[Any]] = self.beats, self.marks
        for readings in both:
            first = None
            # The youngest first: it is near the end. What is added meanwhile moves the others on,
            # so that one is seen twice and none is missed.
            for place in range(-1, -len(readings) - 1, -1):
                reading = readings[place]
                if _instant(reading) < instant_ns:
                    before.append(reading)
                    break
                first = reading
            if first is not None:
                after.append(first)
        return max(before, key=_instant, default=None), min(after, key=_instant, default=None)

    def evidence(self, began: int, ended: int, loop_ident: int) -> Evidence:
        """All that is known of the stretch between two instants."""
        before, after = self._around(began, ended)
        wall = ended - began
        loop_ns = after.loop.cpu_ns - before.loop.cpu_ns
        # A thread that has computed before the stall has computed less within it; how much, its
        # state when it was looked at must tell.
        cpu_ns = min(loop_ns, wall)
        queued_ns = min(after.loop.queued_ns - before.loop.queued_ns, wall - cpu_ns)
        others_ns = max(0, min(after.process_ns - before.process_ns - loop_ns, wall))
        delays = [d for d in self.delays.copy() if began < d.woke_ns and d.planned_ns < ended]
        pause = self._pause(began, ended)
        past_ns, now_ns = self.system.stolen_ns, self._stolen_ns
        return Evidence(
            wall_ns=wall,
            threshold_ns=self._threshold_ns,
            cpu_ns=cpu_ns,
            queued_ns=queued_ns,
            others_ns=others_ns,
            lock_ns=min(wall, sum(delay.lock_ns for delay in delays)),
            held_cpu_ns=min(cpu_ns, max((delay.held_cpu_ns for delay in delays), default=0)),
            stopped_ns=min(wall, sum(delay.stopped_ns for delay in delays)),
            stolen_ns=0 if now_ns is None or past_ns is None else now_ns - past_ns,
            throttled=self._throttled,
            collector_ns=pause[0],
            generation=pause[1],
            holder=self._held_by(began, ended, loop_ident, others_ns),
            interval_ns=int(sys.getswitchinterval() * 1e9),
            samples=tuple(s for s in self.samples.copy() if began <= s.at_ns <= ended + SLACK_NS),
            skipped=began in self.skipped
            or any(since < ended and began < until for since, until in self.unseen.copy()),
        )

    def _around(self, began: int, ended: int) -> tuple[Mark, Mark]:
        """The last reading until the begin, and the first from the end on; where there is none,
        the next best."""
        before, since = self._beside(began + 1)
        last, after = self._beside(ended)
        first, second = before or since, after or last
        assert first is not None  # there is a mark since the watching began
        assert second is not None
        return _mark(first), _mark(second)

    def _pause(self, began: int, ended: int) -> tuple[int, int | None]:
        pauses = [
            (min(ended, pause.ended_ns) - max(began, pause.began_ns), pause.generation)
            for pause in list(self._pauses)
            if pause.began_ns < ended and began < pause.ended_ns
        ]
        return max(pauses, default=(0, None), key=lambda overlap: overlap[0])

    def note_holder(self, loop_ident: int, seen: Threads) -> None:
        """Who has had the lock until now, of those that were `seen` before any system call let
        others go on: a thread may end as soon as it has given the lock up."""
        self.holders.append((seen.at_ns, self._holder(loop_ident, seen)))

    def _held_by(self, began: int, ended: int, loop_ident: int, others_ns: int) -> str | None:
        """Who had the lock; None where those who live do not account for half of what others have
        computed, since it was one that has ended."""
        if others_ns <= self._threshold_ns:
            return None
        noted = [holder for at, holder in self.holders.copy() if began <= at <= ended + SLACK_NS]
        holder = noted[-1] if noted else self._holder(loop_ident, Threads.now())
        return holder.who if 2 * holder.used_ns >= others_ns else holder.gone

    def _holder(self, loop_ident: int, seen: Threads) -> Holder:
        """Since the system was last read."""
        now, past = cpu_by_thread(), self.system.by_thread
        others = [t for t in seen.threads if t.ident not in (loop_ident, threading.get_ident())]
        used = {
            thread: now[thread.native_id] - past.get(thread.native_id, 0)
            for thread in others
            if thread.native_id in now
        }
        gone = [_at(thread, seen.frames) for thread in others if thread.native_id not in now]
        most = max(used, key=lambda thread: used[thread], default=None)
        who = None if most is None else _at(most, seen.frames)
        return Holder(who, sum(used.values()), gone[0] if len(gone) == 1 else None)


def _at(thread: threading.Thread, frames: dict[int, FrameType]) -> str:
    """A thread with its frame, for a person."""
    frame = frames.get(thread.ident or 0)
    stack = None if frame is None else read_stack(frame)
    where = None if stack is None else stack.inner or stack.frames[0]
    return f"thread {thread.name}" + ("" if where is None else f" at {where}")
