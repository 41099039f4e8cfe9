"""Snapshots and reports made by hand, for the tests that work out figures from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loopbench.loadtests.messages.reports import (
    Buckets,
    Failure,
    PhaseReport,
    Report,
    Times,
)
from loopbench.loadtests.observe.observer import Edge
from loopbench.loadtests.scenarios.table import Closed, Idle, Load
from loopbench.servers.contract.cases import CASES
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.readings import Moment
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.merging import Pairs
from tests.loadtests.rows import reports

RUN = "01.aiohttp.made-up"
SYNC = Load("main", CASES["sync"], Closed(2))
IDLE = Load("idle", CASES["plain"], Idle(5))
START_NS = 1_700_000_000_000_000_000
MONOTONIC_NS = 50_000_000_000


def reading(**changes: Any) -> os_stats.Reading:
    """A reading of which only what a test works with is made up."""
    return replace(os_stats.read(), **changes)


def edge(**changes: Any) -> Edge:
    return Edge(reading(**changes), None, 0.0)


def phase(count: int, *failures: Failure, **sums: int) -> PhaseReport[Buckets]:
    times = Times(service_time=((10_000, count),) if count else ())
    return reports.phase(*failures, times=times, **sums)


def taken(count: int = 4, **changes: Any) -> Report:
    """The report; `changes` are of the load's."""
    measured = phase(count, service_sum_ns=40_000_000, sent_sum_ns=10_000_000)
    told = replace(reports.load_report(phase(3), measured), **changes)
    return reports.session_report({"main": told, "idle": told}, start_realtime_ns=START_NS)


def glance(
    *,
    at_s: float = 0.0,
    cpu_s: float = 0.0,
    idle_s: float | None = 0.0,
    delay_us: Pairs = (),
    queue: int | None = 0,
    threads: int = 5,
    rss_bytes: int = 0,
) -> Moment:
    loop = LoopReading(
        loop_class=None,
        wall_ns=int(at_s * 1e9) + 1,
        idle_ns=None if idle_s is None else int(idle_s * 1e9),
        longest_stretch_ns=None,
        tasks_max=None,
        beats=0,
        delay_us=delay_us,
    )
    process = reading(
        threads=threads,
        rss_bytes=rss_bytes,
        cpu_ns=int(cpu_s * 1e9),
        monotonic_ns=MONOTONIC_NS + int(at_s * 1e9),
    )
    return Moment(loop, queue, process)
