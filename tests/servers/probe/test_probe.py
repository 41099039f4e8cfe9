"""Truth on known input: what the probe says of the real stacks, each in a child process.

What the client sees of its own requests says whether the machine let the
input be what it was meant to be; where it did not, the input is offered again.
"""

from __future__ import annotations

import http.client
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest

from loopbench.loadtests.bench.checks import verify
from loopbench.results.schema import Dispatch
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case
from loopbench.servers.contract.routes import Route, route_of
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.probe.durations import rounded_us
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.readings import Glance, Instants, Observe, Pause, Reset, Resume
from loopbench.servers.promises import holes
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import DEFAULT, Stack
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.merging import Pairs
from loopbench.servers.supervision.messages import Done, Question
from tests.servers.choices import stacks
from tests.servers.probe.probes import known
from tests.servers.processes import BOUND_S, ask, eventually, held_up_s

ATTEMPTS = 25

CLOCK_MONOTONIC_COARSE = 6
"""<linux/time.h>; the module `time` has no name for it."""

THREADS = 4
MAIN = {"is_main_thread": True, "is_loop_thread": True}
WORKER = {"is_main_thread": False, "is_loop_thread": False}
LOOPS = {
    "asyncio": "asyncio.unix_events._UnixSelectorEventLoop",
    "uvloop": "uvloop.Loop",
}


def promised(stack: Stack, dispatch: Dispatch) -> dict[str, Any]:
    """Where a dispatch runs, on every stack whose server is on a loop."""
    if dispatch is Dispatch.SYNC:
        return {**WORKER, "loop_class": None, "loop_number": None}
    return {**MAIN, "loop_class": LOOPS[stack.loop], "loop_number": 1}


THREAD_NAMES = {True: r"MainThread", False: r"asyncio_\d"}

with_selector = pytest.mark.parametrize("server", stacks(DEFAULT), indirect=True)
"""For what only a loop with a selector shows."""

on_uvloop = pytest.mark.parametrize("server", stacks(["aiohttp-uvloop"]), indirect=True)


@pytest.fixture(scope="module", params=stacks([*DEFAULT, "aiohttp-uvloop"]))
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """One server a stack, watched, with four threads for sync work."""
    settings = Settings(probe=True, executor_threads=THREADS, wait_ms=1)
    with server_process(request.param, settings=settings) as running:
        yield running


@contextmanager
def connected(server: ServerProcess) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=BOUND_S)
    with closing(connection):
        connection.connect()
        yield connection


def get(connection: http.client.HTTPConnection, target: str) -> float:
    """Seconds from just before the request to just after its right answer."""
    begun = time.perf_counter()
    connection.request("GET", target)
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    return time.perf_counter() - begun


def reset(server: ServerProcess) -> None:
    assert server.ask(Reset(instants=True)) == Done()


def undisturbed(offer: Callable[[], float], *, below_s: float) -> float:
    """Offer an input until the client, too, saw it take no longer than it should; how long that
    was."""
    took = [offer()]
    while took[-1] >= below_s:
        assert len(took) < ATTEMPTS, f"this machine is too busy to test on: {took}"
        took.append(offer())
    return took[-1]


def expanded(pairs: Pairs) -> list[int]:
    """[[us, count], …] as so many single values, ascending."""
    return [us for us, count in pairs for _ in range(count)]


def late(loop: LoopReading) -> list[int]:
    """Its delays of 50 ms and more."""
    return [us for us in expanded(loop.delay_us) if us >= 50_000]


def utilisation(loop: LoopReading) -> float:
    return 1 - known(loop.idle_ns) / loop.wall_ns


def block(connection: http.client.HTTPConnection) -> float:
    """Hold the loop for 100 ms; seconds until it has turned again, timers and all."""
    begun = time.perf_counter()
    get(connection, "/sleep/blocking?ms=100")
    get(connection, "/async")
    return time.perf_counter() - begun


