"""One Scenario's load on several servers side by side, in Slices.

The users of every server are connected for the whole Block; those of one server at a time are let
go, for as long as the harness says. A server whose users wait is parked: nothing is in flight
there. When the window of a Slice opens is its Lane's to say. It closes while requests are still
being sent; what was answered in it is counted, of a closed loop over the time from answer to answer
(`generator.cycles`). How that follows from the noise of virtual machines is in docs/slices.md.
"""

from __future__ import annotations

import math
import statistics
import time
from array import array
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace

import gevent
from gevent.event import Event

from loopbench.loadtests.generator.cycles import Mark, mark, users_ns
from loopbench.loadtests.generator.gauge import Gauge, GaugeReading
from loopbench.loadtests.generator.lanes import Lane, lane_of
from loopbench.loadtests.generator.recorder import Series
from loopbench.loadtests.generator.session.lag import LagMeter
from loopbench.loadtests.generator.session.report import clock_read, load_report
from loopbench.loadtests.generator.session.wall_clock import ClockWatch
from loopbench.loadtests.generator.timer import Timer
from loopbench.loadtests.messages.reports import Report, SessionReport, SliceResult
from loopbench.loadtests.messages.specs import BlockSpec, Phase
from loopbench.loadtests.observe import machine_cpu
from loopbench.results.schema.warnings import CLOCK_STEP_LIMIT_MS

_SECOND_NS = 1_000_000_000
_CONNECT_BOUND_S = 30.0
_MEDIANS = ("service_time", "response_time")
"""The series whose median each Slice has."""

_CLOSED_EVERY_US, _OPEN_EVERY_US = 5_000, 10_000
"""How often the short work is done in the window of a closed loop, and of an open one, which is
longer. It has its price: what it interrupts takes longer, and the caches are cold behind it. Every
2 ms it took a tenth off the throughput of either stack, every 5 ms 4 %, every 10 ms 2 %, and told
as much of the speed (docs/slices.md)."""


