"""What a stall is told by: each cause from readings that are known; frames are only read."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response
from quart.asgi import ASGIHTTPConnection

from loopbench.results.schema import CAUSE_WORDS, Cause
from loopbench.servers.lifecycle import runner
from loopbench.servers.probe.garbage_collector import CollectorWatch
from loopbench.servers.probe.probe import Probe, watching
from loopbench.servers.probe.stalls import watcher
from loopbench.servers.probe.stalls.call_graph import task_name
from loopbench.servers.probe.stalls.causes import (
    CAUSES,
    Evidence,
    Sample,
    among_tasks,
    cause_of,
    decisive,
)
from loopbench.servers.probe.stalls.printing import StallPrinter
from loopbench.servers.probe.stalls.readings import StallRow
from loopbench.servers.probe.stalls.stack import Stack, read_stack
from loopbench.servers.probe.stalls.stall import Frame, Stall
from loopbench.servers.probe.stalls.thread_times import RUNNING, Position
from tests.servers.probe.probes import watched_loop

MS = 1_000_000


def look(
    held_ms: int = 0,
    call: str = RUNNING,
    line: int = 7,
    callback: tuple[int, int] | None = None,
    *,
    collecting: bool = False,
) -> Sample:
    """One look at a thread in `shop.py`."""
    frame = Frame("shop.py", line, "sell")
    stack = Stack((frame,), frame, (1, line), "/sell", False, callback, False, collecting)
    return Sample(0, held_ms * MS, Position(call), call, stack, "Task-1", None)


IDLE = Evidence(
    wall_ns=100 * MS,
    threshold_ns=5 * MS,
    cpu_ns=0,
    queued_ns=0,
    others_ns=0,
    lock_ns=0,
    held_cpu_ns=0,
    stopped_ns=0,
    stolen_ns=0,
    throttled=False,
    collector_ns=0,
    generation=None,
    holder=None,
    interval_ns=5 * MS,
    samples=(),
)
BUSY = replace(IDLE, cpu_ns=98 * MS)

TOLD = {
    "python": (replace(BUSY, samples=(look(5), look(6, line=8))), Cause.PYTHON),
    "held": (replace(BUSY, held_cpu_ns=80 * MS, samples=(look(80),)), Cause.C_CALL),
    "free": (replace(BUSY, samples=(look(), look())), Cause.C_CALL),
    "free, and back at the last look": (
        replace(BUSY, samples=(look(), look(), look(1), look(line=8))),
        Cause.C_CALL,
    ),
    "makes objects": (
        replace(BUSY, samples=(look(6, collecting=True), look(5, collecting=True), look(5))),
        Cause.C_CALL,
    ),
    "free, but looked at once": (replace(BUSY, samples=(look(),)), Cause.UNKNOWN),
    "free, and brief": (
        replace(IDLE, wall_ns=12 * MS, cpu_ns=11 * MS, samples=(look(),)),
        Cause.C_CALL,
    ),
    "moves": (replace(BUSY, samples=(look(), look(line=8))), Cause.PYTHON),
    "waited, and was back when its call was read": (
        replace(IDLE, cpu_ns=1 * MS, samples=(look(),)),
        Cause.BLOCKING_CALL,
    ),
    "waited, or was not let go on": (
        replace(IDLE, others_ns=60 * MS, samples=(look(),)),
        Cause.UNKNOWN,
    ),
    "waits": (replace(IDLE, samples=(look(call="recvfrom"),)), Cause.BLOCKING_CALL),
    "lock": (replace(IDLE, others_ns=95 * MS, lock_ns=90 * MS), Cause.INTERPRETER_LOCK),
    "collects": (replace(BUSY, collector_ns=90 * MS, generation=2), Cause.COLLECTOR),
    "many": (
        replace(BUSY, samples=(look(5, callback=(9, 64)), look(5, callback=(30, 64)))),
        Cause.MANY_CALLBACKS,
    ),
    "few, so that one is long": (
        replace(BUSY, samples=(look(5, callback=(4, 4)),)),
        Cause.PYTHON,
    ),
    "one of many": (
        replace(BUSY, samples=(look(5, callback=(9, 64)), look(5, callback=(9, 64)))),
        Cause.PYTHON,
    ),
    "queued": (replace(IDLE, queued_ns=96 * MS), Cause.NO_CPU),
    "busy machine": (
        replace(IDLE, cpu_ns=28 * MS, queued_ns=70 * MS, samples=(look(5), look(6, line=8))),
        Cause.PYTHON,
    ),
    "without a CPU while it had the lock": (
        replace(
            IDLE,
            cpu_ns=28 * MS,
            queued_ns=70 * MS,
            held_cpu_ns=5 * MS,
            samples=(look(60), look(6, line=8)),
        ),
        Cause.PYTHON,
    ),
    "held, and without a CPU": (
        replace(IDLE, cpu_ns=28 * MS, queued_ns=70 * MS, held_cpu_ns=25 * MS, samples=(look(95),)),
        Cause.C_CALL,
    ),
    "quota": (replace(BUSY, cpu_ns=20 * MS, queued_ns=80 * MS, throttled=True), Cause.QUOTA),
    "stopped": (replace(IDLE, stopped_ns=95 * MS), Cause.STOPPED),
    "stolen": (replace(IDLE, stolen_ns=90 * MS), Cause.STOLEN),
    "stolen, and nobody looked": (replace(IDLE, stolen_ns=90 * MS, skipped=True), Cause.UNKNOWN),
    "stolen while it ran": (
        replace(IDLE, stolen_ns=90 * MS, samples=(look(), look(), look(call="recvfrom"))),
        Cause.STOLEN,
    ),
    "stolen while it slept": (
        replace(IDLE, stolen_ns=90 * MS, samples=(look(call="recvfrom"), look(call="recvfrom"))),
        Cause.BLOCKING_CALL,
    ),
    "not looked at": (BUSY, Cause.UNKNOWN),
    "nothing": (IDLE, Cause.UNKNOWN),
}


@pytest.mark.parametrize(("evidence", "cause"), TOLD.values(), ids=list(TOLD))
def test_a_cause_follows_from_the_readings(evidence: Evidence, cause: Cause) -> None:
    """The first row of the table that the readings bear out."""
    found, detail = cause_of(evidence)
    assert found is cause
    assert detail


def test_each_cause_has_a_row_and_words() -> None:
    """None is told without either."""
    assert [row.cause for row in CAUSES] == list(dict.fromkeys(row.cause for row in CAUSES))
    assert {row.cause for row in CAUSES} == set(Cause) == set(CAUSE_WORDS)


def test_the_line_is_where_the_lock_was_given_up_or_where_most_looks_saw_it() -> None:
    """One long hold ends in the call that held it; other stalls are seen again and again."""
    held = replace(BUSY, held_cpu_ns=80 * MS, samples=(look(line=3), look(80, line=9)))
    assert decisive(held, Cause.C_CALL) == look(80, line=9)
    spread = replace(BUSY, samples=(look(5, line=3), look(6, line=8), look(5, line=8)))
    assert decisive(spread, Cause.PYTHON) == look(6, line=8)
    assert decisive(IDLE, Cause.UNKNOWN) is None


def test_a_line_that_was_seen_in_several_tasks_says_so() -> None:
    """Their sleeps make one stall, which is as long as all of them."""
    looks = [replace(look(call="recvfrom"), task=f"Task-{number}") for number in (1, 1, 2, 3)]
    other = replace(look(call="recvfrom", line=9), task="Task-4")
    several = replace(IDLE, samples=(*looks, other))
    assert among_tasks(several, Cause.BLOCKING_CALL) == "; in 3 tasks or more, one after another"
    assert among_tasks(several, Cause.NO_CPU) == ""
    assert among_tasks(replace(IDLE, samples=tuple(looks[:2])), Cause.BLOCKING_CALL) == ""


def test_reading_frames_runs_nobody_s_code() -> None:
    """A local that raises whatever is asked of it, as a proxy without its request does."""

    class Proxy:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError("outside of a request")

    request = scope = Proxy()
    seen = read_stack(sys._getframe())
    assert seen is not None
    assert seen.inner is not None
    assert seen.inner.file.endswith("stalls/test_causes.py")
    assert seen.inner.function.startswith("test_reading_frames")
    assert (seen.route, seen.own_route) == (None, False)
    assert request is scope


def seen_from(scope: object) -> Stack | None:
    """What is read where a frame has this scope."""
    assert scope
    return read_stack(sys._getframe())


def test_a_websocket_has_its_path_as_a_request_has() -> None:
    """By the scope of its connection."""
    for kind in ("http", "websocket"):
        seen = seen_from({"type": kind, "path": "/talk"})
        assert seen is not None
        assert seen.route == "/talk"


def test_what_quart_streams_has_the_path_of_its_request() -> None:
    """It runs in a task of its own, whose frames hold the connection and no request."""
    seen: list[Stack | None] = []

    async def streamed() -> AsyncIterator[bytes]:
        seen.append(read_stack(sys._getframe()))
        yield b"tea"

    async def answer() -> None:
        scope: Any = {"type": "http", "path": "/events", "headers": []}
        connection = ASGIHTTPConnection(Quart("shop"), scope)
        await connection._send_response(send, Response(streamed()))

    async def send(message: object) -> None:
        assert message

    asyncio.run(answer())
    (stack,) = seen
    assert stack is not None
    assert stack.route == "/events"


def test_what_runs_the_server_is_no_line_of_the_application_s() -> None:
    """Its frames are around every callback, and would be named where none of them has any."""
    path = Path(runner.__file__)
    told = {"read": lambda: read_stack(sys._getframe(1))}
    exec(compile("seen = read()", str(path), "exec"), told)
    seen: Any = told["seen"]
    assert seen.frames[0].file.endswith("lifecycle/runner.py")
    assert "lifecycle" not in seen.inner.file


def test_a_call_that_makes_objects_is_seen_within_the_collector_s_callback() -> None:
    """Where it loses the lock; its place is that of the call."""
    many = json.dumps([{"a": number} for number in range(50_000)])
    loading, found = threading.get_ident(), list[Stack]()
    enough = threading.Event()

    def looking() -> None:
        while not enough.is_set():
            stack = read_stack(sys._current_frames()[loading])
            if stack is not None and stack.collecting:
                found.append(stack)
                enough.set()

    thread = threading.Thread(target=looking)
    with CollectorWatch().attached():
        thread.start()
        deadline = time.monotonic() + 60
        while not enough.is_set() and time.monotonic() < deadline:
            json.loads(many)
        enough.set()
        thread.join()
    assert [stack.frames[0].function for stack in found] == ["JSONDecoder.raw_decode"]


def test_a_plain_handler_on_the_loop_has_the_name_of_its_route() -> None:
    """As the handlers of an application without coroutines have it."""
    with watching() as probe:
        seen = probe.watch("sell", lambda: read_stack(sys._getframe()))()
    assert seen is not None
    assert (seen.route, seen.own_route) == ("sell", True)


async def nothing() -> None:
    """A coroutine that is done at its first step."""


def test_a_task_that_is_done_before_it_is_looked_at_has_its_name() -> None:
    """As aiohttp's are from Python 3.12 on, which starts them eagerly: to ask such a task for its
    coroutine ends the process under 3.12.1."""
    eager: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

    async def named() -> str:
        task = asyncio.Task(nothing(), loop=asyncio.get_running_loop(), name="begun", **eager)
        await task
        return task_name(task)

    assert asyncio.run(named()) == ("begun" if eager else "begun nothing")


def test_stalls_of_other_programs_are_counted_at_a_terminal() -> None:
    """Those without a CPU in which no code was seen have one line a cause before the next, and at
    the end; of any other each has its own."""
    frame = Frame("shop.py", 7, "sell")
    placeless = Stall(0, 12 * MS, Cause.NO_CPU, "ready", None, None, None, None, ())
    printed: list[str] = []
    printer = StallPrinter(printed.append)
    for stall in (
        placeless,
        replace(placeless, duration_ns=8 * MS),
        replace(placeless, frame=frame, route="/sell"),
        replace(placeless, cause=Cause.UNKNOWN, detail="seen late"),
        placeless,
        replace(placeless, cause=Cause.STOLEN, duration_ns=9 * MS),
    ):
        printer(stall)
    printer.flush()
    printer.flush()
    assert printed == [
        "2 stalls of 20.0 ms in all, in which no code was seen: no-cpu, other programs run",
        "12.0 ms at shop.py:7 sell in /sell: no-cpu, ready",
        "12.0 ms: unknown, seen late",
        "1 stall of 12.0 ms in all, in which no code was seen: no-cpu, other programs run",
        "1 stall of 9.0 ms in all, in which no code was seen: stolen, the hypervisor had the CPU",
    ]


def test_a_loop_that_stalls_all_the_time_is_not_looked_at_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once the watcher has used its share of a CPU, it rests. Stalls are told, and say so."""
    monkeypatch.setattr(watcher, "_FREE_CPU_NS", 0)
    monkeypatch.setattr(watcher, "_WINDOW_CPU_NS", 0)

    told: list[StallRow] = []

    async def stalling() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            time.sleep(0.03)
            await asyncio.sleep(0.03)
            told[:] = live.observe().stalls.stalls
            if any("used its share of the CPU" in one.detail for one in told):
                return

    with watching(most_cpu=0.0) as live, watched_loop(live) as runner:
        runner.run(stalling())
    assert any("used its share of the CPU" in one.detail for one in told), told
    # A stall that lasts for long is looked at all the same, and on a busy machine one may.
    short = [
        one for one in told if one.duration_ms < watcher.LONG * live._stalls.threshold_ns / 1e6
    ]
    assert not any(one.frames for one in short)


