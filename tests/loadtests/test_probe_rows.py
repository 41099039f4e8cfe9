"""Figures from probe snapshots made by hand: each one worked out here a second time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from loadtests.observing import Edge, Observed
from loadtests.probe_rows import (
    histogram_rows,
    load_figures,
    observation_rows,
    server_wide,
    taken_apart,
    thread_rows,
    timeline_rows,
)
from loadtests.recording import Series, Timeline
from loadtests.scenarios import Closed, Idle, Load
from loadtests.store_cpu import CpuReading
from results.schema import OBSERVATIONS, RUNS, THREADS, TIMELINE
from servers import machine
from servers.contract import CASES

RUN = "01.aiohttp.made-up"
LOOP = "asyncio.unix_events._UnixSelectorEventLoop"
SYNC = Load("main", CASES["sync"], Closed(2))
IDLE = Load("idle", CASES["plain"], Idle(5))


def reading(**changes: Any) -> machine.Reading:
    """A reading of which only what a test works with is made up."""
    return replace(machine.read(), **changes)


def edge(**changes: Any) -> Edge:
    return Edge(reading(**changes), None, 0.0)


def tally(thread: str, requests: list[list[int]], **changes: Any) -> dict[str, Any]:
    return {
        "thread": thread,
        "is_main_thread": False,
        "is_loop_thread": False,
        "alive": True,
        "loop_class": None,
        "loop_number": None,
        "requests": sum(count for _, count in requests),
        "handler_us": requests,
        **changes,
    }


ON_LOOP = {
    "is_main_thread": True,
    "is_loop_thread": True,
    "loop_class": LOOP,
    "loop_number": 1,
}

PROBE: dict[str, Any] = {
    "pid": 4711,
    "seconds": 2.0,
    "failure": None,
    "loop": {
        "class": LOOP,
        "wall_ns": 2_000_000_000,
        "idle_ns": 500_000_000,
        "longest_stretch_ns": 12_345_678,
        "most_tasks": 33,
        "beats": 200,
        "delay_us": [[500, 150], [1000, 48], [8000, 2]],
    },
    "executor": {
        "threads": 4,
        "most_queued": 8,
        "wait_us": [[100, 50], [2000, 50]],
        "run_us": [[50_000, 100]],
    },
    "pool": {"sizes": {"loop": 8}, "most_waiting": 5, "wait_us": [[10, 99], [400, 1]]},
    "collector": {
        "0": [10, 4_000_000, 900_000],
        "1": [2, 3_000_000, 1_600_000],
        "2": [1, 7_500_000, 7_500_000],
    },
    "routes": {
        "sync": [
            tally("asyncio_0", [[300, 60]]),
            tally("asyncio_1", [[300, 20], [1500, 20]]),
        ],
        "plain": [tally("MainThread", [[40, 5]], **ON_LOOP)],
    },
    "threads": [
        {"name": "MainThread", "cpu_ns": 1_250_000_000, "waited_ns": 2_500_000},
        {"name": "asyncio_0", "cpu_ns": 30_000_000, "waited_ns": 0},
    ],
}


def with_probe(**changes: Any) -> Observed:
    return Observed(probe={**PROBE, **changes})


def test_the_probe_s_figures_of_the_whole_server() -> None:
    """Loop, executor and collector, each column from what was counted."""
    assert server_wide(with_probe()) == pytest.approx(
        {
            "loop_class": LOOP,
            "loop_delay_p50_ms": 0.5,
            "loop_delay_p99_ms": 1.0,  # 198 of 200
            "loop_delay_max_ms": 8.003,  # the upper edge of its bucket of 4 us
            "loop_utilisation": 0.75,
            "loop_longest_stretch_ms": 12.345678,
            "tasks_max": 33,
            "executor_wait_mean_ms": 1.05,
            "executor_wait_p50_ms": 0.1,
            "executor_wait_p99_ms": 2.0,
            "executor_wait_max_ms": 2.0,
            "executor_threads_max": 4,
            "executor_queue_max": 8,
            "pool_size": 8,
            "pool_most_waiting": 5,
            "pool_wait_p50_us": 10,
            "pool_wait_p99_us": 10,
            "gc_pauses": 13,
            "gc_pause_total_ms": 14.5,
            "gc_pause_max_ms": 7.5,
        }
    )


def test_what_a_loop_does_not_show_is_blank() -> None:
    """No selector, no beat, no call and no executor give blanks, and never a zero; no pause of
    the collector is a count, and so is a zero."""
    loop = {**PROBE["loop"], "idle_ns": None, "longest_stretch_ns": None, "delay_us": []}
    executor: dict[str, Any]
    executor = {"threads": None, "most_queued": None, "wait_us": [], "run_us": []}
    row = server_wide(with_probe(loop=loop, executor=executor, collector={}))
    blank = {name for name, value in row.items() if value is None}
    assert blank == {
        "loop_delay_p50_ms",
        "loop_delay_p99_ms",
        "loop_delay_max_ms",
        "loop_utilisation",
        "loop_longest_stretch_ms",
        "executor_wait_mean_ms",
        "executor_wait_p50_ms",
        "executor_wait_p99_ms",
        "executor_wait_max_ms",
        "executor_threads_max",
        "executor_queue_max",
    }
    assert (row["gc_pauses"], row["gc_pause_total_ms"], row["gc_pause_max_ms"]) == (0, 0, 0)


def test_figures_of_the_process() -> None:
    """Memory and descriptors at four instants, switches between two, and the most threads that
    any reading saw."""
    observed = Observed(
        before=reading(rss_bytes=100, descriptors=10),
        opened=edge(threads=5, voluntary_switches=1000, involuntary_switches=50),
        closed=edge(
            rss_bytes=300,
            descriptors=42,
            threads=6,
            voluntary_switches=1750,
            involuntary_switches=57,
        ),
        after=reading(rss_bytes=250, descriptors=11),
        glances=[glance(threads=9), None, glance(threads=7)],
    )
    assert server_wide(observed) == {
        "rss_start_bytes": 100,
        "descriptors_start": 10,
        "rss_end_bytes": 300,
        "descriptors_end": 42,
        "rss_after_bytes": 250,
        "descriptors_after": 11,
        "threads_max": 9,
        "voluntary_switches": 750,
        "involuntary_switches": 7,
    }


def test_nothing_read_gives_no_figures() -> None:
    """A server that could not be read has blanks in all of these columns, and no rows."""
    observed = Observed(opened=Edge(None, None, 0.0), closed=Edge(None, None, 0.0))
    report = taken(count=0)
    assert server_wide(observed) == {}
    assert load_figures(observed, report, SYNC) == {}
    assert list(observation_rows(RUN, observed)) == []
    assert list(thread_rows(RUN, observed)) == []
    assert list(histogram_rows(RUN, observed, (SYNC,))) == []


def test_one_edge_alone_gives_no_difference() -> None:
    """Without the reading at the opening there are no switches and no most threads."""
    observed = Observed(closed=edge(rss_bytes=300, descriptors=42))
    assert server_wide(observed) == {"rss_end_bytes": 300, "descriptors_end": 42}


def test_time_in_a_load_s_route() -> None:
    """All threads of the route together; a route that nobody asked has none."""
    row = load_figures(with_probe(), taken(count=0), SYNC)
    assert (row["handler_time_p50_ms"], row["handler_time_p99_ms"]) == (0.3, 1.5)
    row = load_figures(with_probe(routes={}), taken(count=0), SYNC)
    assert (row["handler_time_p50_ms"], row["handler_time_p99_ms"]) == (None, None)


def test_where_requests_ran() -> None:
    """A row a route and thread, and shares of each route's own requests."""
    rows = list(observation_rows(RUN, with_probe()))
    assert [(row["route"], row["thread"], row["requests"], row["share"]) for row in rows] == [
        ("sync", "asyncio_0", 60, 0.6),
        ("sync", "asyncio_1", 40, 0.4),
        ("plain", "MainThread", 5, 1.0),
    ]
    assert {**rows[2]} == {
        "run_id": RUN,
        "route": "plain",
        "pid": 4711,
        "thread": "MainThread",
        "requests": 5,
        "share": 1.0,
        **ON_LOOP,
    }
    assert (rows[0]["loop_class"], rows[0]["loop_number"]) == (None, None)
    assert all(row.keys() == set(OBSERVATIONS.names) for row in rows)