class Block:
    """Carries out Slices, one at a time, at the harness's word."""

    def __init__(self, spec: BlockSpec) -> None:
        self.spec = spec
        self.lanes = {
            target.name: lane_of(target, spec, number, self)
            for number, target in enumerate(spec.targets)
        }
        self._cleanup = ExitStack()
        self._gauge: Gauge | None = None
        self._missing = sum(lane.run.users for lane in self.lanes.values())
        self._everyone = Event()
        self._defect: Exception | None = None
        self._clock = ClockWatch()
        self._lag = LagMeter(self._clock.look)
        self._began_ns = 0

    def arrive(self) -> None:
        """A user of any lane has connected, or has tried to."""
        self._missing -= 1
        if self._missing <= 0:
            self._everyone.set()

    def break_off(self, error: Exception) -> None:
        """Remember a defect; it is raised at the next Slice."""
        self._defect = self._defect or error

    def open(self) -> None:
        """Wait until every user has connected, and start the gauge. Raises OSError."""
        self._everyone.wait(_CONNECT_BOUND_S)
        if all(target.pids for target in self.spec.targets):
            self._gauge = self._cleanup.enter_context(Gauge(self.spec.cpus))
            self._gauge.watch([target.pids for target in self.spec.targets])
        self._began_ns = time.monotonic_ns()
        realtime_ns = time.time_ns()
        self._clock.begin()
        for lane in self.lanes.values():
            lane.start_ns, lane.start_realtime_ns = self._began_ns, realtime_ns
            lane.started.set()
        helper = gevent.spawn(self._lag.tick)
        self._cleanup.callback(helper.kill)
        gevent.sleep(0)  # every user comes to its parking place

    def slice(self, name: str, seconds: float, phase: Phase) -> SliceResult:
        """Visit one target. Raises what a user met where that was no answer's fault."""
        lane, run = self.lanes[name], self.lanes[name].run
        speed_before = self._work_ms()
        failures_before = run.failed
        # The probe cannot tell the requests of the lead-in from those that follow.
        outside = run.watched if phase is Phase.WATCHED else run.warmup
        counting = run.measured if phase is Phase.MEASURED else outside
        with Timer() as timer:
            begun_ns = time.monotonic_ns()
            apart_ns = self._clock.look()
            lane.let_go(outside, counting, seconds)
            lane.wait_for_opening(timer)
            first = {name: len(getattr(counting, name)) for name in _MEDIANS}
            every_us = self._short_work_us(lane, phase)
            stolen_s = self._stolen_s(lane)  # out of the window: to read it takes time
            opened = self._edge(lane, counting, begins=every_us)
            with self._lag.recording() if phase is Phase.MEASURED else nullcontext():
                timer.sleep_until(opened.at_ns + int(seconds * _SECOND_NS))
                closed = self._edge(lane, outside, ends=every_us is not None)
                closed = closed.unless_stepped(apart_ns)
            stolen_s = _between(stolen_s, self._stolen_s(lane))
            lane.call_back()
        if not lane.parked.is_set() and self._defect is None:
            self._defect = RuntimeError(f"users of {name} did not end their Slice")
        if self._defect is not None:
            raise self._defect
        times = {name: getattr(counting, name)[begin:] for name, begin in first.items()}
        speeds = [ms for ms in (speed_before, self._work_ms()) if ms is not None]
        machine = _Machine(statistics.fmean(speeds) if speeds else None, stolen_s)
        result = self._result(lane, begun_ns, opened, closed, failures_before, times, machine)
        self._add_parked(lane, opened, closed)
        counting.flush()
        if phase is Phase.MEASURED:
            self._add_up(lane, opened, closed, result)
        elif phase is Phase.LEAD_IN:
            lane.warmup_s += result.lead_in_s + result.seconds
        return result

    def close(self) -> dict[str, Report]:
        """End the users, and report on each target, as a Session reports on its loads."""
        for lane in self.lanes.values():
            lane.end()
        self._cleanup.close()
        gevent.sleep(0)
        return {name: self._report(lane) for name, lane in self.lanes.items()}

    def _edge(
        self, lane: Lane, series: Series, *, begins: int | None = None, ends: bool = False
    ) -> _Edge:
        """The instant, what was answered by then, and the CPU time; from here on requests belong
        to `series`.

        begins: every so many microseconds the short work is done from now on. ends: whether it
        does.

        The users go on while the gauge answers: where they stopped before it has read, the server
        would have been idle for a part of its window.
        """
        at_ns, answered = time.monotonic_ns(), lane.run.answered
        users = mark(lane.run.connections)
        lane.run.series = series
        cycled_ns, cpu_ns = lane.run.cycled_ns, time.process_time_ns()
        short_ns = self._gauge.end_short_work() if ends and self._gauge else None
        reading = None if self._gauge is None else self._gauge.read()
        if begins and self._gauge:
            self._gauge.start_short_work(begins)
        apart_ns = self._clock.look()
        return _Edge(at_ns, apart_ns, answered, users, cycled_ns, cpu_ns, reading, short_ns)

    def _short_work_us(self, lane: Lane, phase: Phase) -> int | None:
        """How often it is done in this window; None: not at all. It is where the servers have one
        CPU, of several it would tell one. In an open loop, and for one user, their CPU has nothing
        to do between two requests, and is not to be woken where it may sleep: the work then
        followed its waking as much as its speed, and ratios of one user that were freed from it
        differed by twice as much."""
        if self._gauge is None or len(self.spec.cpus) != 1 or phase is not Phase.MEASURED:
            return None
        waits = lane.run.model.waits_for_answers
        busy = waits and lane.run.users > 1
        if not (busy or self.spec.awake):
            return None
        return _CLOSED_EVERY_US if waits else _OPEN_EVERY_US

    def _stolen_s(self, lane: Lane) -> float | None:
        """In closed loops: the rate of an open one does not follow it."""
        waits = lane.run.model.waits_for_answers
        return machine_cpu.stolen_s(self.spec.cpus) if waits else None

    def _work_ms(self) -> float | None:
        return None if self._gauge is None else self._gauge.work_ns() / 1e6

    def _add_parked(self, lane: Lane, opened: _Edge, closed: _Edge) -> None:
        """Add what the parked servers used in this window; forget it of the visited one."""
        lane.parked_cpu_s = lane.parked_s = 0.0
        for other in self.lanes.values():
            cpu_s, window_s = _cpu_between(opened, closed, other.number)
            if other is not lane and cpu_s is not None and window_s is not None:
                other.parked_cpu_s += cpu_s
                other.parked_s += window_s

    def _result(
        self,
        lane: Lane,
        begun_ns: int,
        opened: _Edge,
        closed: _Edge,
        failures_before: int,
        times: Mapping[str, array[int]],
        machine: _Machine,
    ) -> SliceResult:
        run = lane.run
        failures = run.failed - failures_before
        cpu_s, window_s = _cpu_between(opened, closed, lane.number)
        waits = run.model.waits_for_answers  # the rate of an open loop is not its users'
        summed_ns = users_ns(opened.users, closed.users) if waits else None
        length_ns = closed.at_ns - opened.at_ns if summed_ns is None else summed_ns / run.users
        cycles_ns = None if summed_ns is None else closed.cycled_ns - opened.cycled_ns
        service = times["service_time"]
        response = times["response_time"] or service
        return SliceResult(
            target=lane.target.name,
            started_s=(begun_ns - self._began_ns) / _SECOND_NS,
            lead_in_s=(opened.at_ns - begun_ns) / _SECOND_NS,
            seconds=length_ns / _SECOND_NS,
            cycles_s=None if cycles_ns is None else cycles_ns / _SECOND_NS,
            requests=closed.answered - opened.answered,
            failures=failures,
            service_time_p50_ms=statistics.median(service) / 1000 if service else None,
            service_time_p99_ms=_p99(service) / 1000 if service else None,
            response_time_p50_ms=statistics.median(response) / 1000 if response else None,
            cpu_s=cpu_s,
            cpu_window_s=window_s,
            parked_cpu_s=lane.parked_cpu_s if lane.parked_s else None,
            parked_s=lane.parked_s or None,
            work_ms=machine.work_ms,
            short_work_us=None if closed.short_ns is None else closed.short_ns / 1000,
            stolen_share=machine.stolen_share(closed.at_ns - opened.at_ns),
        )

    def _add_up(self, lane: Lane, opened: _Edge, closed: _Edge, result: SliceResult) -> None:
        lane.warmup_s += result.lead_in_s
        lane.measured_s += result.seconds
        lane.completed += result.requests
        lane.run.settle_backlog()
        lane.generator_cpu_s += (closed.own_cpu_ns - opened.own_cpu_ns) / _SECOND_NS

    def _report(self, lane: Lane) -> Report:
        run, realtime_ns = lane.run, time.time_ns()
        return SessionReport(
            warmup_s=lane.warmup_s,
            start_realtime_ns=lane.start_realtime_ns,
            late_ms=0.0,
            opened_realtime_ns=lane.start_realtime_ns,
            closed_realtime_ns=realtime_ns,
            measured_s=lane.measured_s,
            cpu_s=lane.generator_cpu_s,
            clock_step_ms=self._clock.step_ms,
            clock=clock_read((run,)),
            generator_lag=self._lag.buckets(),
            loads={run.load.name: load_report(run, lane.completed)},
        )


