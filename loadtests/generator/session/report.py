"""What a session reports: the readings at both edges of its window, and its loads' Records."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopbench.loadtests.generator.session.load_run import LoadRun
from loopbench.loadtests.messages.reports import Buckets, LoadReport, Report, SessionReport

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Start:
    """When the users began, on CLOCK_MONOTONIC and on CLOCK_REALTIME; how late that was."""

    monotonic_ns: int
    realtime_ns: int
    late_ns: int


@dataclass(frozen=True, slots=True)
class Edge:
    """The opening or the closing of the window. cpu_ns: of this process. answered: right answers
    since the start, by load."""

    monotonic_ns: int
    realtime_ns: int
    cpu_ns: int
    answered: tuple[int, ...]

    @classmethod
    def now(cls, runs: Sequence[LoadRun]) -> Edge:
        """This instant."""
        return cls(
            time.monotonic_ns(),
            time.time_ns(),
            time.process_time_ns(),
            tuple(run.answered for run in runs),
        )


def session_report(
    runs: Sequence[LoadRun],
    start: Start,
    opened: Edge,
    closed: Edge,
    clock_step_ms: float,
    lag: Buckets,
) -> Report:
    """All of it."""
    return SessionReport(
        warmup_s=(opened.monotonic_ns - start.monotonic_ns) / _SECOND_NS,
        start_realtime_ns=start.realtime_ns,
        late_ms=start.late_ns / 1e6,
        opened_realtime_ns=opened.realtime_ns,
        closed_realtime_ns=closed.realtime_ns,
        measured_s=(closed.monotonic_ns - opened.monotonic_ns) / _SECOND_NS,
        cpu_s=(closed.cpu_ns - opened.cpu_ns) / _SECOND_NS,
        clock_step_ms=clock_step_ms,
        clock=clock_read(runs),
        generator_lag=lag,
        loads={
            run.load.name: load_report(run, answers_after - answers_before)
            for run, answers_before, answers_after in zip(
                runs, opened.answered, closed.answered, strict=True
            )
        },
    )


def load_report(run: LoadRun, completed: int) -> LoadReport[Buckets]:
    """One load's part. completed: right answers that came within the window."""
    return LoadReport(
        users=run.users,
        timeline=run.timeline.report(run.measured),
        completed=completed,
        warmup=run.warmup.report(),
        measured=run.measured.report(),
        counted=run.counted,
        watched=run.watched.report() if run.watched.begun else None,
        growth=run.growth,
    )


def clock_read(runs: Iterable[LoadRun]) -> str:
    """The clock that times were read with: `kernel` where every reading had its timestamp."""
    by_user = any(
        run.clock == "user" or any(connection.user_clock_reads for connection in run.connections)
        for run in runs
    )
    return "user" if by_user else "kernel"
