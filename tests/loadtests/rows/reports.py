"""Reports of the load generator made by hand, of which only what a test works with is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loopbench.loadtests.messages.reports import (
    Buckets,
    Failure,
    LoadReport,
    PhaseReport,
    Report,
    SessionReport,
    Stretch,
    Times,
    WorkerRow,
)

LAG: Buckets = ((150, 197), (800, 3))

WORKER = WorkerRow(
    worker=1,
    host="h",
    pid=1,
    python="3.11",
    version="v",
    users=4,
    requests=None,
    failures=None,
    offset_ms=None,
    offset_bound_ms=None,
    longest_gap_s=0.0,
    report_bytes=None,
    gone=None,
)


def phase(
    *failures: Failure, times: Times[Buckets] | None = None, **sums: Any
) -> PhaseReport[Buckets]:
    """A phase; its right answers are those that have a service time."""
    times = times or Times()
    nothing = PhaseReport(
        times,
        failures,
        answers=sum(count for _, count in times.service_time or ()),
        gap_ns=0,
        gaps=0,
        sent_sum_ns=0,
        service_sum_ns=0,
    )
    return replace(nothing, **sums)


def load_report(
    warmup: PhaseReport[Buckets], measured: PhaseReport[Buckets], **changes: Any
) -> LoadReport[Buckets]:
    return replace(LoadReport(1, (), measured.answers, warmup, measured, {}), **changes)


def stretch(from_s: float, to_s: float, completed: int, failures: int = 0) -> Stretch[Buckets]:
    return Stretch(from_s, to_s, completed, failures, 1.5, 2.5, None)


def session_report(loads: dict[str, LoadReport[Buckets]], **changes: Any) -> Report:
    """A window of 2 s after 0.6 s, half of which the generator's CPU was busy."""
    whole = SessionReport(
        warmup_s=0.6,
        start_realtime_ns=0,
        late_ms=0.0,
        opened_realtime_ns=0,
        closed_realtime_ns=0,
        measured_s=2.0,
        cpu_s=1.0,
        clock_step_ms=0.0,
        clock="kernel",
        generator_lag=LAG,
        loads=loads,
    )
    return replace(whole, **changes)
