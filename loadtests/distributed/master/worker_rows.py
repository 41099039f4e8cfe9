"""One worker's part in a Run, as workers.csv has it."""

from __future__ import annotations

from typing import Any

from loopbench.loadtests.distributed import packed_histogram
from loopbench.loadtests.distributed.master.peers import Peer
from loopbench.loadtests.rows.histogram import from_pairs
from loopbench.results.schema import WARNING_SEPARATOR, Code
from loopbench.results.schema.warnings import (
    GENERATOR_CPU_LIMIT,
    GENERATOR_LAG_LIMIT_MS,
    WORKER_LATE_LIMIT_MS,
    WORKER_SILENT_AFTER_S,
)


def worker_row(peer: Peer, start_realtime_ns: int) -> dict[str, Any]:
    """The row, but for the run_id. Blank: not known, as of a worker that was lost.

    start_realtime_ns: the agreed start, by the master's clock.
    """
    progress = peer.progress or {}
    report = progress.get("report") or {}
    bound_ns = peer.clock.bound_ns
    row: dict[str, Any] = {
        "worker": peer.number,
        "host": peer.hello["host"],
        "pid": peer.hello["pid"],
        "python": peer.hello["python"],
        "version": peer.hello["version"],
        "users": peer.users,
        "requests": progress["answered"] + progress["failures"] if progress else None,
        "failures": progress["failures"] if progress else None,
        "offset_ms": peer.clock.offset_ns / 1e6 if bound_ns is not None else None,
        "offset_bound_ms": bound_ns / 1e6 if bound_ns is not None else None,
        "longest_gap_s": peer.longest_gap_s,
        "report_bytes": peer.report_bytes or None,
        "gone": peer.gone,
        **_reported(report, peer.clock.offset_ns, start_realtime_ns),
    }
    codes = _codes(peer, row)
    return {**row, "warnings": WARNING_SEPARATOR.join(codes) or None}


def _reported(report: dict[str, Any], offset_ns: int, start_realtime_ns: int) -> dict[str, Any]:
    if not report:
        return dict.fromkeys(("cpu_utilisation", "lag_p99_ms", "clock", "late_ms"))
    lag = from_pairs(packed_histogram.pairs_of(packed_histogram.unpack(report["generator_lag"])))
    return {
        "cpu_utilisation": report["cpu_s"] / report["measured_s"],
        "lag_p99_ms": lag.statistics_ms()["p99"],
        "clock": report["clock"],
        "late_ms": report["late_ms"],
        **{
            f"{edge}_s": (report[f"{edge}_realtime_ns"] - offset_ns - start_realtime_ns) / 1e9
            for edge in ("opened", "closed")
        },
    }


def _codes(peer: Peer, row: dict[str, Any]) -> list[Code]:
    if not peer.users:
        return []
    doubts = {
        Code.WORKER_LOST: not peer.reported,
        Code.WORKER_LATE: (row["late_ms"] or 0.0) > WORKER_LATE_LIMIT_MS,
        Code.WORKER_SILENT: peer.reported and peer.longest_gap_s > WORKER_SILENT_AFTER_S,
        Code.GENERATOR_CPU: (row["cpu_utilisation"] or 0.0) >= GENERATOR_CPU_LIMIT,
        Code.GENERATOR_LAG: (row["lag_p99_ms"] or 0.0) >= GENERATOR_LAG_LIMIT_MS,
        Code.CLOCK_USER: row["clock"] == "user",
    }
    return [code for code, raised in doubts.items() if raised]
