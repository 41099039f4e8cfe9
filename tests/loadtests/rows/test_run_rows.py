"""Rows from a report made by hand: every figure worked out here a second time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.messages.reports import (
    Buckets,
    Failure,
    Growth,
    LoadReport,
    PhaseReport,
    Report,
    SliceResult,
    Times,
)
from loopbench.loadtests.observe.machine_cpu import MachineReading
from loopbench.loadtests.observe.observer import Edge, Observed
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult, Slice
from loopbench.loadtests.rows.run_rows import RunRows, rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Open, Scenario
from loopbench.results.schema import FAILURES, HISTOGRAMS, RUNS, Code, TableWriter, read_table
from loopbench.servers.contract.cases import CASES
from loopbench.servers.lifecycle.process import Ended
from loopbench.servers.supervision import os_stats
from tests.loadtests.rows.reports import load_report, phase, session_report

PLANNED = PlannedRun("02.aiohttp.made-up", 2, 5, "aiohttp", "made-up")

# 4,000 right answers of 1,900 us on average, and one gap of 100 us in every cycle of a user.
SERVICE = ((1000, 1000), (2000, 2000), (2701, 1000))
MEAN_US = (1000 * 1000 + 2000 * 2000 + 2700.5 * 1000) / 4000
"""The last bucket holds 2,700 and 2,701; a mean takes its middle."""

FAILED = (
    Failure("ECONNRESET", 30, "after 1.000 ms"),
    Failure("no answer in time", 20, "after 9.000 ms"),
)


def times(**histograms: Buckets) -> Times[Buckets]:
    return Times(**histograms)


CLOSED_TOLD = load_report(
    phase(times=times(service_time=((900, 50),))),
    phase(times=times(service_time=SERVICE), gap_ns=3990 * 80_000, gaps=3990),
    users=4,
    completed=3990,
)
OPEN_TOLD = load_report(
    phase(times=times(service_time=((900, 7),), response_time=((901, 7),), send_lag=((10, 7),))),
    phase(
        *FAILED,
        times=times(
            service_time=((1500, 1950),),
            response_time=((1500, 1000), (2047, 950)),
            send_lag=((100, 1949), (1200, 1)),
            failure_time=((2001, 50),),
        ),
    ),
    users=64,
    completed=1980,
)
CLOSED = Load("main", CASES["async"], Closed(4))
OPEN = Load("beside", CASES["plain"], Open(1000.0, 64))


def report(**loads: LoadReport[Buckets]) -> Report:
    return session_report(loads)


def edge(seconds: float, cpu_s: float, busy_s: float, own_s: float) -> Edge:
    # Only what the rows are made of is made up; the rest is of this process.
    reading = replace(
        os_stats.read(),
        monotonic_ns=int(seconds * 1e9),
        cpu_ns=int(cpu_s * 1e9),
        rss_peak_bytes=int(50_000_000 + seconds),
    )
    return Edge(reading, MachineReading(busy_s, 1.0), own_s)


OPENED = edge(seconds=100.0, cpu_s=5.0, busy_s=1000.0, own_s=3.0)
CLOSED_EDGE = edge(seconds=102.5, cpu_s=7.0, busy_s=1003.125, own_s=3.0625)


def result(
    *loads: Load, opened: Edge | None = OPENED, closed: Edge | None = CLOSED_EDGE, **changes: Any
) -> RunResult:
    told = {"main": CLOSED_TOLD, "beside": OPEN_TOLD}
    whole = RunResult(
        planned=PLANNED,
        scenario=Scenario("made-up", "nothing", loads),
        started_at="2024-05-06T07:08:09.010+00:00",
        codes=(),
        start_ms=200.0,
        first_answer_ms=203.5,
        report=report(**{load.name: told[load.name] for load in loads}),
        observed=Observed(opened=opened, closed=closed),
        calibration_ms=4.5,
        ended=Ended(stop_ms=70.25, exit_code=0, killed=False),
    )
    return replace(whole, **changes)


def only_row(rows: RunRows) -> dict[str, Any]:
    (row,) = rows.runs
    return row


def with_told(base: LoadReport[Buckets], **changes: Any) -> Report:
    return report(main=replace(base, **changes))


def test_a_closed_loop_row_says_who_and_when() -> None:
    """Identity, lengths, start and stop are carried over as they were seen."""
    row = only_row(rows_of(result(CLOSED)))
    assert {
        "run_id": "02.aiohttp.made-up",
        "round": 2,
        "position": 5,
        "stack": "aiohttp",
        "scenario": "made-up",
        "load": "main",
        "started_at": "2024-05-06T07:08:09.010+00:00",
        "load_model": "closed",
        "users": 4,
        "arrival_rate_rps": None,
        "warmup_s": 0.6,
        "measured_s": 2.0,
        "clock": "kernel",
        "start_ms": 200.0,
        "first_answer_ms": 203.5,
        "stop_ms": 70.25,
        "exit_code": 0,
        "killed": False,
        "calibration_ms": 4.5,
        "warnings": None,
    }.items() <= row.items()


def test_a_closed_loop_row_counts_and_times() -> None:
    """Counts, rate, and service times; the response times of a closed loop are the same."""
    row = only_row(rows_of(result(CLOSED)))
    assert (row["requests"], row["failures"]) == (4000, 0)
    assert row["throughput_rps"] == pytest.approx(3990 / 2)
    times = {"mean": MEAN_US / 1000, "p50": 2.0, "p90": 2.701, "p99": 2.701, "p999": 2.701}
    for short, expected in {**times, "max": 2.701}.items():
        assert row[f"service_time_{short}_ms"] == pytest.approx(expected)
        assert row[f"response_time_{short}_ms"] == row[f"service_time_{short}_ms"]
    assert row["send_lag_p99_ms"] is None


def test_cpu_figures_are_taken_over_the_server_s_own_window() -> None:
    """The server's edges lie 2.5 s apart, the generator's 2 s: each rate uses its own."""
    row = only_row(rows_of(result(CLOSED)))
    assert row["server_cpu_utilisation"] == pytest.approx(2.0 / 2.5)
    assert row["cpu_us_per_request"] == pytest.approx((2.0 / 2.5) / (3990 / 2.0) * 1e6)
    assert row["rss_peak_bytes"] == 50_000_102
    assert row["generator_cpu_utilisation"] == pytest.approx(0.5)
    # 197 of 200 are 98.5 %.
    assert row["generator_lag_p99_ms"] == pytest.approx(0.8)


def test_an_open_loop_row_has_both_times_and_its_failures() -> None:
    """Requests are right answers and failures; response times are those told."""
    row = only_row(rows_of(result(OPEN)))
    assert (row["load_model"], row["users"], row["arrival_rate_rps"]) == ("open", 64, 1000.0)
    assert (row["requests"], row["failures"]) == (2000, 50)
    assert row["throughput_rps"] == pytest.approx(990.0)
    assert row["service_time_p99_ms"] == 1.5
    assert row["response_time_p50_ms"] == 1.5
    assert row["response_time_p90_ms"] == 2.047
    assert row["response_time_mean_ms"] == pytest.approx((1.5 * 1000 + 2.047 * 950) / 1950)
    assert row["send_lag_p99_ms"] == 0.1
    assert row["warnings"] == "failures"


def test_several_loads_have_a_row_each_and_share_the_server() -> None:
    """Counts and times are each load's own; CPU per request is of the requests of all."""
    rows = rows_of(result(CLOSED, OPEN))
    assert [row["load"] for row in rows.runs] == ["main", "beside"]
    assert [row["requests"] for row in rows.runs] == [4000, 2000]
    for row in rows.runs:
        assert row["cpu_us_per_request"] == pytest.approx((2.0 / 2.5) / (5970 / 2.0) * 1e6)
    assert {row["load"] for row in rows.failures} == {"beside"}


