"""Figures from probe snapshots made by hand: each one worked out here a second time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loopbench.loadtests.messages.reports import Failure, Report
from loopbench.loadtests.observe.observer import Edge, Observed
from loopbench.loadtests.observe.store_cpu import CpuReading
from loopbench.loadtests.rows.probe_rows import (
    histogram_rows,
    load_figures,
    observation_rows,
    server_wide,
    taken_apart,
    thread_rows,
)
from loopbench.results.schema import OBSERVATIONS, RUNS, THREADS
from loopbench.servers.probe.connection_pool import PoolReading
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.executor import ExecutorReading
from loopbench.servers.probe.garbage_collector import Pauses
from loopbench.servers.probe.readings import InstantSums, Observation, TallyReading
from loopbench.servers.probe.stalls.readings import StallsReading
from loopbench.servers.supervision.merging import Pairs
from loopbench.servers.supervision.os_stats import ThreadReading
from tests.loadtests.rows.snapshots import (
    IDLE,
    RUN,
    START_NS,
    SYNC,
    edge,
    glance,
    phase,
    reading,
    taken,
)

LOOP = "asyncio.unix_events._UnixSelectorEventLoop"


def tally(thread: str, handler_us: Pairs, **changes: Any) -> TallyReading:
    plain = TallyReading(
        pid=4711,
        thread=thread,
        is_main_thread=False,
        is_loop_thread=False,
        alive=True,
        loop_class=None,
        loop_number=None,
        requests=sum(count for _, count in handler_us),
        handler_us=handler_us,
    )
    return replace(plain, **changes)


ON_LOOP: dict[str, Any] = {
    "is_main_thread": True,
    "is_loop_thread": True,
    "loop_class": LOOP,
    "loop_number": 1,
}

PROBE = Observation(
    pid=4711,
    seconds=2.0,
    failure=None,
    loop=LoopReading(
        loop_class=LOOP,
        wall_ns=2_000_000_000,
        idle_ns=500_000_000,
        longest_stretch_ns=12_345_678,
        tasks_max=33,
        beats=200,
        delay_us=((500, 150), (1000, 48), (8000, 2)),
        idle_read_by="selector",
        tasks_created=900,
        task_oldest_ns=1_500_000_000,
        task_exceptions_unread=2,
        task_oldest_graph="Task-7 serve at shop.py:9 serve",
    ),
    executor=ExecutorReading(
        threads_max=4,
        queue_max=8,
        wait_us=((100, 50), (2000, 50)),
        run_us=((50_000, 100),),
    ),
    pool=PoolReading({"loop": 8}, 5, ((10, 99), (400, 1))),
    collector=(
        Pauses(0, 10, 4_000_000, 900_000),
        Pauses(1, 2, 3_000_000, 1_600_000),
        Pauses(2, 1, 7_500_000, 7_500_000),
    ),
    stalls=StallsReading(None, (), 0),
    routes={
        "sync": (
            tally("asyncio_0", ((300, 60),)),
            tally("asyncio_1", ((300, 20), (1500, 20))),
        ),
        "plain": (tally("MainThread", ((40, 5),), **ON_LOOP),),
    },
    threads=(
        ThreadReading(4711, "MainThread", 1_250_000_000, 2_500_000),
        ThreadReading(4711, "asyncio_0", 30_000_000, 0),
    ),
)


def with_probe(**changes: Any) -> Observed:
    return Observed(probe=replace(PROBE, **changes))


def test_the_probe_s_figures_of_the_whole_server() -> None:
    """Loop, executor and collector, each column from what was counted."""
    assert server_wide(with_probe()) == pytest.approx(
        {
            "loop_class": LOOP,
            "loop_delay_p50_ms": 0.5,
            "loop_delay_p99_ms": 1.0,  # 198 of 200
            "loop_delay_max_ms": 8.003,  # the upper edge of its bucket of 4 us
            "loop_utilisation": 0.75,
            "loop_utilisation_read_by": "selector",
            "loop_longest_stretch_ms": 12.345678,
            "tasks_max": 33,
            "tasks_created": 900,
            "task_oldest_ms": 1500.0,
            "task_oldest_graph": "Task-7 serve at shop.py:9 serve",
            "task_exceptions_unread": 2,
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
    loop = replace(
        PROBE.loop, idle_ns=None, idle_read_by=None, longest_stretch_ns=None, delay_us=()
    )
    executor = ExecutorReading(None, None, (), ())
    row = server_wide(with_probe(loop=loop, executor=executor, collector=()))
    blank = {name for name, value in row.items() if value is None}
    assert blank == {
        "loop_delay_p50_ms",
        "loop_delay_p99_ms",
        "loop_delay_max_ms",
        "loop_utilisation",
        "loop_utilisation_read_by",
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

ORIGIN_NS = START_NS + 9_000_000_000
WRONG = Failure("status 500", 1, "x")


def instants(**changes: Any) -> InstantSums:
    """Sums over the four, each instant less the origin, which is 9 s after the start."""
    four = InstantSums(
        handled=7,
        origin_ns=ORIGIN_NS,
        began_ns=(1 + 2 + 3 + 4 + 4 * 2) * 1_000_000 - 4 * 9_000_000_000,
        ended_ns=(1 + 2 + 3 + 4 + 4 * 7) * 1_000_000 - 4 * 9_000_000_000,
    )
    return replace(four, **changes)


def apart(report: Report, **changes: Any) -> Any:
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
            taken(measured=phase(3, Failure("status 500", 1, "x"))),
            {},
            id="a failure in the window",
        ),
        pytest.param(taken(warmup=phase(2, WRONG)), {}, id="a failure in the lead-in"),
        pytest.param(taken(), {"origin_ns": ORIGIN_NS - 3_000_000}, id="the clock stepped back"),
        pytest.param(taken(), {"origin_ns": ORIGIN_NS + 4_000_000}, id="the clock stepped on"),
    ],
)
def test_where_the_two_sides_disagree_there_are_no_parts(
    report: Report, changes: dict[str, Any]
) -> None:
    """Blanks, rather than parts of something else."""
    assert apart(report, **changes) is None
    observed = Observed(instants={"main": instants(**changes)})
    assert load_figures(observed, report, SYNC) == {}


def test_a_load_that_was_not_asked_about_has_no_parts() -> None:
    """Where the server did not answer there is nothing to take apart."""
    assert taken_apart(Observed(), taken(), SYNC) is None


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(PoolReading({}, None, ()), id="never opened"),
        pytest.param(PoolReading({"loop": 8, "threads": 4}, 0, ()), id="of two sizes"),
    ],
)
def test_a_pool_of_which_nothing_is_known_is_blank(pool: PoolReading) -> None:
    """Never a zero for what was not read, nor one size for two."""
    row = server_wide(with_probe(pool=pool))
    assert row["pool_size"] is row["pool_wait_p50_us"] is row["pool_wait_p99_us"] is None


def test_store_cpu_is_what_was_used_in_the_window() -> None:
    """A difference over its own wall time; blank where one edge was not read."""

    def edge(seconds: float, database_s: float | None, redis_s: float | None) -> Edge:
        stores = CpuReading(int(seconds * 1e9), database_s, redis_s)
        return Edge(None, None, 0.0, stores=stores)

    observed = Observed(opened=edge(10.0, 1.5, None), closed=edge(12.0, 4.5, 0.5))
    row = server_wide(observed)
    assert row == {
        "database_cpu_s": 3.0,
        "database_cpu_share": 1.5,
        "redis_cpu_s": None,
        "redis_cpu_share": None,
    }