def most_late(took_s: list[float], held_up: float) -> float:
    """How many points of a schedule of 10 ms can be late by 50 ms and more: those of the blocks,
    and those of whatever else has held the server up meanwhile."""
    return sum((took - 0.05) / 0.01 + 1 for took in took_s) + held_up / 0.01


@with_selector
def test_a_block_of_the_loop_is_seen(server: ServerProcess) -> None:
    """A handler that holds the loop for 100 ms once a second: that is the longest stretch, the
    loop delay reaches 90 ms, and every point of the 10 ms schedule within it counts as late.

    No more than that but for what the client saw of it, and the kernel of other hold-ups.
    """
    with connected(server) as connection:
        get(connection, "/sleep/blocking?ms=0")
        before_s = held_up_s(server.pid)
        reset(server)
        took_s = []
        for pause_s in (0.9, 0.0):
            took_s.append(block(connection))
            time.sleep(pause_s)
        seen = server.ask(Observe()).loop
        get(connection, "/async")
        held_up = held_up_s(server.pid) - before_s
    delays = late(seen)
    # Of ten points within each block, those late by 50 ms and more: five, give or take one.
    assert 8 <= len(delays) <= most_late(took_s, held_up)
    assert max(delays) >= 90_000
    assert 0.1 <= known(seen.longest_stretch_ns) / 1e9 <= max(took_s) + held_up


def busy_ns(server: ServerProcess) -> int:
    """How long its loop was not idle since the reset."""
    loop = server.ask(Observe()).loop
    return loop.wall_ns - known(loop.idle_ns)


@on_uvloop
def test_a_block_is_seen_without_a_selector(server: ServerProcess) -> None:
    """On uvloop the timer tells of it, and the loop was not idle meanwhile; what only a selector
    shows stays blank."""
    with connected(server) as connection:
        get(connection, "/sleep/blocking?ms=0")
        before_s = held_up_s(server.pid)
        reset(server)
        time.sleep(0.1)
        took_s = block(connection)
        # The stall is told a moment after it, by another thread.
        assert eventually(lambda: busy_ns(server) >= 90_000_000)
        loop = server.ask(Observe()).loop
        get(connection, "/async")
        held_up = held_up_s(server.pid) - before_s
    delays = late(loop)
    assert 3 <= len(delays) <= most_late([took_s], held_up)
    assert max(delays) >= 90_000
    assert loop.longest_stretch_ns is None
    assert loop.idle_ns is not None
    assert 0 < loop.idle_ns <= loop.wall_ns - 90_000_000


@on_uvloop
def test_the_timer_does_not_run_ahead(server: ServerProcess) -> None:
    """uvloop keeps timers to the nearest millisecond, and serves some too early: each point of
    the schedule counts once all the same, and is waited for, not asked for again and again.

    A server that had no CPU at either look has not counted yet what has passed.
    """
    held_up = -held_up_s(server.pid)
    reset(server)
    before = server.ask(Glance()).loop
    time.sleep(1.0)
    after = server.ask(Glance()).loop
    ask(server.port, "async")
    held_up += held_up_s(server.pid)
    points = (after.wall_ns - before.wall_ns) / 10e6
    counted = sum(count for _, count in after.delay_us) - sum(count for _, count in before.delay_us)
    near = 5 + held_up / 0.01
    assert counted == pytest.approx(points, abs=near)
    assert after.beats - before.beats <= points + near


STEP_S = 0.5
"""How long each of the calls below holds its thread."""


