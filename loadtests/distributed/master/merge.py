"""The reports of several workers as the report of one: counts are added, bucket for bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loopbench.loadtests.distributed import packed_histogram
from loopbench.loadtests.distributed.messages import Report
from loopbench.loadtests.rows.histogram import from_pairs

_SUMMED = ("gap_ns", "gaps", "service_sum_ns")


@dataclass(slots=True)
class _Phase:
    """Sums of one phase of one load; see `recorder.Series` for what they mean."""

    histograms: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[Any]] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SUMMED, 0))
    sent_sum_ns: int = 0

    def add(self, phase: Report, worker: str, began_ns: int) -> None:
        """Add one worker's. began_ns: its start after the agreed one; its sends count from it."""
        for quantity, packed in phase["histograms"].items():
            self.histograms[quantity] = self.histograms.get(quantity, 0) + packed_histogram.unpack(
                packed
            )
        for reason, count, example in phase["failures"]:
            known = self.failures.setdefault(reason, [reason, 0, f"{example} (worker {worker})"])
            known[1] += count
        for name in _SUMMED:
            self.sums[name] += phase[name]
        self.sent_sum_ns += phase["sent_sum_ns"] + phase["answers"] * began_ns

    def to_json(self) -> Report:
        return {
            "histograms": {
                name: packed_histogram.pairs_of(sums) for name, sums in self.histograms.items()
            },
            "failures": list(self.failures.values()),
            **self.sums,
            "sent_sum_ns": self.sent_sum_ns,
        }


@dataclass(slots=True)
class _Second:
    """Sums of one stretch of a load's timeline."""

    from_s: float
    to_s: float
    completed: int = 0
    failures: int = 0
    inside: int = 0

    def to_json(self) -> Report:
        statistics = from_pairs(packed_histogram.pairs_of(self.inside)).statistics_ms()
        return {
            "from_s": self.from_s,
            "to_s": self.to_s,
            "completed": self.completed,
            "failures": self.failures,
            "response_time_p50_ms": statistics["p50"],
            "response_time_p99_ms": statistics["p99"],
        }


@dataclass(slots=True)
class _Load:
    users: int = 0
    completed: int = 0
    warmup: _Phase = field(default_factory=_Phase)
    measured: _Phase = field(default_factory=_Phase)
    timeline: list[_Second] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)

    def add(self, load: Report, worker: str, began_ns: int) -> None:
        self.users += load["users"]
        self.completed += load["completed"]
        self.warmup.add(load["warmup"], worker, began_ns)
        self.measured.add(load["measured"], worker, began_ns)
        for what, count in load.get("counted", {}).items():
            self.counted[what] = self.counted.get(what, 0) + count
        for number, part in enumerate(load["timeline"]):
            if number == len(self.timeline):
                self.timeline.append(_Second(part["from_s"], part["to_s"]))
            second = self.timeline[number]
            second.completed += part["completed"]
            second.failures += part["failures"]
            second.inside += packed_histogram.unpack(part["inside"])

    def to_json(self) -> Report:
        return {
            "users": self.users,
            "timeline": [second.to_json() for second in self.timeline],
            "completed": self.completed,
            "warmup": self.warmup.to_json(),
            "measured": self.measured.to_json(),
            **({"counted": self.counted} if self.counted else {}),
        }


class Merged:
    """The reports of one Run's workers, added as they come in.

    names: the scenario's loads, in its order. A load that nobody reported is there, with zeros.
    """

    def __init__(self, names: list[str], start_realtime_ns: int) -> None:
        self._loads = {name: _Load() for name in names}
        self._start_realtime_ns = start_realtime_ns
        self._lag = 0
        self._reports: list[Report] = []

    def add(self, packed: Report, worker: str, offset_ns: int) -> None:
        """Add the report of `worker`, whose clock is ahead of the master's by `offset_ns`.
        Raises ValueError for a report that is damaged."""
        began_ns = packed["start_realtime_ns"] - offset_ns - self._start_realtime_ns
        self._lag += packed_histogram.unpack(packed["generator_lag"])
        for name, load in packed["loads"].items():
            self._loads[name].add(load, worker, began_ns)
        self._reports.append(packed)

    @property
    def count(self) -> int:
        """How many reports there are."""
        return len(self._reports)

    def to_json(self) -> Report:
        """The report that one generator would have given, without its CPU time.

        warmup_s and measured_s are means: the workers' windows differ by what workers.csv
        says. The clock's step is the largest, and the clock is the kernel's where all are.
        """
        reports = self._reports

        def mean(key: str) -> float:
            return float(sum(report[key] for report in reports) / len(reports))

        return {
            "warmup_s": mean("warmup_s"),
            "start_realtime_ns": self._start_realtime_ns,
            "opened_realtime_ns": self._start_realtime_ns + int(mean("warmup_s") * 1e9),
            "measured_s": mean("measured_s"),
            "clock_step_ms": max(report["clock_step_ms"] for report in reports),
            "clock": "kernel" if {report["clock"] for report in reports} == {"kernel"} else "user",
            "generator_lag": packed_histogram.pairs_of(self._lag),
            "loads": {name: load.to_json() for name, load in self._loads.items()},
        }
