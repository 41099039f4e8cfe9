"""A timeline of snapshots made by hand: each second's figures, worked out here a second time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from loopbench.loadtests.generator.recorder import Series, Timeline
from loopbench.loadtests.observe.observer import Edge, Observed
from loopbench.loadtests.rows.probe_rows import timeline_rows
from loopbench.results.schema import TIMELINE
from loopbench.servers.probe.readings import Moment
from tests.loadtests.rows.reports import stretch
from tests.loadtests.rows.snapshots import MONOTONIC_NS, RUN, SYNC, edge, glance, taken

# Two whole seconds and half a one.
STRETCHES = stretch(0.0, 1.0, 300), stretch(1.0, 2.0, 200, 7), stretch(2.0, 2.5, 50)
OPENED = edge(cpu_ns=3_000_000_000, monotonic_ns=MONOTONIC_NS)
FIRST = glance(at_s=1.0, cpu_s=3.5, idle_s=0.4, delay_us=((500, 99), (7000, 1)), queue=3, threads=6)
SECOND = glance(
    at_s=2.0, cpu_s=4.25, idle_s=0.4, delay_us=((500, 150), (900, 50), (7000, 1)), rss_bytes=77
)
LAST = glance(at_s=2.5, cpu_s=4.25, idle_s=0.9, delay_us=((500, 150), (900, 50), (7000, 51)))

ALL = FIRST, SECOND, LAST


def timeline(glances: list[Moment | None], opened: Edge | None = OPENED) -> list[dict[str, Any]]:
    report = taken(timeline=STRETCHES)
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
    glances = [replace(one, loop=replace(one.loop, idle_ns=None)) for one in ALL]
    assert [filled(row) for row in timeline([*glances])] == [SERVER_SIDE - {"loop_utilisation"}] * 3


def test_a_timeline_survives_its_flushes() -> None:
    """The answers of a stretch are all in its percentiles, also where the arrays were emptied in
    the middle of it, and after it."""
    series, line = Series(), Timeline()
    line.mark(0, 0, series)
    expected = []
    for second in range(1, 6):
        for moment in range(10):
            series.service_time.append(1000 * second + moment)
            if (second, moment) in {(2, 4), (2, 8), (4, 9)}:
                line.resolve(series)
                series.flush()
        line.mark(second * 1_000_000_000, 10 * second, series)
        # The nearest ranks of 1,000 s … 1,000 s + 9; from 2,048 us on a bucket is 2 us and wider.
        expected.append((1000 * second + 4, 1000 * second + 9))
    series.service_time.append(99_999)  # of the drain: in no stretch
    told = line.report(series)
    assert [(one.from_s, one.to_s) for one in told] == list(pairwise(map(float, range(6))))
    assert [one.completed for one in told] == [10] * 5
    for one, (median, last) in zip(told, expected, strict=True):
        assert one.response_time_p50_ms == pytest.approx(median / 1000, rel=0.001)
        assert one.response_time_p99_ms == pytest.approx(last / 1000, rel=0.001)
