"""From one Run's readings and reports to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loadtests.doubts import Evidence, doubts
from loadtests.histogram import Histogram, from_buckets
from loadtests.plan import PlannedRun
from loadtests.procstat import MachineReading, others_cpu
from loadtests.scenarios import Closed, Load, Open, Scenario
from results.schema import WARNING_SEPARATOR, Code, Value
from servers.process import Ended, Reading

Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Edge:
    """What was read at one edge of the measured window.

    server: None where the server did not answer. harness_cpu_s: of the harness itself.
    """

    server: Reading | None
    machine: MachineReading | None
    harness_cpu_s: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """One Run as it was seen. None: it did not come to that."""

    planned: PlannedRun
    scenario: Scenario
    started_at: str
    codes: tuple[Code, ...]
    start_ms: float | None = None
    first_answer_ms: float | None = None
    report: dict[str, Any] | None = None
    opened: Edge | None = None
    closed: Edge | None = None
    calibration_ms: float | None = None
    ended: Ended | None = None


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of one Run for each table."""

    runs: tuple[Row, ...]
    histograms: tuple[Row, ...]
    failures: tuple[Row, ...]


QUANTITIES = {
    ("measured", "service"): "service_time",
    ("measured", "response"): "response_time",
    ("measured", "failed"): "failure_time",
    ("measured", "send_lag"): "send_lag",
    ("warmup", "service"): "warmup_service_time",
}


def rows_of(result: RunResult) -> RunRows:
    """All rows of a Run: one in `runs` for each load, however little is known."""
    runs, histograms, failures = [], [], []
    for load in result.scenario.loads:
        told = None if result.report is None else result.report["loads"][load.name]
        runs.append({**_identity(result, load), **_figures(result, load, told)})
        if told is not None:
            histograms += list(_histogram_rows(result, load, told))
            failures += list(_failure_rows(result, load, told))
    return RunRows(tuple(runs), tuple(histograms), tuple(failures))


def _identity(result: RunResult, load: Load) -> Row:
    planned, model, ended = result.planned, load.model, result.ended
    return {
        "run_id": planned.run_id,
        "round": planned.round,
        "position": planned.position,
        "stack": planned.stack,
        "scenario": planned.scenario,
        "load": load.name,
        "started_at": result.started_at,
        "load_model": "closed" if isinstance(model, Closed) else "open",
        "users": model.users if isinstance(model, Closed) else model.connections,
        "arrival_rate_rps": model.rate_rps if isinstance(model, Open) else None,
        "calibration_ms": result.calibration_ms,
        "start_ms": result.start_ms,
        "first_answer_ms": result.first_answer_ms,
        "stop_ms": ended.stop_ms if ended else None,
        "exit_code": ended.exit_code if ended else None,
        "killed": ended.killed if ended else None,
    }


def _figures(result: RunResult, load: Load, told: dict[str, Any] | None) -> Row:
    report = result.report
    if report is None or told is None:
        return {"warnings": _joined(result.codes)}
    service = _histogram(told, "measured", "service")
    response = _histogram(told, "measured", "response") if _open(load) else service
    failures = sum(count for _, count, _ in told["measured"]["failures"])
    lag = from_buckets(dict(map(tuple, report["generator_lag"])))
    whole = Code.SERVER_DIED not in result.codes
    server = _server_figures(result) if whole else {}
    window_s = report["measured_s"]
    row: Row = {
        "warmup_s": report["warmup_s"],
        "measured_s": window_s,
        "requests": service.count + failures,
        "failures": failures,
        "throughput_rps": told["completed"] / window_s if whole else None,
        **{f"service_time_{k}_ms": v for k, v in service.statistics_ms().items()},
        **{f"response_time_{k}_ms": v for k, v in response.statistics_ms().items()},
        "clock": report["clock"],
        "generator_cpu_utilisation": report["cpu_s"] / window_s,
        "generator_lag_p99_ms": lag.statistics_ms()["p99"],
        "send_lag_p99_ms": _histogram(told, "measured", "send_lag").statistics_ms()["p99"],
        **server,
    }
    # Of a window that was cut short only what was counted can be doubted.
    counted = (Code.FAILURES,) if failures else ()
    found = doubts(_evidence(result, load, told, row, service)) if whole else counted
    row["warnings"] = _joined((*result.codes, *found))
    return row


