"""The phases of a session: connect → ramp-up and warm-up → measured window → drain → close.

Everything here runs on gevent greenlets inside the generator process.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import gevent
from gevent.event import Event

from loopbench.loadtests.generator.clients.http1 import Connection
from loopbench.loadtests.generator.clients.kept import KeptConnections
from loopbench.loadtests.generator.session.countdown import Countdown
from loopbench.loadtests.generator.session.lag import LagMeter, spin
from loopbench.loadtests.generator.session.load_run import LoadRun
from loopbench.loadtests.generator.session.report import Edge, Start, session_report
from loopbench.loadtests.generator.session.wall_clock import ClockWatch
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.messages.generator import (
    GeneratorEvent,
    SecondPassed,
    WindowClosed,
    WindowOpened,
)
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.messages.specs import SessionSpec

_SECOND_NS = 1_000_000_000
_WATCH_NS = 100_000_000
_CONNECT_BOUND_S = 30.0
_END_BOUND_S = 5.0
"""How long users whose requests were given up may take to end."""

_RELEASE_BOUND_S = 10.0
"""How long connections are held after the window for a harness that does not release them."""


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the generator's own collector from setting a percentile.

    A load makes next to no cycles, and its length is bounded; what there is
    gets collected afterwards.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


class Session:
    """Runs the phases, and sends the harness an event as the measured window opens and closes.

    kept: where its connections come from and go to, if the spec says that they are kept.
    begin: called once every user has connected; the instant
    on CLOCK_MONOTONIC, in ns, at which the lead-in begins. Without one that is then.
    started, released: set as the lead-in begins, and when connections may be closed.
    aborted: the load was broken off; what was measured until then is still reported.
    """

    def __init__(
        self,
        spec: SessionSpec,
        send_event: Callable[[GeneratorEvent], None],
        begin: Callable[[], int] = time.monotonic_ns,
        kept: KeptConnections | None = None,
    ) -> None:
        self.spec = spec
        self._kept = kept if spec.keeps_connections else None
        self.runs = tuple(LoadRun(load, spec) for load in spec.loads)
        self.started = Event()
        self.released = Event()
        self.start_ns = 0
        self.start_realtime_ns = 0
        self.aborted = False
        self._send_event = send_event
        self._begin = begin
        users = sum(run.users for run in self.runs)
        self._connecting = Countdown(users)
        self._ending = Countdown(users)
        self._clock = ClockWatch()
        self._lag = LagMeter(self._clock.look)
        self._defect: Exception | None = None

    # Called by the users.

    def connect(self, connection: Connection) -> None:
        """Connect; a failure shows at the first request, as one."""
        if self._kept is not None:
            self._kept.lend(connection)
        connection.connect()

    def part_with(self, connection: Connection) -> None:
        """Close it, or keep it for the next session."""
        if self._kept is not None:
            self._kept.keep(connection)
        else:
            connection.close()

    def arrive(self) -> None:
        """A user has connected, or has tried to."""
        self._connecting.step()

    def finish(self) -> None:
        """A user has ended its last request."""
        self._ending.step()

    def over(self) -> bool:
        """Whether the load was broken off while the caller slept."""
        return self.aborted

    def break_off(self, error: Exception) -> None:
        """A user met a defect of the generator itself: no figure of this load is good."""
        self._defect = self._defect or error
        self.abort()

    # Called by the generator.

    def release(self) -> None:
        """The harness has read the server at the end of the window: connections may be closed."""
        self.released.set()

    def abort(self) -> None:
        """End the load as soon as possible; what was measured is still reported."""
        self.aborted = True
        self._connecting.cut_short()
        self._ending.cut_short()

    def run(self) -> Report:
        """The phases in order; returns the report.

        Raises what a user raised, where that was not an answer's fault.
        """
        self._connecting.wait(_CONNECT_BOUND_S)
        with _collector_paused(), Timer() as timer:
            helpers = [gevent.spawn(self._lag.tick)]
            if self.spec.spin_ms:
                helpers.append(gevent.spawn(partial(spin, self.spec.spin_ms)))
            start = self._start(timer)
            open_ns = self.start_ns + self.spec.open_ns
            self._watch_until(timer, open_ns)
            opened, closed = self._window(timer, open_ns)
            self._send_event(WindowClosed())
            gevent.killall(helpers)
            self._drain()
            # What a server holds for its connections is read while they are there.
            self.released.wait(0 if self.aborted else _RELEASE_BOUND_S)
            self.released.set()
        if self._defect is not None:
            raise self._defect
        for run in self.runs:
            run.settle_backlog()
        step_ms = self._clock.step_ms
        return session_report(self.runs, start, opened, closed, step_ms, self._lag.buckets())

    def _start(self, timer: Timer) -> Start:
        """Let the users go at the instant agreed on, or, when that is over, at once."""
        self.start_ns = self._begin()
        timer.sleep_until(self.start_ns)
        realtime_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
        late_ns = monotonic_ns - self.start_ns
        self.start_realtime_ns = realtime_ns - late_ns
        self.started.set()
        return Start(self.start_ns, self.start_realtime_ns, late_ns)

    def _window(self, timer: Timer, open_ns: int) -> tuple[Edge, Edge]:
        """The measured window, with a mark on every load's timeline each second."""
        opened = Edge.now(self.runs)
        self._clock.begin()
        for run in self.runs:
            run.open_window()
        with self._lag.recording():
            self._send_event(WindowOpened())
            close_ns = self.start_ns + self.spec.close_ns
            self._mark(open_ns)
            due = open_ns + _SECOND_NS
            while due < close_ns and not self.aborted:
                self._watch_until(timer, due)
                self._mark(open_ns)
                self._send_event(SecondPassed())
                due += _SECOND_NS
            self._watch_until(timer, close_ns)
            closed = Edge.now(self.runs)
            self._clock.look()
            for run in self.runs:
                run.end()  # before anybody gets a turn: what begins now is not of the window
            self._mark(open_ns)
        return opened, closed

    def _mark(self, open_ns: int) -> None:
        at_ns = time.monotonic_ns() - open_ns
        for run in self.runs:
            run.mark(at_ns)

    def _watch_until(self, timer: Timer, due_ns: int) -> None:
        """Sleep until `due_ns`, looking now and then for requests that are overdue."""
        while not self.aborted and (now := time.monotonic_ns()) < due_ns:
            timer.sleep_until(min(due_ns, now + _WATCH_NS))
            self._expire_older_than(self.spec.timeout_s)
            for run in self.runs:
                run.bound_memory()

    def _drain(self) -> None:
        """Wait for the requests under way; give up those that take too long."""
        if self._ending.wait(0 if self.aborted else self.spec.drain_s):
            return
        self.aborted = True
        for run in self.runs:
            run.fail_unsent(self.start_ns)
        self._expire_older_than(0.0)
        if not self._ending.wait_for_all(_END_BOUND_S) and self._defect is None:
            self._defect = RuntimeError(f"{self._ending.left} users did not end")

    def _expire_older_than(self, seconds: float) -> None:
        limit_ns = time.time_ns() - int(seconds * _SECOND_NS)
        for run in self.runs:
            run.expire_sent_before(limit_ns)
