"""The probe's parts by themselves: rounding, the collector, loops and selectors of any kind."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import pytest
import uvloop
from hdrh.histogram import HdrHistogram

from loopbench.servers.probe.durations import rounded_us
from loopbench.servers.probe.event_loop import LoopWatch
from loopbench.servers.probe.executor import ExecutorReading, ExecutorWatch
from loopbench.servers.probe.garbage_collector import CollectorWatch
from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.selector import watched_selector
from loopbench.servers.probe.stalls import watcher
from loopbench.servers.probe.stalls.loop_clock import LibuvClock
from loopbench.servers.probe.stalls.stall import Stall
from loopbench.servers.probe.stalls.watcher import StallWatcher
from loopbench.servers.probe.tasks import TaskWatch
from tests.servers.probe.probes import known, nothing, watched_loop
from tests.servers.processes import BOUND_S, eventually, needs_proc, turns_of

# Rounding, the collector, the executor.


def test_rounding_is_that_of_the_histograms() -> None:
    """The lower edge of the value's bucket in an HdrHistogram of three significant digits, from
    1 us to an hour."""
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    edges = [(1 << bit) + step for bit in range(1, 32) for step in (-1, 0, 1)]
    chosen = random.Random(7).choices(range(1, 3_600_000_000), k=5_000)
    near = random.Random(8).choices(range(1, 300_000), k=5_000)
    for us in (*edges, *chosen, *near):
        assert rounded_us(us * 1000 + 999) == histogram.get_lowest_equivalent_value(us)
    assert rounded_us(999) == 0


def test_a_forced_collection_is_one_pause() -> None:
    """Garbage of a known size, collected once: one pause of its generation, no longer than the
    call took; and none before it or after the watch has ended."""
    watch = CollectorWatch()
    gc.collect()
    gc.disable()
    try:
        with watch.attached():
            for _ in range(20_000):
                ring: list[object] = []
                ring.append(ring)
            assert watch.read() == ()
            begun = time.perf_counter_ns()
            assert gc.collect(2) >= 19_999  # all but the one that is still named
            took = time.perf_counter_ns() - begun
            seen = watch.read()
        gc.collect(2)
    finally:
        gc.enable()
    assert watch.read() == seen
    (pauses,) = seen
    assert (pauses.generation, pauses.pauses) == (2, 1)
    assert 0 < pauses.pause_max_ns == pauses.pause_total_ns <= took
    watch.reset()
    assert watch.read() == ()


def test_pauses_add_up_by_generation() -> None:
    """Three collections of two generations: counts, sums and the longest of each."""
    watch = CollectorWatch()
    gc.disable()
    try:
        with watch.attached():
            for generation in (0, 2, 0):
                gc.collect(generation)
    finally:
        gc.enable()
    seen = watch.read()
    assert {one.generation: one.pauses for one in seen} == {0: 2, 2: 1}
    youngest = seen[0]
    assert youngest.pause_max_ns <= youngest.pause_total_ns <= 2 * youngest.pause_max_ns


def test_an_executor_that_is_not_there_has_no_figures() -> None:
    """None for what nobody has looked at."""
    watch = ExecutorWatch()
    assert watch.queued is None
    assert watch.read() == ExecutorReading(None, None, (), ())


# Loops.


@needs_proc
def test_the_watcher_of_a_loop_that_rests_sleeps() -> None:
    """Also where the probe comes to rest while the watcher looks at a stall; afterwards it looks
    again."""
    told: list[Stall] = []
    live = Probe(beat_s=0.01, stall_s=0.005, on_stall=told.append)
    with watched_loop(live) as runner:
        (watcher,) = (one for one in threading.enumerate() if one.name == "probe-stalls")

        async def stalled(then: Callable[[], object]) -> None:
            await asyncio.sleep(0.05)
            time.sleep(0.06)
            then()
            await asyncio.sleep(0.01)  # back in the selector, which ends the stretch

        async def until_told() -> bool:
            await stalled(nothing)
            deadline = time.monotonic() + BOUND_S
            while not (found := any(one.duration_ns >= 60_000_000 for one in told)):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.01)
            return found

        runner.run(stalled(live.pause))
        at_rest = eventually(lambda: asleep(watcher))
        live.resume()
        told.clear()
        assert runner.run(until_told())
    assert at_rest


@needs_proc
def test_stalls_beyond_those_that_are_kept_are_told_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a server which stalls all day keeps no list of it."""
    monkeypatch.setattr(watcher, "MOST_STALLS", 2)
    told: list[Stall] = []
    live = Probe(beat_s=0.01, stall_s=0.005, on_stall=told.append)

    async def stall_until(count: int) -> None:
        while len(told) < count:
            time.sleep(0.03)
            await asyncio.sleep(0.02)
        live.pause()  # what the end of the loop takes is no stall

    with watched_loop(live) as runner:
        runner.run(stall_until(5))
        reading = live.observe().stalls
    assert len(reading.stalls) == 2
    assert len(reading.stalls) + reading.beyond == len(told)