def test_histogram_rows_add_up_to_the_requests() -> None:
    """Each quantity's counts are those of the report, the lead-in and the failures labelled."""
    rows = rows_of(result(CLOSED, OPEN))
    totals: dict[tuple[str, str], int] = {}
    for row in rows.histograms:
        key = str(row["load"]), str(row["quantity"])
        totals[key] = totals.get(key, 0) + int(row["count"] or 0)
    assert totals == {
        ("main", "service_time"): 4000,
        ("main", "response_time"): 4000,
        ("main", "warmup_service_time"): 50,
        ("beside", "service_time"): 1950,
        ("beside", "response_time"): 1950,
        ("beside", "failure_time"): 50,
        ("beside", "send_lag"): 1950,
        ("beside", "warmup_service_time"): 7,
        ("all", "generator_lag"): 200,
    }
    for run in rows.runs:
        load, failures = str(run["load"]), int(run["failures"] or 0)
        assert totals[load, "service_time"] + failures == run["requests"]
        assert totals.get((load, "failure_time"), 0) == failures


def test_failure_rows_name_each_reason_once() -> None:
    """Reason, count and example, adding up to the row's failures."""
    rows = rows_of(result(OPEN))
    assert [(row["reason"], row["count"], row["example"]) for row in rows.failures] == [
        ("ECONNRESET", 30, "after 1.000 ms"),
        ("no answer in time", 20, "after 9.000 ms"),
    ]
    assert sum(int(row["count"] or 0) for row in rows.failures) == rows.runs[0]["failures"]