def test_threads_with_their_times() -> None:
    """A row a living thread, in milliseconds."""
    assert list(thread_rows(RUN, with_probe())) == [
        {"run_id": RUN, "pid": 4711, "thread": "MainThread", "cpu_ms": 1250.0, "run_queue_ms": 2.5},
        {"run_id": RUN, "pid": 4711, "thread": "asyncio_0", "cpu_ms": 30.0, "run_queue_ms": 0.0},
    ]
    assert {"run_id", "pid", "thread", "cpu_ms", "run_queue_ms"} == set(THREADS.names)


def test_the_probe_s_histograms() -> None:
    """Loop and executor under `all`, the handlers under their load; every count is there."""
    totals: dict[tuple[Any, Any], int] = {}
    uppers: dict[tuple[Any, Any], list[Any]] = {}
    for row in histogram_rows(RUN, with_probe(), (SYNC, IDLE)):
        key = row["load"], row["quantity"]
        totals[key] = totals.get(key, 0) + int(row["count"] or 0)
        uppers.setdefault(key, []).append(row["upper_us"])
    assert totals == {
        ("all", "loop_delay"): 200,
        ("all", "executor_wait"): 100,
        ("all", "executor_run"): 100,
        ("all", "pool_wait"): 100,
        ("main", "handler_time"): 100,
        ("idle", "handler_time"): 5,
    }
    assert uppers["all", "loop_delay"] == [500, 1000, 8003]
    assert uppers["main", "handler_time"] == [300, 1500]