def _server_figures(result: RunResult) -> Row:
    """CPU and memory between the edges; empty where the server could not be read."""
    if result.opened is None or result.closed is None or result.report is None:
        return {}
    before, after = result.opened.server, result.closed.server
    if before is None or after is None:
        return {}
    # Each rate is taken over its own window: the server's edges are read a
    # moment after the generator's.
    utilisation = (after.cpu_ns - before.cpu_ns) / (after.monotonic_ns - before.monotonic_ns)
    completed = sum(load["completed"] for load in result.report["loads"].values())
    rate = completed / result.report["measured_s"]
    return {
        "server_cpu_utilisation": utilisation,
        "cpu_us_per_request": utilisation / rate * 1e6 if completed else None,
        "rss_peak_bytes": after.rss_peak_bytes,
    }


def _evidence(
    result: RunResult, load: Load, told: dict[str, Any], row: Row, service: Histogram
) -> Evidence:
    report, series, model = result.report, told["measured"], load.model
    assert report is not None
    throughput = told["completed"] / report["measured_s"]
    users = gap_share = None
    if isinstance(model, Closed) and service.count and series["gaps"]:
        gap_us = series["gap_ns"] / series["gaps"] / 1000
        cycle_us = service.mean_us() + gap_us
        users, gap_share = throughput * cycle_us / 1e6, gap_us / cycle_us
    arrivals = None
    if isinstance(model, Open):
        arrivals = (service.count + int(row["failures"] or 0)) / report["measured_s"]
    return Evidence(
        users=told["users"],
        open_loop=isinstance(model, Open),
        requests=int(row["requests"] or 0),
        failures=int(row["failures"] or 0),
        throughput_rps=throughput,
        arrivals_rps=arrivals,
        littles_users=users,
        cycle_share=gap_share,
        generator_cpu=report["cpu_s"] / report["measured_s"],
        generator_lag_p99_ms=_as_float(row["generator_lag_p99_ms"]),
        send_lag_p99_ms=_as_float(row["send_lag_p99_ms"]),
        clock=report["clock"],
        clock_step_ms=report["clock_step_ms"],
        others_cpu=_others(result),
    )


def _others(result: RunResult) -> float | None:
    opened, closed, report = result.opened, result.closed, result.report
    if opened is None or closed is None or report is None:
        return None
    if opened.server is None or closed.server is None:
        return None
    ours = (
        (closed.server.cpu_ns - opened.server.cpu_ns) / 1e9
        + report["cpu_s"]
        + closed.harness_cpu_s
        - opened.harness_cpu_s
    )
    return others_cpu(opened.machine, closed.machine, ours, report["measured_s"])


def _histogram_rows(result: RunResult, load: Load, told: dict[str, Any]) -> Iterator[Row]:
    for (phase, name), quantity in QUANTITIES.items():
        yield from _bucket_rows(result, load, quantity, told[phase]["histograms"].get(name, []))
    if not _open(load):
        service = told["measured"]["histograms"].get("service", [])
        yield from _bucket_rows(result, load, "response_time", service)
    assert result.report is not None
    yield from _bucket_rows(result, load, "generator_lag", result.report["generator_lag"])


def _bucket_rows(
    result: RunResult, load: Load, quantity: str, buckets: list[list[int]]
) -> Iterator[Row]:
    for upper_us, count in buckets:
        yield {
            "run_id": result.planned.run_id,
            "load": load.name,
            "quantity": quantity,
            "upper_us": upper_us,
            "count": count,
        }


def _failure_rows(result: RunResult, load: Load, told: dict[str, Any]) -> Iterator[Row]:
    for reason, count, example in told["measured"]["failures"]:
        yield {
            "run_id": result.planned.run_id,
            "load": load.name,
            "reason": reason,
            "count": count,
            "example": example,
        }


def _histogram(told: dict[str, Any], phase: str, name: str) -> Histogram:
    return from_buckets(dict(map(tuple, told[phase]["histograms"].get(name, []))))


def _open(load: Load) -> bool:
    return isinstance(load.model, Open)


def _as_float(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _joined(codes: tuple[Code, ...]) -> str | None:
    return WARNING_SEPARATOR.join(dict.fromkeys(codes)) or None