def test_every_row_fits_the_schema(tmp_path: Path) -> None:
    """What is written can be read back: no unknown column, no blank where none may be."""
    rows = rows_of(result(CLOSED, OPEN))
    for table, written in (
        (RUNS, rows.runs),
        (HISTOGRAMS, rows.histograms),
        (FAILURES, rows.failures),
    ):
        with TableWriter(tmp_path, table) as writer:
            writer.append(written)
        for read, row in zip(read_table(tmp_path, table), written, strict=True):
            rounded = {
                name: round(value, 6) if isinstance(value, float) else value
                for name, value in row.items()
            }
            assert read == {**dict.fromkeys(table.names), **rounded}


@pytest.mark.parametrize(
    ("service_us", "raised"), [(1920, None), (2220, "littles-law"), (1500, "littles-law")]
)
def test_littles_law_is_worked_out_from_mean_and_gap(service_us: int, raised: str | None) -> None:
    """Users = throughput x (mean service time + mean gap): 2,000 a second, a gap of 80 us, and
    1,920 us make four."""
    served = times(service_time=((service_us, 4000),))
    measured = phase(times=served, gap_ns=4000 * 80_000, gaps=4000)
    changed = with_told(CLOSED_TOLD, completed=4000, measured=measured)
    assert only_row(rows_of(result(CLOSED, report=changed)))["warnings"] == raised


def in_slices(*cycles_s: float | None) -> tuple[Slice, ...]:
    """Slices of 0.1 s, by how long their answers took together; a last one in which the probe
    watched, of which nothing holds."""
    nothing = SliceResult(
        target="aiohttp",
        started_s=0.0,
        lead_in_s=0.01,
        seconds=0.1,
        cycles_s=None,
        requests=100,
        failures=0,
        service_time_p50_ms=1.0,
        service_time_p99_ms=2.0,
        response_time_p50_ms=1.0,
        cpu_s=None,
        cpu_window_s=None,
        parked_cpu_s=None,
        parked_s=None,
        work_ms=None,
        short_work_us=None,
        stolen_share=None,
    )
    made = [Slice(n, 1, replace(nothing, cycles_s=one)) for n, one in enumerate(cycles_s, start=1)]
    return *made, Slice(9, 1, replace(nothing, cycles_s=99.0), watched=True)


@pytest.mark.parametrize(
    ("cycles_s", "raised"),
    [
        ((0.4, 0.4), None),
        ((0.4, None, 0.36), None),  # where not each user was answered, nothing is concluded
        ((0.36, 0.35), "littles-law"),
        ((0.44, 0.45), "littles-law"),
        ((None, None), None),
    ],
)
def test_of_slices_it_is_worked_out_of_the_answers_that_are_counted(
    cycles_s: tuple[float | None, ...], raised: str | None
) -> None:
    """Users = time of these answers and of the waits before them / time that they are counted over,
    whatever the mean of the requests that began in the windows is."""
    slow = times(service_time=((4000, 4000),))
    changed = with_told(CLOSED_TOLD, measured=phase(times=slow, gap_ns=4000 * 80_000, gaps=4000))
    row = only_row(rows_of(result(CLOSED, report=changed, slices=in_slices(*cycles_s))))
    assert row["warnings"] == raised