# A request taken apart. Client: four answers, sent at 1, 2, 3 and 4 ms after the start, each
# after 10 ms. Server: handlers that began 2 ms after the send and took 5 ms.

START_NS = 1_700_000_000_000_000_000
ORIGIN_NS = START_NS + 9_000_000_000


def phase(count: int, failures: list[list[Any]] | None = None, **sums: int) -> dict[str, Any]:
    service = [[10_000, count]] if count else []
    told = {"service_sum_ns": 0, "sent_sum_ns": 0, **sums}
    return {"histograms": {"service": service}, "failures": failures or [], **told}


def taken(count: int = 4, **changes: Any) -> dict[str, Any]:
    """The report; `changes` are of the load's phases."""
    measured = phase(count, service_sum_ns=40_000_000, sent_sum_ns=10_000_000)
    told = {"warmup": phase(3), "measured": measured, "timeline": [], **changes}
    return {"start_realtime_ns": START_NS, "loads": {"main": told, "idle": told}}


def instants(**changes: Any) -> dict[str, Any]:
    """Sums over the four, each instant less the origin, which is 9 s after the start."""
    return {
        "handled": 7,
        "origin_ns": ORIGIN_NS,
        "began_ns": (1 + 2 + 3 + 4 + 4 * 2) * 1_000_000 - 4 * 9_000_000_000,
        "ended_ns": (1 + 2 + 3 + 4 + 4 * 7) * 1_000_000 - 4 * 9_000_000_000,
        **changes,
    }


def apart(report: dict[str, Any], **changes: Any) -> Any:
    return taken_apart(Observed(instants={"main": instants(**changes)}), report, SYNC)


def test_a_request_taken_apart() -> None:
    """2 ms to the handler, 5 ms inside, 3 ms back: together the service time of 10 ms."""
    parts = apart(taken())
    assert (parts.before_ms, parts.inside_ms, parts.after_ms) == pytest.approx((2.0, 5.0, 3.0))
    row = load_figures(Observed(instants={"main": instants()}), taken(), SYNC)
    assert row == pytest.approx(
        {"before_handler_mean_ms": 2.0, "in_handler_mean_ms": 5.0, "after_handler_mean_ms": 3.0}
    )
    assert set(row) <= set(RUNS.names)


@pytest.mark.parametrize(
    ("report", "changes"),
    [
        pytest.param(taken(), {"handled": 8}, id="the server handled one more"),
        pytest.param(taken(), {"handled": 6}, id="the server handled one less"),
        pytest.param(taken(), {"began_ns": None, "ended_ns": None}, id="no instants were kept"),
        pytest.param(taken(measured=phase(0)), {"handled": 3}, id="no request in the window"),
        pytest.param(
            taken(measured=phase(3, [["status 500", 1, "x"]])), {}, id="a failure in the window"
        ),
        pytest.param(
            taken(warmup=phase(2, [["status 500", 1, "x"]])), {}, id="a failure in the lead-in"
        ),
        pytest.param(taken(), {"origin_ns": ORIGIN_NS - 3_000_000}, id="the clock stepped back"),
        pytest.param(taken(), {"origin_ns": ORIGIN_NS + 4_000_000}, id="the clock stepped on"),
    ],
)
def test_where_the_two_sides_disagree_there_are_no_parts(
    report: dict[str, Any], changes: dict[str, Any]
) -> None:
    """Blanks, rather than parts of something else."""
    assert apart(report, **changes) is None
    observed = Observed(instants={"main": instants(**changes)})
    assert load_figures(observed, report, SYNC) == {}


