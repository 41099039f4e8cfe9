"""From one Run's readings and reports to its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from loopbench.loadtests.messages.reports import QUANTITIES, Buckets, LoadReport, Report
from loopbench.loadtests.observe.machine_cpu import others_cpu, process_cpu_s
from loopbench.loadtests.observe.store_cpu import used
from loopbench.loadtests.rows import probe_rows
from loopbench.loadtests.rows.histogram import Histogram, from_pairs
from loopbench.loadtests.rows.run_result import RunResult, Slice
from loopbench.loadtests.rows.warning_checks import Evidence, doubts
from loopbench.loadtests.scenarios.models import Load, Scenario
from loopbench.results.schema import FAILURES, RUNS, SLICES, WARNING_SEPARATOR, Code, Value
from loopbench.servers.supervision.os_stats import Reading

Row = dict[str, Value]


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of one Run for each table."""

    runs: tuple[Row, ...]
    histograms: tuple[Row, ...]
    failures: tuple[Row, ...]
    observations: tuple[Row, ...]
    threads: tuple[Row, ...]
    timeline: tuple[Row, ...]
    workers: tuple[Row, ...] = ()
    slices: tuple[Row, ...] = ()
    stalls: tuple[Row, ...] = ()
    thread_pools: tuple[Row, ...] = ()


_INCOMPLETE = {Code.SERVER_DIED, Code.WORKER_LOST}
"""The load was another one than the scenario's: of such a window only counts are good."""


def rows_of(result: RunResult) -> RunRows:
    """All rows of a Run: one in `runs` for each load, however little is known."""
    runs, histograms, failures, timeline = [], [], [], []
    run_id, report, loads = result.planned.run_id, result.report, result.scenario.loads
    for load in loads:
        load_report = None if report is None else report.loads[load.name]
        runs.append({**_identity(result, load), **_figures(result, load, load_report)})
        if report is not None and load_report is not None:
            histograms += list(_histogram_rows(run_id, load, load_report))
            failures += list(_failure_rows(result, load, load_report))
            timeline += list(probe_rows.timeline_rows(run_id, result.observed, report, load))
    if report is not None:
        lag = from_pairs(report.generator_lag)
        histograms += list(probe_rows.bucket_rows(run_id, "all", "generator_lag", lag))
        histograms += list(probe_rows.histogram_rows(run_id, result.observed, loads))
    return RunRows(
        tuple(runs),
        tuple(histograms),
        tuple(failures),
        tuple(probe_rows.observation_rows(run_id, result.observed)),
        tuple(probe_rows.thread_rows(run_id, result.observed)),
        tuple(timeline),
        tuple(
            {"run_id": run_id, **asdict(worker)} for worker in (report.workers if report else ())
        ),
        tuple(_slice_row(run_id, run_slice) for run_slice in result.slices),
        tuple(probe_rows.stall_rows(run_id, result.observed)),
        tuple(probe_rows.thread_pool_rows(run_id, result.observed)),
    )


def _slice_row(run_id: str, run_slice: Slice) -> Row:
    made = run_slice.result
    parked = None
    if made.parked_s and made.parked_cpu_s is not None:
        parked = made.parked_cpu_s / made.parked_s
    rate = made.requests / made.seconds
    return SLICES.row_of(
        run_slice, made, run_id=run_id, throughput_rps=rate, parked_cpu_share=parked
    )


def _identity(result: RunResult, load: Load) -> Row:
    model = load.model
    return RUNS.row_of(
        *(load, model, result, result.planned, result.ended),
        **_facts(result.scenario, load),
        load=load.name,
        load_model=model.kind,
        users=model.population,
        request_body_bytes=load.case.request.body_bytes,
        answer_body_bytes=load.case.expected.body_bytes,
    )


