"""The thread that looks at a loop's thread while it stays away from its selector for too long.

The loop puts an alarm off at every beat of the probe's timer, some hundred times a second; nothing
is done on the way of a request. The watcher sleeps until the alarm rings. It needs the
interpreter's lock to look, like everybody: how long it waits for the lock is one of the things
that tell causes apart.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from loopbench.servers.probe.garbage_collector import Pause
from loopbench.servers.probe.stalls.alarm import Alarm
from loopbench.servers.probe.stalls.call_graph import task_with_waiters
from loopbench.servers.probe.stalls.causes import Evidence, Sample, among_tasks, cause_of, decisive
from loopbench.servers.probe.stalls.loop_clock import LoopClock, libuv_clock
from loopbench.servers.probe.stalls.readings import StallsReading, stall_row
from loopbench.servers.probe.stalls.record import Delay, Mark, Record, System, Threads
from loopbench.servers.probe.stalls.stack import read_stack
from loopbench.servers.probe.stalls.stall import Stall
from loopbench.servers.probe.stalls.thread_times import (
    RUNNING,
    Position,
    WatchedThread,
    described,
)

MOST_STALLS = 1_000
"""Kept since the reset; of those beyond only the number."""

MOST_CPU = 0.005
"""The share of a CPU that the watcher uses at most while it watches, where figures are taken. A
loop that serves many connections at its limit stays away for longer than a stall at every turn: it
would be looked at all the time, by a thread that takes the time from it."""

_FREE_CPU_NS = 10_000_000
_WINDOW_CPU_NS = 3_000_000
"""What it may use of each window, whatever it has used before: some five looks, lest nothing be
told of a loop that was held all through the lead-in."""

_REST_S = 0.25
"""How long it looks at none but long stalls where it has used more."""

LONG = 10
"""So many thresholds are a long stall. There are few of these in any second, so that each can be
looked at."""

_SELDOM_S = 1.0
"""How often what is dear to read is read, and how long a short stall may wait to be told."""

_GROWTH = 1.5
"""A stall is looked at again when it has grown by so much."""

_LEAST_STEP_NS, _MOST_STEP_NS = 2_000_000, 50_000_000

_LATE_AFTER_NS = 20_000_000
"""How long after its end a late beat is looked at, so that a stretch that explains it is known."""

_clock = time.perf_counter_ns
Span = tuple[int, int]


class StallWatcher:
    """Watches one loop. `attached` in its thread starts the watching.

    threshold_ns: a stretch that is longer is a stall. pauses: the collector's long ones.
    requests: how many requests of a route have ended. on_stall: is called with each stall, in the
    watcher's thread. most_cpu: the share of a CPU from which on it rests.

    unwatched: why no loop is watched, in words; None while one is.
    """

    def __init__(
        self,
        threshold_ns: int,
        pauses: Sequence[Pause],
        requests: Callable[[str], int],
        on_stall: Callable[[Stall], None] | None = None,
        most_cpu: float = MOST_CPU,
    ) -> None:
        self.failure: str | None = None
        self.unwatched: str | None = "no loop is attached"
        self.threshold_ns = threshold_ns
        self._long_ns = LONG * threshold_ns
        self._requests = requests
        self._on_stall = on_stall
        self._most_cpu = most_cpu
        self._record = Record(threshold_ns, pauses)
        self._stretches: deque[Span] = deque(maxlen=MOST_STALLS)
        self._beats: deque[Span] = deque(maxlen=MOST_STALLS)
        self._recent: deque[Span] = deque(maxlen=64)
        self._settling = threading.Lock()
        self._ending = False
        self._ident = 0
        self._next_ns = 0
        self._rests_from: int | None = None
        self._watched_from = 0
        self._watched_ns = 0
        self._driver: tuple[int, int] | None = None
        self.reset()

    def reset(self) -> None:
        """Begin counting anew; from any thread."""
        self._reset_at = _clock()
        self._stalls: list[Stall] = []
        self._beyond = 0
        self._blocked_ns = 0
        self._window_cpu_ns: int | None = None
        if self.unwatched is None:
            self._used_before_ns = self._used_at_rest_ns = self._thread.times().used_ns

    # What the loop's thread calls.

    def beat(self, due_ns: int, now_ns: int, next_ns: int) -> None:
        """A timer of the loop that was due has been served now; the next one is due then.

        It comes a hundred times a second: what it reads is kept as it is, and is looked at only
        if there is a stall.
        """
        if self.unwatched is not None:
            return
        self._next_ns = next_ns
        # Once it rings it is the watcher's, who may not have come to look yet.
        alarm = self._alarm
        if now_ns < alarm.rings_ns or not alarm.rings_ns:
            alarm.put_off(next_ns + self.threshold_ns)
        self._record.beats.append((now_ns, self._thread.schedstat(), time.process_time_ns()))
        if now_ns - due_ns > self.threshold_ns:
            self._beats.append((due_ns, now_ns))

    def overdue(self, began_ns: int, ended_ns: int) -> None:
        """A stretch between two calls of the selector that was too long has ended."""
        if self.unwatched is not None or began_ns < self._watched_from:
            return
        if self._rests_from is None or began_ns < self._rests_from:
            self._record.marks.append(Mark.read(self._thread.times()))
            self._stretches.append((began_ns, ended_ns))

    @contextmanager
    def attached(self, loop: asyncio.AbstractEventLoop, clock: LoopClock | None) -> Iterator[None]:
        """Watch `loop`, whose thread this is, while in the block."""
        with ExitStack() as held:
            try:
                self._thread = WatchedThread(threading.get_native_id())
                held.callback(self._thread.close)
                self._alarm = Alarm()
                held.callback(self._alarm.close)
            except OSError as error:
                self.unwatched = f"the system shows no thread of its own accord: {error}"
                yield
                return
            loop_clock = clock or libuv_clock(loop)
            if loop_clock is None:
                self.unwatched = f"nothing tells when a loop of {type(loop).__module__} waits"
                yield
                return
            self._clock_of_loop = loop_clock
            self._loop, self._ident = loop, threading.get_ident()
            self._ending = False
            if not loop_clock.exact:
                loop.call_soon(self._note_driver)
            watcher = threading.Thread(target=self._run, name="probe-stalls", daemon=True)
            self._record.marks.append(Mark.read(self._thread.times()))
            self._watched_from, self.unwatched = _clock(), None
            self._used_before_ns = self._thread.times().used_ns
            watcher.start()
            try:
                yield
            finally:
                self.unwatched, self._ending = "the loop is not attached any more", True
                self._alarm.put_off(1)
                watcher.join()

    def _note_driver(self) -> None:
        """Called by a loop in C, so that the frame around this one is where the loop is run: what
        its thread's innermost frame is while no callback runs."""
        frame = sys._getframe(1)
        self._driver = id(frame.f_code), frame.f_lasti

    # What any thread calls.

    def pause(self) -> None:
        """The loop does not beat until `resume`, and what it does meanwhile is nobody's stall."""
        if self.unwatched is None and self._rests_from is None:
            self._used_at_rest_ns = self._thread.times().used_ns
            self._rests_from = _clock()
            self._watched_ns += self._rests_from - self._watched_from
            self._alarm.put_off(0)
            self._settle()

    def resume(self) -> None:
        """Watch what the loop does from here on."""
        if self.unwatched is not None or self._rests_from is None:
            return
        # What happened to the machine meanwhile explains none of what was before.
        self._record.system = replace(self._record.system, throttled=None, stolen_ns=None)
        self._settle()
        self._record.system = System.read()
        self._used_before_ns += self._thread.times().used_ns - self._used_at_rest_ns
        self._watched_from, self._rests_from = _clock(), None

    def forked(self) -> None:
        """In a forked child, which has no such thread."""
        self.unwatched = "the process was forked after its loop was attached"
        self._settling = threading.Lock()

    def busy_ns(self) -> int | None:
        """How long the loop's thread was not idle since the reset: on a CPU, waiting for one, or
        held in a stall. None where it is not watched. Short waits for a lock count as idle."""
        if self.unwatched is not None:
            return None
        self._settle()
        resting = self._rests_from is not None
        used_ns = self._used_at_rest_ns if resting else self._thread.times().used_ns
        return used_ns - self._used_before_ns + self._blocked_ns

    def read(self) -> StallsReading:
        """Since the reset."""
        lasting: list[Stall] = []
        if self.unwatched is None:
            self._settle()
            lasting.extend(self._lasting())
        return StallsReading(
            unwatched=self.unwatched,
            stalls=tuple(stall_row(stall, self._reset_at) for stall in (*self._stalls, *lasting)),
            beyond=self._beyond,
        )

    # The watcher's thread.

    def _run(self) -> None:
        own = WatchedThread(threading.get_native_id())
        try:
            self._first = Mark.read(self._thread.times(), own.times())
            seldom_s = max(_SELDOM_S, self.threshold_ns / 1e9)
            sought_at, settle_at = self._first.at_ns, None
            while not self._ending:
                soon_s = seldom_s if settle_at is None else max(0, settle_at - _clock()) / 1e9
                rang = self._alarm.wait(None if self._rests_from else min(seldom_s, soon_s))
                if self._ending:
                    return
                if rang and self._rests_from is None:
                    self._follow(own, self._alarm.rings_ns)
                    self._rest(own)
                    self._alarm.put_off(max(_clock(), self._next_ns) + self.threshold_ns)
                    # Another one may begin before what has just ended can be told.
                    settle_at = settle_at or _clock() + _LATE_AFTER_NS
                if self._rests_from is not None:
                    self._alarm.put_off(0)  # a beat may have come between the two steps of pause
                    continue
                if not rang:  # what it did in this wait explains no later one
                    self._first = Mark.read(self._thread.times(), own.times())
                if settle_at is not None and _clock() < settle_at:
                    continue
                settle_at = None
                self._settle()
                seek = _clock() - sought_at > seldom_s * 1e9
                sought_at = _clock() if seek else sought_at
                self._record.system = System.read() if seek else self._record.system.again()
        except Exception as error:  # the server goes on; the Run gets its Warning
            self.failure = f"{type(error).__name__}: {error}"
            self.unwatched = "the watcher has failed"
        finally:
            own.close()

    def _rest(self, own: WatchedThread) -> None:
        """For a while, where too much CPU time was used."""
        if self._affordable():
            return
        now_ns, step_ns = _clock(), self._long_ns // 2
        until_ns = now_ns + int(_REST_S * 1e9)
        self._record.unseen.append((now_ns, until_ns))
        while _clock() < until_ns and not self._ending and self._rests_from is None:
            if self._window_cpu_ns is None:
                break
            planned = _clock() + step_ns
            time.sleep(step_ns / 1e9)
            since = self._clock_of_loop.away_since()
            if since is not None and _clock() - since > self._long_ns:
                self._follow(own, planned)
            else:
                past, self._first = self._first, Mark.read(self._thread.times(), own.times())
                self._record.delayed(planned, past, self._first)

    def _follow(self, own: WatchedThread, planned: int) -> None:
        """Look at the loop's thread until it is back in its selector. planned: when the watcher
        was to wake for it."""
        clock, past = self._clock_of_loop, self._first
        stalled, last_ns, unsure = None, 0, list[Sample]()
        while not self._ending and self._rests_from is None:
            since = clock.away_since()
            sample = self._look(since)
            threads = Threads.now() if _clock() - planned > self.threshold_ns else None
            mark = Mark.read(self._thread.times(), own.times())
            delay = self._record.delayed(min(planned, mark.at_ns), past, mark, since)
            position = self._thread.position()
            away = since is not None and clock.certain(
                since, position.call, self._record.near(since, mark), mark
            )
            self._record.marks.append(mark)
            went_on = clock.away_since() != since
            if threads is not None:
                self._record.note_holder(self._ident, threads)
                threads = None  # nobody's frames are kept while this thread sleeps
            if sample is not None:
                unsure.append(_completed(sample, delay, None if went_on else position))
            if away:
                self._record.samples.extend(unsure)
                unsure.clear()
            still = None if went_on or away is False else since
            if stalled is not None and still != stalled and not clock.exact:
                self.overdue(stalled, self._served_after(last_ns, mark.at_ns))
            if still is None or mark.at_ns - still < self.threshold_ns:
                break
            if delay.stopped_ns and not clock.exact:
                break  # it may have been stopped in its selector: its late beat will tell
            if away:
                stalled, last_ns = still, mark.at_ns
            step = int((mark.at_ns - still) * (_GROWTH - 1))
            step = min(max(step, _LEAST_STEP_NS), _MOST_STEP_NS)
            planned, past = _clock() + step, mark
            time.sleep(step / 1e9)
        self._first = Mark.read(self._thread.times(), own.times())

    def _served_after(self, seen_ns: int, now_ns: int) -> int:
        """When a stall that lasted at one instant and not at another ended: its late timer is the
        first thing that the loop serves afterwards."""
        served = [at for _, at in self._beats.copy() if seen_ns <= at <= now_ns]
        return min(served, default=(seen_ns + now_ns) // 2)

    def _affordable(self) -> bool:
        """Whether the watcher, whose thread this is, has used no more than its share of a CPU."""
        watched_ns = self._watched_ns + _clock() - self._watched_from
        used_ns, window_ns = time.thread_time_ns(), self._window_cpu_ns
        if window_ns is None:  # it was reset
            self._window_cpu_ns = window_ns = used_ns
        if used_ns - window_ns < _WINDOW_CPU_NS:
            return True
        return used_ns <= _FREE_CPU_NS + self._most_cpu * watched_ns

    def _look(self, since: int | None) -> Sample | None:
        """Read the frames of a loop that is away for too long, before anything gives the
        interpreter's lock up: the loop may want it, and would go on."""
        now_ns = _clock()
        if since is None or now_ns - since < self.threshold_ns:
            return None
        if now_ns - since < self._long_ns and not self._affordable():
            self._record.skipped.append(since)
            return None
        frame = sys._current_frames().get(self._ident)
        stack = None if frame is None else read_stack(frame)
        if stack is not None and stack.position == self._driver:
            stack = None  # no callback runs
        request = None
        if stack is not None and stack.own_route and stack.route is not None:
            request = self._requests(stack.route) + 1
        task = asyncio.current_task(self._loop)
        return Sample(
            at_ns=now_ns,
            held_ns=0,
            position=Position(RUNNING),
            where=RUNNING,
            stack=stack,
            task=None if task is None else task_with_waiters(task),
            request=request,
        )

    def _settle(self) -> None:
        """Make Stalls of what has ended."""
        with self._settling:
            if self._stretches or self._beats:
                self._record.look_at_the_system()
            while self._stretches:
                span = self._stretches.popleft()
                if not self._told(*span):
                    self._close(span)
            old = _clock() - _LATE_AFTER_NS
            while self._beats and self._beats[0][1] < old:
                due, served = self._beats.popleft()
                # A late timer that no stretch explains: the loop was in its selector, and was kept
                # from coming back by the lock, by a stop or by the want of a CPU.
                if not any(began < served and due < ended for began, ended in self._recent):
                    self._close((self._record.kept_from(due, served), served))

    def _told(self, began: int, ended: int) -> bool:
        """Whether most of a stretch is in a Stall already: of a late timer, where somebody asked
        before the watcher had seen that the stretch had ended."""
        inside = (min(ended, until) - max(began, since) for since, until in self._recent)
        return 2 * max(inside, default=0) > ended - began

    def _close(self, span: Span) -> None:
        """Make a Stall of a stretch that has ended, and tell it."""
        began, ended = span
        self._recent.append(span)
        if ended - max(began, self._reset_at) <= self.threshold_ns:
            return
        stall, evidence = self._made_of(began, ended)
        blocked_ns = evidence.wall_ns - evidence.cpu_ns - evidence.queued_ns
        # Of one that a reset fell into, its share of what was after that.
        self._blocked_ns += blocked_ns * stall.duration_ns // evidence.wall_ns
        if len(self._stalls) < MOST_STALLS:
            self._stalls.append(stall)
        else:
            self._beyond += 1
        if self._on_stall is not None:
            self._on_stall(stall)

    def _lasting(self) -> Iterator[Stall]:
        """The stretch that has not ended yet, where it is one for certain."""
        since = self._clock_of_loop.away_since() if self._clock_of_loop.exact else None
        now_ns = _clock()
        resting = self._rests_from is not None or since is None or since < self._watched_from
        if not resting and now_ns - max(since or 0, self._reset_at) > self.threshold_ns:
            self._record.marks.append(Mark.read(self._thread.times()))
            yield self._made_of(since or 0, now_ns)[0]

    def _made_of(self, began: int, ended: int) -> tuple[Stall, Evidence]:
        """The Stall of a stretch, as far as it is after the reset, and what it is told by."""
        evidence = self._record.evidence(began, ended, self._ident)
        cause, detail = cause_of(evidence)
        shown = decisive(evidence, cause)
        stack = None if shown is None else shown.stack
        from_ns = max(began, self._reset_at)
        stall = Stall(
            started_ns=from_ns,
            duration_ns=ended - from_ns,
            cause=cause,
            detail=detail + among_tasks(evidence, cause),
            route=None if stack is None else stack.route,
            request=None if shown is None else shown.request,
            task=None if shown is None else shown.task,
            frame=None if stack is None else stack.inner,
            frames=() if stack is None else stack.frames,
        )
        return stall, evidence


def _completed(sample: Sample, delay: Delay, position: Position | None) -> Sample:
    """With what was read after the frames. position: None where the loop has gone on since."""
    if position is None:
        return replace(sample, held_ns=delay.asleep_ns)
    return replace(sample, held_ns=delay.asleep_ns, position=position, where=described(position))