@dataclass(frozen=True, slots=True)
class _Edge:
    """One edge of a counted window. at_ns: CLOCK_MONOTONIC. apart_ns: by how much the wall clock
    was ahead of it. answered: since the Block began.
    users: how far each of them was. cycled_ns: what their answers and the waits before took.
    short_ns: of the short work that ended here."""

    at_ns: int
    apart_ns: int
    answered: int
    users: Mark
    cycled_ns: int
    own_cpu_ns: int
    gauge: GaugeReading | None
    short_ns: float | None

    def unless_stepped(self, apart_ns: int) -> _Edge:
        """The same; without the users where the wall clock, which stamps their answers, has
        stepped since the clocks were so far apart: from answer to answer is then no length."""
        stepped = abs(self.apart_ns - apart_ns) >= CLOCK_STEP_LIMIT_MS * 1e6
        return replace(self, users=()) if stepped else self


@dataclass(frozen=True, slots=True)
class _Machine:
    """What the servers' CPUs were like. work_ms: the fixed work took there, before and after.
    stolen_s: for how long the hypervisor ran others in their place."""

    work_ms: float | None
    stolen_s: float | None

    def stolen_share(self, window_ns: int) -> float | None:
        """Of this window."""
        return None if self.stolen_s is None else self.stolen_s / (window_ns / _SECOND_NS)


def _between(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _p99(times: array[int]) -> int:
    """By nearest rank."""
    return sorted(times)[math.ceil(0.99 * len(times)) - 1]


def _cpu_between(opened: _Edge, closed: _Edge, number: int) -> tuple[float | None, float | None]:
    """CPU time of a target between two edges, and the window between the readings, in s."""
    if opened.gauge is None or closed.gauge is None:
        return None, None
    before_ns, after_ns = opened.gauge.cpu_ns[number], closed.gauge.cpu_ns[number]
    if before_ns is None or after_ns is None:
        return None, None
    window_ns = closed.gauge.monotonic_ns - opened.gauge.monotonic_ns
    return (after_ns - before_ns) / _SECOND_NS, window_ns / _SECOND_NS