def asleep(thread: threading.Thread) -> bool:
    """Whether it has not run for a time in which a watcher that watches would run."""
    before = turns_of(thread)
    time.sleep(0.2)
    return turns_of(thread) == before


@dataclass(frozen=True)
class Used:
    """A reading of a loop's thread."""

    at_ns: int
    used_ns: int


@pytest.mark.parametrize(
    ("call", "before", "now", "away"),
    [
        ("epoll_wait", Used(0, 0), Used(100, 2), False),
        ("clock_nanosleep", Used(0, 0), Used(100, 2), True),
        ("running", Used(0, 0), Used(100, 2), None),  # woken just now, after a wait of 90
        ("running", Used(0, 0), Used(100, 95), True),
        ("running", Used(0, 10), Used(100, 20), None),  # it may all have been before it waited
        ("running", Used(50, 45), Used(60, 54), True),
    ],
)
def test_a_libuv_loop_is_away_only_where_its_thread_has_run(
    call: str, before: Used, now: Used, away: bool | None
) -> None:
    """At 10 it came back from the kernel last, for all that libuv notes."""
    clock = LibuvClock(ctypes.c_uint64(0))
    assert clock.certain(10, call, before, now) is away


def test_a_selector_s_wait_and_stretch() -> None:
    """Waiting is idle, work is a stretch, a call that must not wait is neither; a wait that spans
    a reset counts from it, and one that still lasts counts so far."""
    overdue: list[tuple[float, float]] = []
    watch = watched_selector(0.015, lambda *stretch: overdue.append(stretch))
    with watch.selector as selector:
        begun = time.perf_counter()
        watch.reset()
        selector.select(0.03)
        time.sleep(0.02)
        selector.select(0)
        idle, longest = watch.read()
        assert idle >= 0.03
        assert 0.02 <= longest <= time.perf_counter() - begun - 0.03
        assert 0.02 <= overdue[-1][1] - overdue[-1][0] <= longest
        assert watch.away_since() == overdue[-1][1]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            selector.register(theirs, selectors.EVENT_READ)
            thread = threading.Thread(target=selector.select, args=(BOUND_S,))
            thread.start()
            assert eventually(lambda: watch.away_since() is None)
            time.sleep(0.1)
            before_reset = time.perf_counter()
            watch.reset()
            time.sleep(0.05)
            assert watch.away_since() is None
            so_far, _ = watch.read()
            assert 0.05 <= so_far <= time.perf_counter() - before_reset
            ours.send(b"x")
            thread.join()
            idle, longest = watch.read()
            assert so_far < idle <= time.perf_counter() - before_reset


class Waiter:
    """All of a selector that a loop without descriptors needs."""

    def select(self, timeout: float) -> list[Any]:
        time.sleep(timeout)
        return []


class LoopWithoutSelector(asyncio.BaseEventLoop):
    """A loop that shows no selector to those who look at it from outside."""

    def _process_events(self, event_list: list[Any]) -> None:
        assert event_list == []

    def _run_once(self) -> None:
        vars(self)["_selector"] = Waiter()
        getattr(super(), "_run_once")()
        del vars(self)["_selector"]


def test_of_a_stretch_that_began_at_rest_the_rest_counts() -> None:
    """Also where the loop has not come back to its selector when the probe goes on."""
    watch = watched_selector(60.0, lambda began, ended: None)
    with watch.selector as selector:
        watch.rest(True)
        selector.select(0)
        time.sleep(0.05)
        begun = time.perf_counter()
        watch.rest(False)
        selector.select(0)
        assert 0 < watch.read()[1] <= time.perf_counter() - begun


def test_a_loop_without_a_selector_has_blanks() -> None:
    """Its delays are seen; utilisation and longest stretch are unknown, and never zero."""
    loop = LoopWithoutSelector()
    watch = LoopWatch(0.005, nothing, StallWatcher(5_000_000, (), lambda route: 0))
    try:
        with watch.attached(loop):
            loop.call_later(0.1, loop.stop)
            loop.run_forever()
            seen = watch.read()
    finally:
        loop.close()
    assert seen.idle_ns is None
    assert seen.longest_stretch_ns is None
    assert str(seen.loop_class).endswith(".LoopWithoutSelector")
    assert sum(count for _, count in seen.delay_us) >= 10
    assert seen.wall_ns > 0