def test_a_load_that_was_not_asked_about_has_no_parts() -> None:
    """Where the server did not answer there is nothing to take apart."""
    assert taken_apart(Observed(), taken(), SYNC) is None


# The timeline: two whole seconds and half a one.

MONOTONIC_NS = 50_000_000_000


def glance(
    *,
    at_s: float = 0.0,
    cpu_s: float = 0.0,
    idle_s: float | None = 0.0,
    delay_us: list[list[int]] | None = None,
    queue: int | None = 0,
    threads: int = 5,
    rss_bytes: int = 0,
) -> dict[str, Any]:
    return {
        "loop": {
            "wall_ns": int(at_s * 1e9) + 1,
            "idle_ns": None if idle_s is None else int(idle_s * 1e9),
            "delay_us": delay_us or [],
        },
        "executor_queue": queue,
        "process": {
            "threads": threads,
            "rss_bytes": rss_bytes,
            "cpu_ns": int(cpu_s * 1e9),
            "monotonic_ns": MONOTONIC_NS + int(at_s * 1e9),
        },
    }


def part(from_s: float, to_s: float, completed: int, failures: int = 0) -> dict[str, Any]:
    return {
        "from_s": from_s,
        "to_s": to_s,
        "completed": completed,
        "failures": failures,
        "response_time_p50_ms": 1.5,
        "response_time_p99_ms": 2.5,
    }


SLICES = [part(0.0, 1.0, 300), part(1.0, 2.0, 200, 7), part(2.0, 2.5, 50)]
OPENED = edge(cpu_ns=3_000_000_000, monotonic_ns=MONOTONIC_NS)
FIRST = glance(at_s=1.0, cpu_s=3.5, idle_s=0.4, delay_us=[[500, 99], [7000, 1]], queue=3, threads=6)
SECOND = glance(
    at_s=2.0, cpu_s=4.25, idle_s=0.4, delay_us=[[500, 150], [900, 50], [7000, 1]], rss_bytes=77
)
LAST = glance(at_s=2.5, cpu_s=4.25, idle_s=0.9, delay_us=[[500, 150], [900, 50], [7000, 51]])


def timeline(
    glances: list[dict[str, Any] | None], opened: Edge | None = OPENED
) -> list[dict[str, Any]]:
    report = taken(timeline=SLICES)
    observed = Observed(opened=opened, glances=glances)
    return [dict(row) for row in timeline_rows(RUN, observed, report, SYNC)]


def test_a_timeline_has_the_load_s_side() -> None:
    """A row a stretch, with rates over its own length."""
    rows = timeline([FIRST, SECOND, LAST])
    assert [
        (row["from_s"], row["to_s"], row["throughput_rps"], row["failures"]) for row in rows
    ] == [
        (0.0, 1.0, 300.0, 0),
        (1.0, 2.0, 200.0, 7),
        (2.0, 2.5, 100.0, 0),
    ]
    assert {(row["run_id"], row["load"]) for row in rows} == {(RUN, "main")}
    assert all(row.keys() == set(TIMELINE.names) for row in rows)
    assert {(row["response_time_p50_ms"], row["response_time_p99_ms"]) for row in rows} == {
        (1.5, 2.5)
    }


def test_a_timeline_has_the_differences_between_glances() -> None:
    """CPU, utilisation and delays are of the stretch alone; what is held is of its end."""
    rows = timeline([FIRST, SECOND, LAST])
    assert [row["server_cpu_utilisation"] for row in rows] == pytest.approx([0.5, 0.75, 0.0])
    assert [row["loop_utilisation"] for row in rows] == pytest.approx([0.6, 1.0, 0.0], abs=1e-6)
    # 99 of 100; then 51 of 500 us and 50 of 900 us; then 50 of 7,000 us, up to their bucket's end.
    assert [row["loop_delay_p99_ms"] for row in rows] == [0.5, 0.9, 7.003]
    assert [row["executor_queue"] for row in rows] == [3, 0, 0]
    assert [row["threads"] for row in rows] == [6, 5, 5]
    assert [row["rss_bytes"] for row in rows] == [0, 77, 0]


SERVER_SIDE = set(TIMELINE.names) - {
    "run_id",
    "load",
    "from_s",
    "to_s",
    "throughput_rps",
    "response_time_p50_ms",
    "response_time_p99_ms",
    "failures",
}
BETWEEN_GLANCES = {"server_cpu_utilisation", "loop_utilisation", "loop_delay_p99_ms"}