def test_calls_wait_for_a_thread(server: ServerProcess) -> None:
    """Twelve sync calls at once on four threads: four wait for none, four for one, and four for
    two of those before them. No call waits longer than its client did, less its own time.

    All were submitted between the sending of the first request and the answer of the loop to one
    that was sent after them all, so that both bounds hold however late anything is.
    """
    with ExitStack() as cleanup:
        connections = [cleanup.enter_context(connected(server)) for _ in range(12)]
        last = cleanup.enter_context(connected(server))
        for connection in (*connections, last):
            get(connection, "/async")  # the server knows of the connection now
        longest_s: list[float] = []

        def at_once() -> float:
            reset(server)
            sent = []
            for connection in connections:
                sent.append(time.perf_counter())
                connection.request("GET", f"/sleep/sync?ms={STEP_S * 1000:.0f}")
            get(last, "/async")
            get(last, "/async")  # all that had been read before the first is submitted now
            submitted_in = time.perf_counter() - sent[0]
            longest_s.clear()
            for connection, since in zip(connections, sent, strict=True):
                assert connection.getresponse().read() == b'{"ms":500}'
                longest_s.append(time.perf_counter() - since - STEP_S)
            return submitted_in

        submitted_in = undisturbed(at_once, below_s=0.8 * STEP_S)
        seen = server.ask(Observe())
    least_s = [0.0] * 4 + [STEP_S - submitted_in] * 4 + [2 * STEP_S - submitted_in] * 4
    waits = expanded(seen.executor.wait_us)
    assert len(waits) == 12
    for low_s, wait_us, high_s in zip(least_s, waits, sorted(longest_s), strict=True):
        assert rounded_us(int(low_s * 1e9)) <= wait_us <= high_s * 1e6
    runs = expanded(seen.executor.run_us)
    assert len(runs) == 12
    assert min(runs) >= rounded_us(int(STEP_S * 1e9))
    assert seen.executor.threads_max == THREADS
    assert 8 <= known(seen.executor.queue_max) <= 12
    assert sum(one.requests for one in seen.routes["sleep-sync"]) == 12
    assert len(seen.routes["sleep-sync"]) == THREADS


@with_selector
def test_an_idle_and_a_busy_loop(server: ServerProcess) -> None:
    """A loop that nobody asks anything waits, but for a CPU; one that computes does not."""
    before_s = held_up_s(server.pid)
    reset(server)
    time.sleep(0.3)
    idle = server.ask(Glance()).loop
    with connected(server) as connection:
        get(connection, "/burn/async?ms=0")
        held_up = held_up_s(server.pid) - before_s
        assert utilisation(idle) < 0.3 + held_up / (idle.wall_ns / 1e9)
        reset(server)
        get(connection, "/burn/async?ms=300")
        assert busy_ns(server) >= 300_000_000


def _asked() -> list[tuple[Route, Case]]:
    """Every Case that its route answers with what it is for, and soon."""
    return [
        (route_of(case.request), case)
        for case in CASES.values()
        if case.expected.status in (200, 500) and not case.name.endswith("-50")
        # A server that fetches its own pages counts these, too.
        if not case.name.startswith("fetch-")
    ]


def test_every_request_is_counted_where_it_ran(server: ServerProcess) -> None:
    """Each route runs on the thread and the loop that its dispatch promises, each request counts
    once, and a repeat shows the same."""
    asked = [(route, case) for route, case in _asked() if case.name not in holes(server.stack)]
    sent = Counter(route.name for route, _ in asked)
    routes = {route.name: route for route, _ in asked}
    for _ in range(3):
        reset(server)
        assert verify.problems(server.host, server.port, [case for _, case in asked]) == []
        seen = server.ask(Observe())
        assert seen.failure is None
        assert seen.pid == server.pid
        assert seen.routes.keys() == routes.keys()
        for name, tallies in seen.routes.items():
            where = promised(server.stack, routes[name].dispatch)
            for tally in tallies:
                assert {key: getattr(tally, key) for key in where} == where, name
                assert re.fullmatch(THREAD_NAMES[tally.is_main_thread], tally.thread)
                assert tally.requests == len(expanded(tally.handler_us))
            assert sum(tally.requests for tally in tallies) == sent[name], name


def test_every_route_of_the_contract_is_asked() -> None:
    """The test above leaves no route out but the one that asks others of them."""
    assert {route.name for route, _ in _asked()} == {
        route_of(case.request).name for case in CASES.values() if case.expected.status == 200
    } - {"fetch"} | {"error"}


