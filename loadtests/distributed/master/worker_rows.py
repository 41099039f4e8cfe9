"""One worker's part in a Run, as workers.csv has it."""

from __future__ import annotations

from dataclasses import replace

from loopbench.loadtests.distributed import packed_histogram
from loopbench.loadtests.distributed.master.peers import Peer
from loopbench.loadtests.messages.reports import PackedReport, WorkerRow
from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.results.schema import WARNING_SEPARATOR, Code
from loopbench.results.schema.warnings import (
    GENERATOR_CPU_LIMIT,
    GENERATOR_LAG_LIMIT_MS,
    WORKER_LATE_LIMIT_MS,
    WORKER_SILENT_AFTER_S,
)


def worker_row(peer: Peer, start_realtime_ns: int) -> WorkerRow:
    """The row, but for the run_id.

    start_realtime_ns: the agreed start, by the master's clock.
    """
    progress, bound_ns, host = peer.progress, peer.clock.bound_ns, peer.hello.host
    row = WorkerRow(
        worker=peer.number,
        host=host.host,
        pid=peer.hello.pid,
        python=host.python,
        version=host.version,
        users=peer.users,
        requests=None if progress is None else progress.answered + progress.failures,
        failures=None if progress is None else progress.failures,
        offset_ms=None if bound_ns is None else peer.clock.offset_ns / 1e6,
        offset_bound_ms=None if bound_ns is None else bound_ns / 1e6,
        longest_gap_s=peer.longest_gap_s,
        report_bytes=peer.report_bytes or None,
        gone=peer.gone,
    )
    if progress is not None and progress.report is not None:
        row = _with_report(row, progress.report, peer.clock.offset_ns + start_realtime_ns)
    return replace(row, warnings=WARNING_SEPARATOR.join(_codes(peer, row)) or None)


def _with_report(row: WorkerRow, report: PackedReport, began_ns: int) -> WorkerRow:
    """The row with what the worker has reported. began_ns: the agreed start by its own clock."""
    lag = from_pairs(packed_histogram.pairs_of(packed_histogram.unpack(report.generator_lag)))
    return replace(
        row,
        cpu_utilisation=report.cpu_s / report.measured_s,
        lag_p99_ms=lag.statistics_ms()["p99"],
        clock=report.clock,
        late_ms=report.late_ms,
        opened_s=(report.opened_realtime_ns - began_ns) / 1e9,
        closed_s=(report.closed_realtime_ns - began_ns) / 1e9,
    )


def _codes(peer: Peer, row: WorkerRow) -> list[Code]:
    if not peer.users:
        return []
    doubts = {
        Code.WORKER_LOST: not peer.reported,
        Code.WORKER_LATE: (row.late_ms or 0.0) > WORKER_LATE_LIMIT_MS,
        Code.WORKER_SILENT: peer.reported and peer.longest_gap_s > WORKER_SILENT_AFTER_S,
        Code.GENERATOR_CPU: (row.cpu_utilisation or 0.0) >= GENERATOR_CPU_LIMIT,
        Code.GENERATOR_LAG: (row.lag_p99_ms or 0.0) >= GENERATOR_LAG_LIMIT_MS,
        Code.CLOCK_USER: row.clock == "user",
    }
    return [code for code, raised in doubts.items() if raised]