def test_some_stalls_of_each_window_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the lead-in had so many that the watcher has used its share of the CPU."""
    monkeypatch.setattr(watcher, "_FREE_CPU_NS", 0)

    async def stalling() -> tuple[StallRow, ...]:
        for _ in range(20):
            time.sleep(0.03)
            await asyncio.sleep(0.001)
        return live.observe().stalls.stalls

    with watching(most_cpu=0.0) as live, watched_loop(live) as runner:
        deadline = time.monotonic() + 30
        while not any("used its share of the CPU" in one.detail for one in runner.run(stalling())):
            assert time.monotonic() < deadline
        live.reset(instants=True)
        assert any(one.frames for one in runner.run(stalling()))


@pytest.mark.alone
def test_a_stall_right_behind_another_is_looked_at_too() -> None:
    """Before the first one can be told, for which its late timer is waited for."""

    async def stalling() -> None:
        for _ in range(20):
            time.sleep(0.02)
            await asyncio.sleep(0.001)

    with watching(most_cpu=1.0) as live, watched_loop(live) as runner:
        runner.run(stalling())
        told = live.observe().stalls.stalls
    unseen = [one for one in told if one.duration_ms >= 20 and one.frames is None]
    assert len(told) >= 20
    assert len(unseen) < 5, told


def test_a_watcher_that_rests_takes_no_stall_for_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not look, since it rests; nothing has kept it from looking."""
    monkeypatch.setattr(watcher, "_FREE_CPU_NS", 0)
    monkeypatch.setattr(watcher, "_WINDOW_CPU_NS", 0)

    async def stalling() -> None:
        for _ in range(4):
            await asyncio.sleep(0.05)
            time.sleep(0.25)  # as long as the rest after the one before

    with watching(most_cpu=0.0) as live, watched_loop(live) as runner:
        runner.run(stalling())
        told = live.observe().stalls.stalls
    assert len(told) >= 4
    assert [one for one in told if one.cause is Cause.STOPPED] == []


def test_a_stall_that_outlasts_the_window_is_told_as_far_as_it_lies_in_it() -> None:
    """One that has begun before the reset, and has not ended when it is asked for."""
    told: list[tuple[StallRow, ...]] = []

    async def held(live: Probe) -> None:
        def ask() -> None:
            time.sleep(0.05)
            asked_at = time.perf_counter()  # the window may begin at any instant until it returns
            live.reset(instants=True)
            time.sleep(0.05)
            told.append(live.observe().stalls.stalls)
            lasted_ms.append((time.perf_counter() - asked_at) * 1e3)
            over.set()

        over = threading.Event()
        asking = threading.Thread(target=ask)
        asking.start()
        over.wait()
        asking.join()

    lasted_ms: list[float] = []
    with watching() as live, watched_loop(live) as runner:
        runner.run(held(live))
        told.append(live.observe().stalls.stalls)
    within, after = told
    assert [one.started_s for one in within] == [0.0]
    assert 50 <= within[0].duration_ms <= lasted_ms[0]
    assert after[0].started_s == 0.0
    assert after[0].duration_ms >= within[0].duration_ms