@pytest.mark.parametrize(("later", "raised"), [(0, None), (59, None), (61, "rate-missed")])
def test_a_rate_is_missed_where_requests_pile_up(
    tmp_path: Path, later: int, raised: str | None
) -> None:
    """By more than 5 % of the arrivals; not where many were only under way as the window closed."""
    both = ((1500, 2000),)
    served = times(service_time=both, response_time=both, send_lag=((1, 2000),))
    grown = Growth(10, later, 1000)
    told = replace(OPEN_TOLD, completed=1500, measured=phase(times=served), growth=grown)
    row = only_row(rows_of(result(OPEN, report=report(beside=told))))
    assert row["backlog_growth_share"] == pytest.approx((later - 10) / 1000)
    assert row["warnings"] == raised
    with TableWriter(tmp_path, RUNS) as writer:
        writer.append([row])
    (again,) = read_table(tmp_path, RUNS)  # below zero where the machine was slower before
    assert again["backlog_growth_share"] == pytest.approx((later - 10) / 1000)


def test_others_at_work_are_what_server_generator_and_harness_leave() -> None:
    """3.125 s of work, of which 2 s the server's, 1 s the generator's and 0.0625 s the
    harness's, leave 3 % of a CPU; half a second more leaves 28 %."""
    assert only_row(rows_of(result(CLOSED)))["warnings"] is None
    busy = replace(CLOSED_EDGE, machine=MachineReading(1003.625, 1.0))
    assert only_row(rows_of(result(CLOSED, closed=busy)))["warnings"] == "machine-busy"
    stolen = replace(CLOSED_EDGE, machine=MachineReading(1003.125, 1.5))
    assert only_row(rows_of(result(CLOSED, closed=stolen)))["warnings"] == "machine-busy"


SERVER_FIGURES = ("server_cpu_utilisation", "cpu_us_per_request", "rss_peak_bytes")


@pytest.mark.parametrize("missing", ["opened", "closed"])
def test_a_server_that_could_not_be_read_has_no_cpu_figures(missing: str) -> None:
    """Blank, not zero; what the generator saw stays."""
    changed = {missing: replace(OPENED, server=None)}
    row = only_row(rows_of(result(CLOSED, codes=(Code.SERVER_NOT_READABLE,), **changed)))
    assert [row.get(name) for name in SERVER_FIGURES] == [None, None, None]
    assert row["throughput_rps"] == pytest.approx(1995.0)
    assert row["warnings"] == "server-not-readable"


def test_no_proc_leaves_memory_and_others_blank() -> None:
    """Where the system does not say, nothing is concluded."""
    edges = {}
    for name, one in (("opened", OPENED), ("closed", CLOSED_EDGE)):
        assert one.server is not None
        edges[name] = Edge(replace(one.server, rss_peak_bytes=None), None, one.harness_cpu_s)
    row = only_row(rows_of(result(CLOSED, **edges)))
    assert row["rss_peak_bytes"] is None
    assert row["cpu_us_per_request"] is not None
    assert row["warnings"] is None


def test_a_load_without_a_right_answer_has_no_times() -> None:
    """All failed: the times and the CPU per request are blank, the counts are not."""
    told = with_told(
        CLOSED_TOLD, completed=0, measured=phase(*FAILED, times=times(failure_time=((2001, 50),)))
    )
    row = only_row(rows_of(result(CLOSED, report=told)))
    assert (row["requests"], row["failures"], row["throughput_rps"]) == (50, 50, 0.0)
    assert row["service_time_p50_ms"] is None
    assert row["response_time_max_ms"] is None
    assert row["cpu_us_per_request"] is None
    assert row["server_cpu_utilisation"] == pytest.approx(0.8)
    assert row["warnings"] == "failures;few-requests"


def test_a_run_that_did_not_come_to_a_load_is_a_row_without_figures() -> None:
    """It says which Run it was and why there is nothing."""
    row = only_row(
        rows_of(
            result(
                CLOSED,
                report=None,
                opened=None,
                closed=None,
                calibration_ms=None,
                ended=None,
                start_ms=None,
                first_answer_ms=None,
                codes=(Code.ONE_CPU, Code.SERVER_NOT_READY),
            )
        )
    )
    filled = {name for name, value in row.items() if value is not None}
    assert filled == {
        *("run_id", "round", "position", "stack", "scenario", "load", "processes"),
        *("started_at", "load_model", "users", "request_body_bytes", "warnings"),
        *("scenario_family", "load_role", "case", "dispatch", "yardstick"),
    }
    assert row["warnings"] == "one-cpu;server-not-ready"


