"""One scenario's loads from the first connection to the last answer.

connect → ramp-up and warm-up → measured window → drain → close. Everything here runs
on gevent greenlets inside the generator process.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event

from loopbench.loadtests.generator.clients.http1 import AnswerBook, Connection
from loopbench.loadtests.generator.deliveries import Published
from loopbench.loadtests.generator.recorder import Series, Timeline
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.rows.histogram import Histogram
from loopbench.loadtests.scenarios.codec import load_from_json
from loopbench.loadtests.scenarios.models import Load

_SECOND_NS = 1_000_000_000
_TICK_NS = 10_000_000
_SLICE_NS = 100_000_000
_CONNECT_BOUND_S = 30.0
_RELEASE_BOUND_S = 10.0
"""How long connections are held after the window for a harness that does not release them."""


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """What the harness asks for. Times in seconds.

    drain_s: how long requests in flight at the end are waited for.
    timeout_s: a request without an answer for this long fails.
    spin_ms: for the check of the instrument alone: a greenlet keeps the
    generator from everything else for so long, ten times a second.
    part, phase, whole: of a load that several workers share: names this share, so that its
    arrivals are its own; how far within a user's step of the ramp it begins; and whether
    the timeline keeps its buckets, which can be merged where percentiles cannot.
    """

    host: str
    port: int
    loads: tuple[Load, ...]
    warmup_s: float
    measured_s: float
    drain_s: float
    timeout_s: float
    seed: int
    spin_ms: float = 0.0
    part: str = ""
    phase: float = 0.0
    whole: bool = False

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> SessionSpec:
        """From a command of the control pipe; raises TypeError on unknown or missing names."""
        loads = tuple(load_from_json(load) for load in values["loads"])
        return cls(**{**values, "loads": loads})


class LoadRun:
    """One Load under way: what its users share."""

    def __init__(self, load: Load, spec: SessionSpec) -> None:
        self.load = load
        self.model: Any = load.model  # each user is written for one of them
        host = f"[{spec.host}]" if ":" in spec.host else spec.host
        self.payload = load.case.request.encode(f"{host}:{spec.port}")
        self.book = AnswerBook(load.case)
        self.warmup = Series()
        self.measured = Series()
        self.series = self.warmup
        self.running = True
        self.connections: list[Connection] = []
        self.timeline = Timeline(whole=spec.whole)
        self.open_ns = int(spec.warmup_s * _SECOND_NS)
        self.published = Published()
        self.counted: dict[str, int] = {}
        end_ns = self.open_ns + int(spec.measured_s * _SECOND_NS)
        self.arrivals = load.model.schedule(end_ns, f"{spec.seed}/{load.name}{spec.part}")

    @property
    def users(self) -> int:
        """How many Locust users, each with one connection, this load has."""
        return self.load.model.population

    def series_at(self, due_ns: int) -> Series:
        """The phase that an arrival belongs to."""
        return self.warmup if due_ns < self.open_ns else self.measured

    def count(self, what: str, more: int) -> None:
        """Count what the window's rows say of the load beside its requests, by its column."""
        self.counted[what] = self.counted.get(what, 0) + more

    @property
    def answered(self) -> int:
        return self.warmup.answered + self.measured.answered

    def fail_unsent(self, start_ns: int) -> None:
        """Count the arrivals that no connection was ever free for: they failed, too.

        Those that were not due yet when the load was broken off never were requests.
        """
        now_ns = time.monotonic_ns() - start_ns
        while (
            self.arrivals is not None
            and (due := self.arrivals.take()) is not None
            and due <= now_ns
        ):
            self.series_at(due).fail(
                "not sent: every connection was busy",
                now_ns - due,
                f"due {due / _SECOND_NS:.3f} s after the start",
            )