def early_ns(server: ServerProcess) -> float:
    """By how much less than asked for a timer of the server's loop may take.

    libuv cuts the clock to whole milliseconds when a timer begins and when it is due, which
    together takes less than one off; where the kernel's coarse clock ticks at least every
    millisecond, libuv reads that one, which is up to a tick behind. asyncio takes nothing off.
    """
    if server.stack.loop != "uvloop":
        return 0.0
    tick_s = time.clock_getres(CLOCK_MONOTONIC_COARSE) if sys.platform == "linux" else 0.0
    return 1e6 + (tick_s * 1e9 if tick_s <= 1e-3 else 0.0)


def test_time_in_the_handler(server: ServerProcess) -> None:
    """A handler that awaits 50 ms takes that, and no longer than the client waits for it;
    but for what its loop's timers are early."""
    least_us = rounded_us(int(50e6 - early_ns(server)))
    with connected(server) as connection:
        get(connection, "/sleep/async?ms=0")
        reset(server)
        took = sorted(get(connection, "/sleep/async?ms=50") for _ in range(3))
    (tally,) = server.ask(Observe()).routes["sleep-async"]
    times = expanded(tally.handler_us)
    assert all(least_us <= us <= wall * 1e6 for us, wall in zip(times, took, strict=True))


def test_the_instants_of_chosen_requests(server: ServerProcess) -> None:
    """The sums are those of the last two requests of four: the handler ran for its time, between
    the client's send and its answer, on the clock that both sides read."""
    with connected(server) as connection:
        get(connection, "/sleep/async?ms=0")
        reset(server)
        spans = []
        for ms in (0, 0, 20, 20):
            sent = time.time_ns()
            get(connection, f"/sleep/async?ms={ms}")
            spans.append((sent, time.time_ns()))
    told = server.ask(Instants("sleep-async", 2, 2))
    assert told.handled == 4
    (sent_a, got_a), (sent_b, got_b) = spans[2:]
    began = told.origin_ns + known(told.began_ns) / 2
    ended = told.origin_ns + known(told.ended_ns) / 2
    assert (sent_a + sent_b) / 2 < began < ended < (got_a + got_b) / 2
    assert ended - began >= 20e6 - early_ns(server)
    # More than there were: no figure, rather than one of fewer.
    told = server.ask(Instants("sleep-async", 2, 3))
    assert (told.handled, told.began_ns, told.ended_ns) == (4, None, None)


@with_selector
def test_a_reset_starts_anew(server: ServerProcess) -> None:
    """What was counted before is gone, and what comes after counts from nothing."""
    for case in ("sync", "async", "sleep-blocking-50"):
        ask(server.port, case)
    reset(server)
    seen = server.ask(Observe())
    assert seen.routes == {}
    executor = seen.executor
    assert (executor.wait_us, executor.run_us, executor.queue_max) == ((), (), 0)
    assert known(seen.loop.longest_stretch_ns) <= seen.loop.wall_ns
    ask(server.port, "sync", times=3)
    seen = server.ask(Observe())
    assert sum(one.requests for one in seen.routes["sync"]) == 3
    assert len(expanded(seen.executor.wait_us)) == 3


@with_selector
def test_a_wait_that_spans_a_reset_counts_from_it(server: ServerProcess) -> None:
    """An idle loop waits nearly all of the time since a reset, never longer."""
    for _ in range(5):
        reset(server)
        time.sleep(0.02)
        loop = server.ask(Glance()).loop
        assert 0 < known(loop.idle_ns) <= loop.wall_ns


def read_while_blocked(server: ServerProcess) -> tuple[float, LoopReading] | None:
    """When a reset was asked for, and what was read 200 ms after it, while a handler held the loop
    from before the reset on; None where the handler may have ended by then."""
    with connected(server) as connection:
        get(connection, "/sleep/blocking?ms=0")
        reset(server)
        thread = threading.Thread(target=get, args=(connection, "/sleep/blocking?ms=1000"))
        thread.start()
        try:
            held = 100_000_000
            assert eventually(lambda: known(server.ask(Glance()).loop.longest_stretch_ns) > held)
            reset_at = time.perf_counter()
            reset(server)
            time.sleep(0.2)
            blocked = server.ask(Observe()).loop
            return (reset_at, blocked) if thread.is_alive() else None
        finally:
            thread.join()


