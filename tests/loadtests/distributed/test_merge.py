"""Reports of several workers add up to that of one, bucket for bucket."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest

from loopbench.loadtests.distributed import packed_histogram
from loopbench.loadtests.distributed.master.merge import Merged
from loopbench.loadtests.distributed.packed_report import pack_report
from loopbench.loadtests.generator.recorder import Series, Timeline
from loopbench.loadtests.messages.reports import LoadReport, Report
from loopbench.loadtests.rows.histogram import EXACT_BELOW_US, HIGHEST_US, Histogram, bounds
from tests.loadtests.rows.reports import session_report
from tests.servers.processes import ROOT

AGREED_NS = 1_000_000_000
OPEN_NS = 500_000_000


def test_every_bucket_has_a_place_of_its_own() -> None:
    """Numbered without a gap in the order of their values, up to one hour, and back."""
    uppers = [bounds(0)[1]]
    while uppers[-1] < HIGHEST_US:
        uppers.append(bounds(uppers[-1] + 1)[1])
    assert [packed_histogram.bucket_number(upper) for upper in uppers] == list(
        range(packed_histogram.LAST + 1)
    )
    assert [
        packed_histogram.bucket_upper(number) for number in range(packed_histogram.LAST + 1)
    ] == uppers


@pytest.mark.parametrize(
    "buckets",
    [{}, {0: 1}, {bounds(HIGHEST_US)[1]: 2}, {7: 2**40, EXACT_BELOW_US - 1: 1, 4095: 3}],
)
def test_a_packed_histogram_comes_out_as_it_went_in(buckets: dict[int, int]) -> None:
    """No bucket and no count is rounded."""
    packed = packed_histogram.pack(list(buckets.items()))
    assert packed_histogram.pairs_of(packed_histogram.unpack(packed)) == tuple(
        sorted(buckets.items())
    )


def test_lanes_do_not_run_over() -> None:
    """Counts above what 32 bits hold add up beside full neighbours."""
    one = packed_histogram.unpack(packed_histogram.pack([[4, 2**62], [5, 1], [6, 2**62]]))
    assert packed_histogram.pairs_of(one + one) == ((4, 2**63), (5, 2), (6, 2**63))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not packed",
        zlib.compress(b"\1\0"),
        zlib.compress(b"\0\0\0\0" + b"\0" * 7),
        zlib.compress(b"\xff\xff\xff\x7f" + b"\1" * 8),
    ],
)
def test_damaged_bytes_are_refused(data: bytes) -> None:
    """Nothing is added from bytes that are no histogram."""
    with pytest.raises(ValueError, match="not a packed histogram"):
        packed_histogram.unpack(data)


def report(values: list[tuple[int, bool]], began_ns: int = AGREED_NS) -> Report:
    """What a worker reports of some requests: service time in us, and whether it failed."""
    series, timeline = Series(), Timeline(whole=True)
    timeline.mark(0, 0, series)
    for number, (value, failed) in enumerate(values):
        if failed:
            series.fail("closed before the answer", value * 1000, f"after {value} us")
        else:
            series.service_time.append(value)
            series.sent_sum_ns += value * 10
            series.service_sum_ns += value * 1000
            series.gap_ns += 5
            series.gaps += 1
        if number == len(values) // 2:
            timeline.mark(10**9, series.answered, series)
    timeline.mark(2 * 10**9, series.answered, series)
    lag = Histogram()
    lag.record(value % 100 for value, _ in values)
    told = LoadReport(
        3, timeline.report(series), series.answered, Series().report(), series.report(), {}
    )
    return session_report(
        {"main": told},
        start_realtime_ns=began_ns,
        clock_step_ms=len(values) / 1000,
        generator_lag=lag.pairs(),
    )


def drawn(count: int) -> list[tuple[int, bool]]:
    source = random.Random(11)
    return [(int(source.lognormvariate(8, 2)), source.random() < 0.01) for _ in range(count)]


def merged(*reports: Report, offset_ns: int = 0) -> Report:
    sums = Merged(["main"], AGREED_NS)
    for number, one in enumerate(reports, start=1):
        sums.add(pack_report(one), f"{number} on host", offset_ns)
    return sums.report(0.0, None)


@pytest.mark.parametrize("workers", [1, 2, 4, 9])
def test_n_workers_give_the_counts_of_one(workers: int) -> None:
    """The same requests, dealt out: the same buckets, failures and sums, whoever served them."""
    values = drawn(9000)
    one = merged(report(values)).loads["main"]
    many = merged(*(report(values[n::workers]) for n in range(workers))).loads["main"]
    expected = Histogram()
    expected.record(value for value, failed in values if not failed)
    assert dict(many.measured.times.service_time or ()) == expected.buckets()
    assert many.measured.times == one.measured.times
    assert many.warmup == one.warmup
    assert many.completed == one.completed
    for name in ("gap_ns", "gaps", "sent_sum_ns", "service_sum_ns", "answers"):
        assert getattr(many.measured, name) == getattr(one.measured, name)
    (failure,), (same,) = one.measured.failures, many.measured.failures
    assert (same.reason, same.count) == (failure.reason, failure.count)
    assert same.example.endswith("(worker 1 on host)")


def test_seconds_merge_by_their_buckets() -> None:
    """The percentiles of a second are those of all workers' answers in it, not a mean of theirs."""
    quick, slow = report([(100, False)] * 98), report([(900, False)] * 4)
    (first, second) = merged(quick, slow).loads["main"].timeline
    assert first.completed + second.completed == 102
    assert (first.from_s, second.to_s) == (0.0, 2.0)
    assert {first.response_time_p50_ms, second.response_time_p50_ms} == {0.1}
    assert {first.response_time_p99_ms, second.response_time_p99_ms} == {0.9}


def test_instants_are_moved_to_the_agreed_start() -> None:
    """A worker that began 2 ms after the agreed start, by a clock that is 5 ms ahead."""
    late = report([(100, False), (300, False)], began_ns=AGREED_NS + 7_000_000)
    told = merged(late, offset_ns=5_000_000)
    assert told.start_realtime_ns == AGREED_NS
    assert told.loads["main"].measured.sent_sum_ns == 4000 + 2 * 2_000_000


def test_the_worst_of_the_clocks_counts() -> None:
    """One worker without kernel timestamps makes them all those of a user's clock; the largest
    step is the Run's."""
    ones = report([(1, False)] * 10), replace(report([(1, False)] * 30), clock="user")
    told = merged(*ones)
    assert (told.clock, told.clock_step_ms) == ("user", 0.03)
    assert merged(ones[0]).clock == "kernel"


def test_a_thousand_reports_through_locust_s_events() -> None:
    """All of their counts arrive, through Locust's own serialising and its master's handler."""
    command = [sys.executable, "-m", "tests.loadtests.distributed.simulate", "1000", "2000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert (seen["workers"], seen["requests"]) == (1000, 2_000_000)
    assert seen["equal"] is True