class Session:
    """Runs the phases and tells the harness when the measured window opens and closes.

    begin: called once every user has connected; the instant on CLOCK_MONOTONIC, in ns, at
    which the lead-in begins. Without one that is then.
    """

    def __init__(
        self,
        spec: SessionSpec,
        tell: Callable[[str], None],
        begin: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.spec = spec
        self.runs = tuple(LoadRun(load, spec) for load in spec.loads)
        self.started = Event()
        self.released = Event()
        self.start_ns = 0
        self.start_realtime_ns = 0
        self.aborted = False
        self.late_ns = 0
        self._tell = tell
        self._begin = begin
        self._arrived = 0
        self._finished = 0
        self._everyone_arrived = Event()
        self._everyone_finished = Event()
        self._users = sum(run.users for run in self.runs)
        self._lags: array[int] = array("q")
        self._in_window = False
        self._defect: Exception | None = None

    # Called by the users.

    def arrive(self) -> None:
        """A user has connected, or has tried to."""
        self._arrived += 1
        if self._arrived >= self._users:
            self._everyone_arrived.set()

    def finish(self) -> None:
        """A user has ended its last request."""
        self._finished += 1
        if self._finished >= self._users:
            self._everyone_finished.set()

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
        self._everyone_arrived.set()
        self._everyone_finished.set()

    def run(self) -> dict[str, Any]:
        """The phases in order; returns the report, as JSON types.

        Raises what a user raised, where that was not an answer's fault.
        """
        self._everyone_arrived.wait(_CONNECT_BOUND_S)
        with _collector_paused(), Timer() as timer:
            helpers = [gevent.spawn(self._tick)]
            if self.spec.spin_ms:
                helpers.append(gevent.spawn(self._spin))
            self._start(timer)
            open_ns = self.start_ns + int(self.spec.warmup_s * _SECOND_NS)
            self._watch_until(timer, open_ns)
            opened = self._edge()
            for run in self.runs:
                run.series = run.measured
            self._in_window = True
            self._tell("window-opened")
            closed = self._window(timer, open_ns)
            self._in_window = False
            self._tell("window-closed")
            gevent.killall(helpers)
            self._drain()
            # What a server holds for its connections is read while they are there.
            self.released.wait(0 if self.aborted else _RELEASE_BOUND_S)
            self.released.set()
        if self._defect is not None:
            raise self._defect
        return self._report(opened, closed)

    def _start(self, timer: Timer) -> None:
        """Let the users go at the instant agreed on, or, when that is over, at once."""
        self.start_ns = self._begin()
        timer.sleep_until(self.start_ns)
        realtime_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
        self.late_ns = monotonic_ns - self.start_ns
        self.start_realtime_ns = realtime_ns - self.late_ns
        self.started.set()

    def _window(self, timer: Timer, open_ns: int) -> dict[str, Any]:
        """The measured window, with a mark on every load's timeline each second."""
        close_ns = open_ns + int(self.spec.measured_s * _SECOND_NS)
        self._mark(open_ns)
        due = open_ns + _SECOND_NS
        while due < close_ns and not self.aborted:
            self._watch_until(timer, due)
            self._mark(open_ns)
            self._tell("second")
            due += _SECOND_NS
        self._watch_until(timer, close_ns)
        closed = self._edge()
        self._mark(open_ns)
        return closed

    def _mark(self, open_ns: int) -> None:
        at_ns = time.monotonic_ns() - open_ns
        for run in self.runs:
            run.timeline.mark(at_ns, run.answered, run.measured)

    def _edge(self) -> dict[str, Any]:
        return {
            "monotonic_ns": time.monotonic_ns(),
            "realtime_ns": time.time_ns(),
            "cpu_ns": time.process_time_ns(),
            "answered": [run.answered for run in self.runs],
        }

    def _watch_until(self, timer: Timer, due_ns: int) -> None:
        """Sleep until `due_ns`, looking now and then for requests that are overdue."""
        while not self.aborted and (now := time.monotonic_ns()) < due_ns:
            timer.sleep_until(min(due_ns, now + _SLICE_NS))
            self._expire_older_than(self.spec.timeout_s)
            for run in self.runs:
                if run.series.large:
                    run.timeline.resolve(run.measured)
                    run.series.flush()

    def _drain(self) -> None:
        for run in self.runs:
            run.running = False
        self._everyone_finished.wait(0 if self.aborted else self.spec.drain_s)
        if self._finished < self._users:
            self._everyone_finished.clear()
            self.aborted = True
            for run in self.runs:
                run.fail_unsent(self.start_ns)
            self._expire_older_than(0.0)
            self._everyone_finished.wait(5.0)
        if self._finished < self._users and self._defect is None:
            self._defect = RuntimeError(f"{self._users - self._finished} users did not end")

    def _expire_older_than(self, seconds: float) -> None:
        limit = time.time_ns() - int(seconds * _SECOND_NS)
        for connection in self._busy():
            if connection.sent_ns <= limit:
                connection.expire()

    def _busy(self) -> Iterator[Connection]:
        for run in self.runs:
            for connection in run.connections:
                if connection.busy:
                    yield connection

    def _tick(self) -> None:
        """Lateness of a 10 ms timer: how late the generator itself gets round to things.

        The schedule is absolute: a stop of 30 ms shows as three late ticks, not as one.
        """
        with Timer() as timer:
            due = time.monotonic_ns()
            while True:
                due += _TICK_NS
                timer.sleep_until(due)
                if self._in_window:
                    self._lags.append((time.monotonic_ns() - due) // 1000)
                gevent.sleep(0)

    def _spin(self) -> None:
        with Timer() as timer:
            due = time.monotonic_ns()
            while True:
                due += _SECOND_NS // 10
                timer.sleep_until(due)
                until = time.monotonic_ns() + int(self.spec.spin_ms * 1e6)
                while time.monotonic_ns() < until:
                    pass

    def _report(self, opened: dict[str, Any], closed: dict[str, Any]) -> dict[str, Any]:
        lag = Histogram()
        lag.record(self._lags)
        connections = [connection for run in self.runs for connection in run.connections]
        step = (closed["realtime_ns"] - closed["monotonic_ns"]) - (
            opened["realtime_ns"] - opened["monotonic_ns"]
        )
        return {
            "warmup_s": (opened["monotonic_ns"] - self.start_ns) / _SECOND_NS,
            "start_realtime_ns": self.start_realtime_ns,
            "late_ms": self.late_ns / 1e6,
            "opened_realtime_ns": opened["realtime_ns"],
            "closed_realtime_ns": closed["realtime_ns"],
            "measured_s": (closed["monotonic_ns"] - opened["monotonic_ns"]) / _SECOND_NS,
            "cpu_s": (closed["cpu_ns"] - opened["cpu_ns"]) / _SECOND_NS,
            "clock_step_ms": abs(step) / 1e6,
            "clock": "user" if any(c.user_clock_reads for c in connections) else "kernel",
            "generator_lag": list(lag.buckets().items()),
            "loads": {
                run.load.name: {
                    "users": run.users,
                    "timeline": run.timeline.to_json(run.measured),
                    "completed": closed["answered"][index] - opened["answered"][index],
                    "warmup": run.warmup.to_json(),
                    "measured": run.measured.to_json(),
                    **({"counted": run.counted} if run.counted else {}),
                }
                for index, run in enumerate(self.runs)
            },
        }


class _collector_paused:
    """The generator's own garbage collector must not set a percentile.

    A load makes next to no cycles, and its length is bounded; what there is
    gets collected afterwards.
    """

    def __enter__(self) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()

    def __exit__(self, *exc_info: object) -> None:
        gc.enable()
        gc.unfreeze()
        gc.collect()