def filled(row: dict[str, Any]) -> set[str]:
    return {name for name in SERVER_SIDE if row.get(name) is not None}


def test_a_second_that_was_not_read_leaves_blanks() -> None:
    """Its own server side is blank, and so are the next one's differences, whose begin is not
    known; the load's side is there."""
    rows = timeline([FIRST, None, LAST])
    assert [filled(row) for row in rows] == [SERVER_SIDE, set(), SERVER_SIDE - BETWEEN_GLANCES]
    assert [row["throughput_rps"] for row in rows] == [300.0, 200.0, 100.0]


@pytest.mark.parametrize("glances", [[], [FIRST], [FIRST, SECOND, LAST, LAST]])
def test_glances_that_do_not_fit_the_marks_are_not_used(glances: list[Any]) -> None:
    """Another number of them: nobody knows which belongs to which second."""
    assert [filled(row) for row in timeline(glances)] == [set(), set(), set()]


def test_a_timeline_without_the_reading_at_the_opening() -> None:
    """Only the first second's CPU time has no begin."""
    rows = timeline([FIRST, SECOND, LAST], opened=None)
    assert [filled(row) for row in rows] == [
        SERVER_SIDE - {"server_cpu_utilisation"},
        SERVER_SIDE,
        SERVER_SIDE,
    ]


def test_a_timeline_of_a_loop_without_a_selector() -> None:
    """Utilisation is blank in each second."""
    glances = [{**one, "loop": {**one["loop"], "idle_ns": None}} for one in (FIRST, SECOND, LAST)]
    assert [filled(row) for row in timeline([*glances])] == [SERVER_SIDE - {"loop_utilisation"}] * 3


def test_a_timeline_survives_its_flushes() -> None:
    """The answers of a stretch are all in its percentiles, also where the arrays were emptied in
    the middle of it, and after it."""
    series, line = Series(), Timeline()
    line.mark(0, 0, series)
    expected = []
    for second in range(1, 6):
        for moment in range(10):
            series.service.append(1000 * second + moment)
            if (second, moment) in {(2, 4), (2, 8), (4, 9)}:
                line.resolve(series)
                series.flush()
        line.mark(second * 1_000_000_000, 10 * second, series)
        # The nearest ranks of 1,000 s … 1,000 s + 9; from 2,048 us on a bucket is 2 us and wider.
        expected.append((1000 * second + 4, 1000 * second + 9))
    series.service.append(99_999)  # of the drain: in no stretch
    told = line.to_json(series)
    assert [(one["from_s"], one["to_s"]) for one in told] == list(pairwise(map(float, range(6))))
    assert [one["completed"] for one in told] == [10] * 5
    for one, (median, last) in zip(told, expected, strict=True):
        assert one["response_time_p50_ms"] == pytest.approx(median / 1000, rel=0.001)
        assert one["response_time_p99_ms"] == pytest.approx(last / 1000, rel=0.001)


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(None, id="a tree from before"),
        pytest.param({"sizes": {}, "most_waiting": None, "wait_us": []}, id="never opened"),
        pytest.param({"sizes": {"loop": 8, "threads": 4}, "most_waiting": 0}, id="of two sizes"),
    ],
)
def test_a_pool_of_which_nothing_is_known_is_blank(pool: dict[str, Any] | None) -> None:
    """Never a zero for what was not read, nor one size for two."""
    probe = {name: value for name, value in PROBE.items() if name != "pool"}
    told = probe if pool is None else {**probe, "pool": {"wait_us": [], **pool}}
    row = server_wide(Observed(probe=told))
    assert row["pool_size"] is row["pool_wait_p50_us"] is row["pool_wait_p99_us"] is None


def test_store_cpu_is_what_was_used_in_the_window() -> None:
    """A difference over its own wall time; blank where one edge was not read."""

    def edge(seconds: float, database_s: float | None, redis_s: float | None) -> Edge:
        return Edge(None, None, 0.0, CpuReading(int(seconds * 1e9), database_s, redis_s))

    observed = Observed(opened=edge(10.0, 1.5, None), closed=edge(12.0, 4.5, 0.5))
    row = server_wide(observed)
    assert row == {
        "database_cpu_s": 3.0,
        "database_cpu_share": 1.5,
        "redis_cpu_s": None,
        "redis_cpu_share": None,
    }