def test_tasks_alive_are_counted(live: Probe) -> None:
    """Forty tasks and the one that waits for them; until the first look after a reset nobody knows,
    which is not none."""

    async def main() -> None:
        seen = asyncio.Event()
        tasks = [asyncio.create_task(seen.wait()) for _ in range(40)]
        async with asyncio.timeout(BOUND_S):
            while live.observe().loop.tasks_max in {None, 1}:  # tasks are looked at now and then
                await asyncio.sleep(0.01)
        most = live.observe().loop.tasks_max
        live.reset(instants=True)
        assert (most, live.observe().loop.tasks_max) == (41, None)
        seen.set()
        await asyncio.gather(*tasks)

    with watched_loop(live) as runner:
        runner.run(main())


def test_tasks_are_counted_and_an_exception_that_nobody_read(live: Probe) -> None:
    """Those created between the first look and the last, how old the one is that lasts, and the
    one that failed alone."""

    async def fail() -> None:
        raise LookupError

    def created() -> int | None:
        return live.observe().loop.tasks_created

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        while created() is None:
            await asyncio.sleep(0.01)
        for _ in range(30):
            await asyncio.create_task(asyncio.sleep(0))
        failing = asyncio.create_task(fail())
        lasting = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        del failing
        while (created() or 0) < 32:
            await asyncio.sleep(0.01)
        loop = live.observe().loop
        assert (loop.tasks_created, loop.task_exceptions_unread) == (32, 1)
        assert loop.task_oldest_ns is not None
        lasting.cancel()

    with watched_loop(live) as runner:
        runner.run(main())


def test_what_was_created_is_known_from_the_second_look_on() -> None:
    """The first one, or that as a pause ends, only says where the second is to count from: nobody
    knows by then, which is not none."""
    watch, counts = TaskWatch(), []

    async def main() -> None:
        for look in (watch.reset, watch.skip, watch.reset, partial(watch.look, set())):
            look()
            counts.append(watch.figures()["tasks_created"])
            await asyncio.create_task(asyncio.sleep(0))
        watch.look(set())
        counts.append(watch.figures()["tasks_created"])

    with asyncio.Runner() as runner, watch.attached(runner.get_loop()):
        runner.run(main())
    assert counts == [None, None, None, None, 1]


def test_a_delay_counts_every_point_of_the_schedule(live: Probe) -> None:
    """A loop that is away for 100 ms is late for about ten points, the first by the most; of a
    block that a reset falls into, only those after it count."""

    async def main() -> None:
        await asyncio.sleep(0.05)
        begun = time.perf_counter()
        live.reset(instants=True)
        time.sleep(0.1)
        await asyncio.sleep(0.001)
        delays = dict(live.observe().loop.delay_us)
        away_ms = (time.perf_counter() - begun) * 1000
        assert 9 <= sum(delays.values()) <= away_ms / 10 + 1
        assert 90_000 <= max(delays) <= away_ms * 1000

        time.sleep(0.1)
        reset_at = time.perf_counter()
        live.reset(instants=True)
        time.sleep(0.05)
        await asyncio.sleep(0.001)
        delays = dict(live.observe().loop.delay_us)
        assert 40_000 <= max(delays) <= (time.perf_counter() - reset_at) * 1e6

    with watched_loop(live) as runner:
        runner.run(main())


@needs_proc
def test_of_a_stall_that_a_reset_falls_into_the_rest_is_busy(live: Probe) -> None:
    """Of a loop whose utilisation is read from its thread: it cannot have been busy for longer than
    it has been watched, nor where it sleeps all of the stall."""

    async def main() -> None:
        await asyncio.sleep(0.05)
        resetting = threading.Timer(0.4, live.reset, kwargs={"instants": True})
        resetting.start()
        time.sleep(0.5)
        resetting.join()
        await asyncio.sleep(0.1)
        assert 0 < known(live._stalls.busy_ns()) <= live.observe().loop.wall_ns

    on_uvloop(live, main)


@needs_proc
def test_a_stall_is_told_once_whoever_asks_before_the_watcher_has_seen_its_end(live: Probe) -> None:
    """Its late timer tells of it, and then the stretch that the watcher has followed."""

    async def main() -> None:
        for after_s in (0.022, 0.026, 0.03, 0.034, 0.038, 0.042):
            live.reset(instants=True)
            await asyncio.sleep(0.05)
            time.sleep(0.2)
            await asyncio.sleep(after_s)
            live.observe()
            await asyncio.sleep(0.1)
            stalls = live.observe().stalls.stalls
            assert any(one.duration_ms > 150 for one in stalls)
            for one, other in combinations(stalls, 2):
                apart_ms = 1e3 * abs(one.started_s - other.started_s)
                assert apart_ms > min(one.duration_ms, other.duration_ms) / 2, stalls

    on_uvloop(live, main)


def on_uvloop(live: Probe, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it on a loop that `live` watches, and whose clock is not exact."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        with live.attached(runner.get_loop()):
            runner.run(main())