def _facts(scenario: Scenario, load: Load) -> Row:
    """What the reading half has to know of the scenario and the load."""
    return {
        "scenario_family": scenario.family,
        "scenario_variant": scenario.variant or None,
        "scenario_parameter": scenario.parameter,
        "scenario_parameter_name": scenario.parameter_name or None,
        "baseline_scenario": scenario.baseline or None,
        "load_role": load.role,
        "case": load.case.name,
    }


def _figures(result: RunResult, load: Load, load_report: LoadReport[Buckets] | None) -> Row:
    report = result.report
    if report is None or load_report is None:
        return {"warnings": _joined((*result.codes, *load.codes))}
    times = load_report.measured.times
    service, response = _histogram(times.service_time), _histogram(times.response_time)
    if not response.count:
        response = service  # the two are one where a request begins with its send
    failures = load_report.measured.failed
    lag = from_pairs(report.generator_lag)
    whole = not _INCOMPLETE & set(result.codes)
    server = _server_figures(result, load) if whole else {}
    window_s = report.measured_s
    watched = [run_slice.result for run_slice in result.slices if run_slice.watched]
    watched_s = (
        sum(slice_result.lead_in_s + slice_result.seconds for slice_result in watched)
        if result.slices
        else window_s
    )
    rate = load_report.completed / window_s if whole else None
    first = _histogram(times.first_byte).statistics_ms()
    first_event = _histogram(times.first_event).statistics_ms()
    upstream = _upstream_cpu(result)
    row: Row = {
        "warmup_s": report.warmup_s,
        "measured_s": window_s,
        "watched_s": watched_s if result.observed.probe is not None else None,
        "requests": service.count + failures,
        "failures": failures,
        "throughput_rps": rate,
        "backlog_growth_share": load_report.growth.share
        if load_report.growth is not None and whole
        else None,
        **{f"service_time_{k}_ms": v for k, v in service.statistics_ms().items()},
        **{f"response_time_{k}_ms": v for k, v in response.statistics_ms().items()},
        **{
            f"first_byte_{k}_us": None if (v := first[k]) is None else v * 1000
            for k in ("p50", "p99")
        },
        **{f"first_event_{k}_ms": first_event[k] for k in ("p50", "p99")},
        "connections_rps": rate if load.model.reconnects else None,
        **_deliveries(load, load_report),
        "clock": report.clock,
        "upstream_cpu_utilisation": upstream,
        "generator_cpu_utilisation": _generator_cpu(report),
        "generator_lag_p99_ms": lag.statistics_ms()["p99"],
        "send_lag_p99_ms": _histogram(times.send_lag).statistics_ms()["p99"],
        **server,
    }
    # Of a window that was cut short only what was counted can be doubted.
    counted = (Code.FAILURES,) if failures else ()
    codes = doubts(_evidence(result, load, load_report, row, service)) if whole else counted
    outside = load_report.warmup.failed + (
        load_report.watched.failed if load_report.watched is not None else 0
    )
    outside += result.at_rest.failures if result.at_rest is not None else 0
    lead_in = (Code.LEAD_IN_FAILURES,) if outside else ()
    row["warnings"] = _joined((*result.codes, *load.codes, *lead_in, *codes))
    return row


def _deliveries(load: Load, load_report: LoadReport[Buckets]) -> Row:
    """What is said of messages that were owed to somebody; empty of other loads."""
    if not load.model.counts_deliveries:
        return {}
    counted = load_report.counted
    last = _histogram(load_report.measured.times.last_delivery).statistics_ms()
    return {
        **{f"last_delivery_{short}_ms": last[short] for short in ("p50", "p99")},
        "deliveries_owed": counted.get("deliveries_owed"),
        # Nothing was lost where something was owed and nobody has said otherwise.
        "deliveries_lost": counted.get("deliveries_lost", 0 if counted else None),
        "receivers_dropped": counted.get("receivers_dropped"),
    }


