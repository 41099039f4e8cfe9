"""Stalls that are seeded in real servers, and what the probe tells of each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.selfcheck.checks import stalls
from loopbench.results.schema import Cause
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.probe.readings import Observe, Pause, Reset, Resume
from loopbench.servers.probe.stalls.readings import StallRow
from loopbench.servers.probe.stalls.thread_times import ThreadTimes
from tests.servers.processes import eventually, needs_proc

pytestmark = needs_proc


@pytest.fixture(scope="module", params=["aiohttp", "hypercorn-uvloop"])
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server whose application stalls on request, on the CPU that a bench would give it."""
    with stalls.seeded_server(request.param, plan_cpus(allowed_cpus()).server) as one:
        yield one


NOT_LOOKED_AT = "not looked at: the watcher had used its share of the CPU"
REST_S = 2.0
"""How long the watcher is left alone then: its share grows meanwhile."""

BUSY_MS = 10.0
"""Where the server's threads waited longer for a CPU, one of them may have looked too late."""

MOST = 30
"""How often a stall is asked for."""


def mostly_told(server: ServerProcess, name: str, busy_ms: float = BUSY_MS) -> None:
    """Of five alike most are told right, with cause and line: the machine may spoil one now and
    then. How many of a hundred are right is what `selfcheck stalls` asks.

    What is told wrong while the server had to wait for a CPU is no evidence of how it tells, nor is
    one that says that the watcher did not look; it is asked for again.
    """
    right, wrong, waited = 0, list[StallRow | None](), list[float]()
    while right < 3:
        assert len(waited) < MOST, f"a busy machine: ms without a CPU at each asking: {waited}"
        before = queued_ms(server)
        answer = stalls.seed(server, name)
        waited.append(queued_ms(server) - before)
        if answer.cause and answer.line is not False:
            right += 1
        elif answer.reported is not None and NOT_LOOKED_AT in answer.reported.detail:
            time.sleep(REST_S)
        elif waited[-1] < busy_ms:
            wrong.append(answer.reported)
        assert len(wrong) < 3, wrong


def times(server: ServerProcess) -> list[ThreadTimes]:
    """Of each of the server's threads."""
    threads = Path(f"/proc/{server.pid}/task").glob("*/schedstat")
    return [ThreadTimes.of(file.read_bytes()) for file in threads]


def queued_ms(server: ServerProcess) -> float:
    """How long the server's threads were ready to run and had no CPU."""
    return sum(one.queued_ns for one in times(server)) / 1e6


@pytest.mark.parametrize("name", ["sleep", "receive", "look-up"])
def test_a_stall_that_waits_is_told_with_its_cause_and_its_line(
    server: ServerProcess, name: str
) -> None:
    """What waits takes no CPU, so that it is told alike on a busy machine."""
    mostly_told(server, name)


@pytest.mark.alone
@pytest.mark.parametrize("name", ["python", "regex", "dumps", "compress", "stop"])
def test_a_stall_of_any_other_kind_is_told_with_its_cause_and_its_line(
    server: ServerProcess, name: str
) -> None:
    """Who computes, and who was stopped, is told by when the watcher wakes."""
    mostly_told(server, name)


@pytest.mark.alone
def test_a_thread_that_holds_the_lock_is_told_with_its_line(server: ServerProcess) -> None:
    """It takes the CPU from the loop, too: that wait says nothing of the machine."""
    mostly_told(server, "thread", busy_ms=math.inf)


# What is no stall of the loop's.

FROM_OUTSIDE = {Cause.STOPPED, Cause.STOLEN, Cause.QUOTA}
"""Of these the threads' own figures know nothing."""

HALF_A_BEAT_MS, TIMER_MS = 5, 1
"""How far the begin of a stall may lie before what made it so; and how late an idle loop is."""


def used_ms(server: ServerProcess) -> float:
    """How long the server's threads were on a CPU or waited for one: the loop's, and those that may
    have held the interpreter's lock meanwhile."""
    return sum(one.used_ns for one in times(server)) / 1e6


def told(server: ServerProcess) -> tuple[StallRow, ...]:
    """All since the reset."""
    reading = server.ask(Observe(), 10.0).stalls
    assert reading.unwatched is None
    return reading.stalls


def test_a_loop_with_little_to_do_has_no_stall_that_the_kernel_does_not_confirm(
    server: ServerProcess,
) -> None:
    """Idle, and under a light load: what is told is no longer than what the kernel says that
    threads computed or waited for a CPU, but for the time by which a timer is late."""
    stalls.ask(server, "/prepare/sleep")
    server.ask(Reset(instants=True))
    before = used_ms(server)
    time.sleep(0.3)
    for _ in range(20):
        stalls.ask(server, "/prepare/sleep")
    time.sleep(0.1)
    rows = [row for row in told(server) if row.cause not in FROM_OUTSIDE]
    lasted = sum(row.duration_ms for row in rows)
    assert lasted <= used_ms(server) - before + (HALF_A_BEAT_MS + TIMER_MS) * len(rows), rows


def reset_instant(server: ServerProcess) -> tuple[float, float]:
    """When the server began to count, at the earliest and at the latest, some milliseconds apart:
    not before an answer's asking less its age, nor after its coming less that. On a busy machine
    some answers are late, and others were asked for too early; together they say it."""
    bounds: list[tuple[float, float]] = []

    def known() -> bool:
        asked_at = time.perf_counter()
        seconds = server.ask(Observe(), 10.0).seconds
        bounds.append((asked_at - seconds, time.perf_counter() - seconds))
        earliest, latest = within()
        return latest - earliest < BUSY_MS / 1e3

    def within() -> tuple[float, float]:
        return max(early for early, _ in bounds), min(late for _, late in bounds)

    assert eventually(known), bounds
    return within()


def test_a_parked_server_has_no_stalls(server: ServerProcess) -> None:
    """What holds the loop while the probe rests is not told, and what does before and after is."""

    def hold() -> Callable[[], list[StallRow]]:
        """Hold the loop; what is told of it. A stall that it shares less than its half with was
        another one: that before it ends just then, and when counting began is not known exactly."""
        truth = stalls.ask(server, "/hold/sleep")
        began, ended = (float(truth[key]) / 1e9 - latest for key in ("began_ns", "ended_ns"))

        def shared_s(row: StallRow) -> float:
            return min(row.started_s + row.duration_ms / 1e3, ended) - max(row.started_s, began)

        return lambda: [row for row in told(server) if shared_s(row) > (ended - began) / 2]

    stalls.ask(server, "/prepare/sleep")
    time.sleep(0.1)  # a stall that may have begun before the reset is not told
    server.ask(Reset(instants=True))
    earliest, latest = reset_instant(server)
    time.sleep(0.05)
    watched = hold()
    assert eventually(lambda: bool(watched()))
    server.ask(Pause())
    paused_at = time.perf_counter() - earliest
    parked = hold()
    time.sleep(0.1)
    resumed_at = time.perf_counter() - latest
    server.ask(Resume())
    time.sleep(0.05)
    again = hold()
    assert eventually(lambda: bool(again()))
    assert parked() == []
    assert not any(paused_at < row.started_s < resumed_at for row in told(server))