@with_selector
def test_a_blocked_loop_can_be_read(server: ServerProcess) -> None:
    """While a handler holds the loop, a reset and a reading are answered: the stretch so far
    counts, from the reset; so does the delay once the loop is back."""
    seen = None
    for _ in range(ATTEMPTS):
        seen = seen or read_while_blocked(server)
    assert seen is not None, "this machine is too busy to look while the loop is blocked"
    reset_at, loop = seen
    assert loop.idle_ns == 0
    assert loop.wall_ns >= known(loop.longest_stretch_ns) >= 200_000_000
    assert loop.delay_us == ()
    assert eventually(lambda: bool(server.ask(Glance()).loop.delay_us))
    loop = server.ask(Observe()).loop
    since_ns = (time.perf_counter() - reset_at) * 1e9
    assert 200_000_000 <= known(loop.longest_stretch_ns) <= since_ns
    assert 190_000 <= expanded(loop.delay_us)[-1] <= since_ns / 1000


def test_at_rest_nothing_is_counted(server: ServerProcess) -> None:
    """Requests, calls of threads, a loop that was held and the time itself count from the resume
    on, and no further than to the next pause."""
    targets = ("/async", "/sync", "/sleep/blocking?ms=200")
    with connected(server) as connection:
        server.ask(Pause())
        reset(server)
        for target in targets:
            get(connection, target)
        begun = time.perf_counter()
        server.ask(Resume())
        for target in targets[:2]:
            get(connection, target)
        server.ask(Pause())
        took_ns = (time.perf_counter() - begun) * 1e9
        for target in targets:
            get(connection, target)
        seen = server.ask(Observe())
        server.ask(Resume())
    counted = {name: sum(one.requests for one in seen.routes[name]) for name in seen.routes}
    assert counted == {"async": 1, "sync": 1}
    assert len(expanded(seen.executor.run_us)) == 1
    assert 0 <= known(seen.loop.idle_ns) <= seen.loop.wall_ns <= took_ns
    assert (seen.loop.longest_stretch_ns or 0) < max(took_ns, 200_000_000)


def test_a_glance_tells_of_the_process(server: ServerProcess) -> None:
    """The little that is asked every second has the loop, the queue and a Reading."""
    seen = server.ask(Glance())
    assert seen.executor_queue == 0
    assert seen.loop.loop_class == LOOPS[server.stack.loop]
    assert seen.process.cpu_ns <= server.read().cpu_ns


def test_living_threads_are_listed(server: ServerProcess) -> None:
    """An observation names the threads of the process, those of the executor among them."""
    ask(server.port, "sync")
    names = {thread.thread for thread in server.ask(Observe()).threads}
    assert {"MainThread", "control", "asyncio_0"} <= names


def test_without_a_probe_its_commands_are_refused() -> None:
    """Each is answered with an error, and the server goes on."""
    with server_process("asyncio") as server:
        asked: dict[str, Question[Any]] = {
            "reset": Reset(instants=True),
            "observe": Observe(),
            "glance": Glance(),
            "instants": Instants("plain", 0, 0),
        }
        for name, question in asked.items():
            with pytest.raises(ControlError, match=name):
                server.ask(question)
        ask(server.port, "plain")


def test_a_route_without_requests_or_of_another_name() -> None:
    """Nothing handled is told as such; an unknown route is an error."""
    with server_process("asyncio", settings=Settings(probe=True)) as server:
        told = server.ask(Instants("sync", 0, 1))
        assert (told.handled, told.began_ns, told.ended_ns) == (0, None, None)
        with pytest.raises(ControlError, match="nowhere"):
            server.ask(Instants("nowhere", 0, 1))