def _server_figures(result: RunResult, load: Load) -> Row:
    """What was read in the server; empty where it could not be read."""
    observed, report = result.observed, result.report
    assert report is not None
    watched = report.as_watched() if result.slices else report
    row = probe_rows.server_wide(observed) | probe_rows.load_figures(observed, watched, load)
    before = None if observed.opened is None else observed.opened.server
    after = None if observed.closed is None else observed.closed.server
    row |= _growth(result, load)
    if result.slices:
        return row | _sliced_figures(result) | ({} if after is None else _peak(after))
    if result.at_rest is not None:
        row |= {
            "server_cpu_utilisation": result.at_rest.utilisation,
            "cpu_us_per_request": result.at_rest.cpu_us_per_request,
            "rested_s": result.at_rest.window_s,
        }
        return row | ({} if after is None else _peak(after))
    if before is not None and after is not None:
        # Each rate is taken over its own window: the server's edges are read a
        # moment after the generator's.
        utilisation = after.utilisation_since(before)
        completed = sum(load_report.completed for load_report in report.loads.values())
        rate = completed / report.measured_s
        row |= {
            "server_cpu_utilisation": utilisation,
            "cpu_us_per_request": utilisation / rate * 1e6 if completed else None,
            **_peak(after),
        }
    return row


def _growth(result: RunResult, load: Load) -> Row:
    """Of a person's own application; empty of the others, whose routes hold what they are to."""
    opened, closed, report = result.observed.opened, result.observed.closed, result.report
    if not load.own or opened is None or closed is None or report is None:
        return {}
    completed = sum(load_report.completed for load_report in report.loads.values())
    if opened.server is None or closed.server is None or not completed:
        return {}
    begin, end = opened.server.rss_bytes, closed.server.rss_bytes
    if begin is None or end is None:
        return {}
    return {"memory_growth_bytes_per_request": (end - begin) / completed}


def _peak(reading: Reading) -> Row:
    return {"rss_peak_bytes": reading.rss_peak_bytes}


def _sliced_figures(result: RunResult) -> Row:
    """CPU figures over the counted windows of all Slices; empty where one could not be read."""
    made = [run_slice.result for run_slice in result.slices if not run_slice.watched]
    requests = sum(slice_result.requests for slice_result in made)
    window_s = sum(slice_result.seconds for slice_result in made)
    cpu_s = [slice_result.cpu_s for slice_result in made if slice_result.cpu_s is not None]
    cpu_window_s = sum(slice_result.cpu_window_s or 0.0 for slice_result in made)
    if len(cpu_s) < len(made) or not requests:
        return {}
    utilisation = sum(cpu_s) / cpu_window_s
    return {
        "server_cpu_utilisation": utilisation,
        "cpu_us_per_request": utilisation / (requests / window_s) * 1e6,
    }


def _generator_cpu(report: Report) -> float:
    """CPU time over wall time of the generator, or of the busiest of several workers."""
    busiest = None if report.fleet is None else report.fleet.busiest_cpu
    return report.cpu_s / report.measured_s if busiest is None else busiest


def _upstream_cpu(result: RunResult) -> float | None:
    """CPU time over wall time of the upstream, between its own readings, which may be long after
    the generator's edges; None where there is none to be read."""
    opened, closed = result.observed.opened, result.observed.closed
    if opened is None or closed is None or opened.upstream is None or closed.upstream is None:
        return None
    return closed.upstream.utilisation_since(opened.upstream)