@pytest.mark.parametrize(
    ("measured", "warnings"),
    [
        (phase(*FAILED, times=times(service_time=((1500, 10),))), "server-died;failures"),
        (phase(times=times(service_time=((1500, 10),))), "server-died"),
    ],
)
def test_a_server_that_died_leaves_counts_and_no_rate(
    measured: PhaseReport[Buckets], warnings: str
) -> None:
    """Its window was cut short: rates and CPU figures are blank, what was counted stays."""
    changed = with_told(CLOSED_TOLD, measured=measured)
    rows = rows_of(result(CLOSED, report=changed, codes=(Code.SERVER_DIED,)))
    row = only_row(rows)
    assert row["throughput_rps"] is None
    assert [row.get(name) for name in SERVER_FIGURES] == [None, None, None]
    failures = measured.failed
    assert (row["requests"], row["failures"]) == (10 + failures, failures)
    assert row["warnings"] == warnings


@pytest.mark.parametrize("code", [Code.SERVER_DIED, Code.WORKER_LOST])
def test_what_piled_up_in_a_part_of_a_window_is_not_said(code: Code) -> None:
    """Nothing was due after its end, or of one worker's share: that is no window of this load."""
    told = replace(OPEN_TOLD, growth=Growth(10, 0, 100))
    assert (
        only_row(rows_of(result(OPEN, report=report(beside=told))))["backlog_growth_share"] == -0.1
    )
    row = only_row(rows_of(result(OPEN, report=report(beside=told), codes=(code,))))
    assert row["backlog_growth_share"] is None


def test_a_warning_is_named_once() -> None:
    """A code that was found twice stands once, in the order of finding."""
    found = (Code.MACHINE_SPEED, Code.ONE_CPU, Code.MACHINE_SPEED)
    row = only_row(rows_of(result(CLOSED, codes=found)))
    assert row["warnings"] == "machine-speed;one-cpu"


def test_first_bytes_and_bodies_are_in_the_row() -> None:
    """The first bytes' times in us where the load has recorded them, else blank; the length of
    the answer's body where it does not vary."""
    measured = CLOSED_TOLD.measured
    first = replace(measured.times, first_byte=((500, 98), (1500, 2)))
    told = replace(CLOSED_TOLD, measured=replace(measured, times=first))
    load = Load("main", CASES["upload-1024"], Closed(4))
    row = only_row(rows_of(result(load, report=report(main=told))))
    assert (row["first_byte_p50_us"], row["first_byte_p99_us"]) == (500.0, 1500.0)
    assert (row["request_body_bytes"], row["answer_body_bytes"]) == (1024, 90)
    row = only_row(rows_of(result(CLOSED)))
    assert (row["first_byte_p50_us"], row["answer_body_bytes"]) == (None, None)


def test_an_upstreams_cpu_is_the_generators_and_nobody_elses() -> None:
    """It is in a column of its own, and counts towards the generator's CPU, which it shares, and
    not as something that runs beside. It is read over 2.5 s, half a second more than the window, as
    where a busy server is slow to answer at an edge: a rate is taken over its own window."""
    beside = [
        replace(os_stats.read(), monotonic_ns=int(at_s * 1e9), cpu_ns=int(cpu_s * 1e9))
        for at_s, cpu_s in ((100.0, 1.0), (102.5, 1.5))
    ]
    opened, closed = OPENED, replace(CLOSED_EDGE, machine=MachineReading(1003.625, 1.0))
    alone = only_row(rows_of(result(CLOSED, opened=opened, closed=closed)))
    assert Code.MACHINE_BUSY in str(alone["warnings"])
    opened, closed = (
        replace(edge, upstream=reading)
        for edge, reading in zip((opened, closed), beside, strict=True)
    )
    row = only_row(rows_of(result(CLOSED, opened=opened, closed=closed)))
    assert row["upstream_cpu_utilisation"] == 0.2
    assert row["warnings"] is None
    assert alone["upstream_cpu_utilisation"] is None
