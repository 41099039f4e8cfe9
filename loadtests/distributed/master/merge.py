"""The reports of several workers as the report of one: counts are added, bucket for bucket."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from loopbench.loadtests.distributed.packed_histogram import pairs_of, unpack
from loopbench.loadtests.messages import reports
from loopbench.loadtests.rows.histogram import from_pairs


@dataclass(slots=True)
class _Phase:
    """Sums of one phase of one load; see `recorder.Series` for what they mean."""

    times: dict[str, int] = field(default_factory=dict)
    failures: dict[str, reports.Failure] = field(default_factory=dict)
    answers: int = 0
    gap_ns: int = 0
    gaps: int = 0
    sent_sum_ns: int = 0
    service_sum_ns: int = 0

    def add(self, phase: reports.PhaseReport[reports.Packed], worker: str, began_ns: int) -> None:
        """Add one worker's. began_ns: its start after the agreed one; its sends count from it."""
        for quantity in fields(phase.times):
            packed = getattr(phase.times, quantity.name)
            if packed is not None:
                self.times[quantity.name] = self.times.get(quantity.name, 0) + unpack(packed)
        for failure in phase.failures:
            known = self.failures.get(failure.reason)
            self.failures[failure.reason] = reports.Failure(
                failure.reason,
                failure.count + (0 if known is None else known.count),
                f"{failure.example} (worker {worker})" if known is None else known.example,
            )
        self.answers += phase.answers
        self.gap_ns += phase.gap_ns
        self.gaps += phase.gaps
        self.service_sum_ns += phase.service_sum_ns
        self.sent_sum_ns += phase.sent_sum_ns + phase.answers * began_ns

    def report(self) -> reports.PhaseReport[reports.Buckets]:
        return reports.PhaseReport(
            times=reports.Times(**{name: pairs_of(lanes) for name, lanes in self.times.items()}),
            failures=tuple(self.failures.values()),
            answers=self.answers,
            gap_ns=self.gap_ns,
            gaps=self.gaps,
            sent_sum_ns=self.sent_sum_ns,
            service_sum_ns=self.service_sum_ns,
        )


@dataclass(slots=True)
class _Second:
    """Sums of one stretch of a load's timeline."""

    from_s: float
    to_s: float
    completed: int = 0
    failures: int = 0
    inside: int = 0

    def report(self) -> reports.Stretch[reports.Buckets]:
        inside = pairs_of(self.inside)
        statistics = from_pairs(inside).statistics_ms()
        return reports.Stretch(
            from_s=self.from_s,
            to_s=self.to_s,
            completed=self.completed,
            failures=self.failures,
            response_time_p50_ms=statistics["p50"],
            response_time_p99_ms=statistics["p99"],
            inside=inside,
        )


@dataclass(slots=True)
class _Load:
    users: int = 0
    completed: int = 0
    warmup: _Phase = field(default_factory=_Phase)
    measured: _Phase = field(default_factory=_Phase)
    timeline: list[_Second] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)
    growth: reports.Growth | None = None

    def add(self, load: reports.LoadReport[reports.Packed], worker: str, began_ns: int) -> None:
        self.users += load.users
        self.completed += load.completed
        self.warmup.add(load.warmup, worker, began_ns)
        self.measured.add(load.measured, worker, began_ns)
        for what, count in load.counted.items():
            self.counted[what] = self.counted.get(what, 0) + count
        if load.growth is not None:
            self.growth = load.growth if self.growth is None else self.growth + load.growth
        for number, part in enumerate(load.timeline):
            if number == len(self.timeline):
                self.timeline.append(_Second(part.from_s, part.to_s))
            second = self.timeline[number]
            second.completed += part.completed
            second.failures += part.failures
            second.inside += 0 if part.inside is None else unpack(part.inside)

    def report(self) -> reports.LoadReport[reports.Buckets]:
        return reports.LoadReport(
            users=self.users,
            timeline=tuple(second.report() for second in self.timeline),
            completed=self.completed,
            warmup=self.warmup.report(),
            measured=self.measured.report(),
            counted=self.counted,
            growth=self.growth,
        )


class Merged:
    """The reports of one Run's workers, added as they come in.

    names: the scenario's loads, in its order. A load that nobody reported is there, with zeros.
    """

    def __init__(self, names: list[str], start_realtime_ns: int) -> None:
        self._loads = {name: _Load() for name in names}
        self._start_realtime_ns = start_realtime_ns
        self._lag = 0
        self._reports: list[reports.PackedReport] = []

    def add(self, packed: reports.PackedReport, worker: str, offset_ns: int) -> None:
        """Add the report of `worker`, whose clock is ahead of the master's by `offset_ns`.
        Raises ValueError for a report that is damaged."""
        began_ns = packed.start_realtime_ns - offset_ns - self._start_realtime_ns
        self._lag += unpack(packed.generator_lag)
        for name, load in packed.loads.items():
            self._loads[name].add(load, worker, began_ns)
        self._reports.append(packed)

    @property
    def count(self) -> int:
        """How many reports there are."""
        return len(self._reports)

    def report(self, cpu_s: float, fleet: reports.FleetReport | None) -> reports.Report:
        """The report that one generator would have given.

        cpu_s: CPU time of this machine, to tell it from that of strangers. warmup_s and
        measured_s are means: the workers' windows differ by what workers.csv says. Lateness and
        the clock's step are the largest, and the clock is the kernel's where all are.
        """
        of_workers = self._reports
        warmup_s = sum(report.warmup_s for report in of_workers) / len(of_workers)
        measured_s = sum(report.measured_s for report in of_workers) / len(of_workers)
        opened_ns = self._start_realtime_ns + int(warmup_s * 1e9)
        return reports.SessionReport(
            warmup_s=warmup_s,
            start_realtime_ns=self._start_realtime_ns,
            late_ms=max(report.late_ms for report in of_workers),
            opened_realtime_ns=opened_ns,
            closed_realtime_ns=opened_ns + int(measured_s * 1e9),
            measured_s=measured_s,
            cpu_s=cpu_s,
            clock_step_ms=max(report.clock_step_ms for report in of_workers),
            clock="kernel" if {report.clock for report in of_workers} == {"kernel"} else "user",
            generator_lag=pairs_of(self._lag),
            loads={name: load.report() for name, load in self._loads.items()},
            fleet=fleet,
        )