def _evidence(
    result: RunResult, load: Load, load_report: LoadReport[Buckets], row: Row, service: Histogram
) -> Evidence:
    report, phase, model = result.report, load_report.measured, load.model
    assert report is not None
    throughput = load_report.completed / report.measured_s
    users = gap_share = None
    if model.waits_for_answers and service.count and phase.gaps:
        gap_us = phase.gap_ns / phase.gaps / 1000
        cycle_us = service.mean_us() + gap_us
        users = _in_slices(result) if result.slices else throughput * cycle_us / 1e6
        gap_share = gap_us / cycle_us
    lag_ms = _as_float(row["generator_lag_p99_ms"])
    return Evidence(
        users=load_report.users,
        requests=int(row["requests"] or 0) if model.counts_requests else None,
        failures=int(row["failures"] or 0),
        growth=load_report.growth,
        littles_users=users,
        cycle_share=gap_share,
        # An upstream runs on the generator's CPUs.
        generator_cpu=_generator_cpu(report) + (_upstream_cpu(result) or 0.0),
        generator_lag_p99_ms=lag_ms if report.fleet is None else report.fleet.worst_lag_p99_ms,
        send_lag_p99_ms=_as_float(row["send_lag_p99_ms"]),
        clock=report.clock,
        clock_step_ms=report.clock_step_ms,
        others_cpu=_others(result),
        growth_bytes=_as_float(row.get("memory_growth_bytes_per_request")),
        one_thread_queue=probe_rows.one_thread_queue(result.observed) if load.own else None,
        watched_cpu=_watched_cpu(result, row),
    )


def _in_slices(result: RunResult) -> float | None:
    """The users by Little's law, of the very answers that the throughput counts. The mean service
    time is that of the requests that began in the window: of a window of some ten answers a user,
    another one at its edge is a tenth of it. None where none is counted from answer to answer."""
    made = [run_slice.result for run_slice in result.slices if not run_slice.watched]
    known = [
        (slice_result.cycles_s, slice_result.seconds)
        for slice_result in made
        if slice_result.cycles_s is not None
    ]
    return sum(taken for taken, _ in known) / sum(length for _, length in known) if known else None


def _watched_cpu(result: RunResult, row: Row) -> float | None:
    """Of each process; None where the probe rested while CPU time was read, or there is none."""
    if result.observed.probe is None or result.slices or result.at_rest is not None:
        return None
    utilisation = _as_float(row.get("server_cpu_utilisation"))
    return None if utilisation is None else utilisation / result.processes


def _others(result: RunResult) -> float | None:
    if result.slices:
        return result.others_cpu
    opened, closed, report = result.observed.opened, result.observed.closed, result.report
    if opened is None or closed is None or report is None:
        return None
    if opened.server is None or closed.server is None:
        return None
    server_s = (closed.server.cpu_ns - opened.server.cpu_ns) / 1e9 if result.server_here else 0.0
    ours = server_s + report.cpu_s + closed.harness_cpu_s - opened.harness_cpu_s
    ours += process_cpu_s(opened.upstream, closed.upstream) or 0.0
    if opened.stores is not None and closed.stores is not None:
        before, after = opened.stores, closed.stores  # what the server uses is not a neighbour
        ours += used(before.database_s, after.database_s) or 0.0
        ours += used(before.redis_s, after.redis_s) or 0.0
    return others_cpu(opened.machine, closed.machine, ours, report.measured_s)


def _histogram_rows(run_id: str, load: Load, load_report: LoadReport[Buckets]) -> Iterator[Row]:
    measured, warmup = load_report.measured.times, load_report.warmup.times
    quantities = {quantity: getattr(measured, quantity) for quantity in QUANTITIES}
    quantities["warmup_service_time"] = warmup.service_time
    if measured.response_time is None:
        quantities["response_time"] = measured.service_time
    for quantity, buckets in quantities.items():
        yield from probe_rows.bucket_rows(run_id, load.name, quantity, _histogram(buckets))


def _failure_rows(result: RunResult, load: Load, load_report: LoadReport[Buckets]) -> Iterator[Row]:
    for failure in load_report.measured.failures:
        yield {"run_id": result.planned.run_id, "load": load.name, **asdict(failure)}
    wrong = result.accounted
    if wrong is not None and wrong.load == load.name and wrong.count:
        yield FAILURES.row_of(
            wrong, run_id=result.planned.run_id, load=load.name, example=wrong.detail
        )


def _histogram(buckets: Buckets | None) -> Histogram:
    return from_pairs(buckets or ())


def _as_float(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _joined(codes: tuple[Code, ...]) -> str | None:
    return WARNING_SEPARATOR.join(dict.fromkeys(codes)) or None
