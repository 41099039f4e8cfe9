"""The probe in this process: threads, forks, failures of its own, bounds of its memory."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from loopbench.servers.apps.aiohttp_app import create_app, handles
from loopbench.servers.contract.routes import ROUTES
from loopbench.servers.lifecycle import in_loop
from loopbench.servers.probe import active, probe
from loopbench.servers.probe import tally as tallies
from loopbench.servers.probe.durations import ThreadCounts
from loopbench.servers.probe.probe import Probe
from loopbench.servers.probe.stalls.record import System
from loopbench.servers.probe.tally import MOST_TALLIES, Tally
from loopbench.servers.settings import Settings
from tests.servers.choices import KINDS, ON_A_LOOP, stacks
from tests.servers.contract.wire import get
from tests.servers.probe.probes import known, nothing, nothing_async, requests, watched_loop
from tests.servers.processes import BOUND_S, ROOT, needs_proc, settle


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can, so that what can come between two steps does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_threads(count: int, work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# What is handed back.


def test_without_a_probe_a_handler_is_itself() -> None:
    """Nothing is wrapped, so that nothing is paid."""
    assert active.watch("plain", nothing) is nothing
    assert active.watch("plain", nothing_async) is nothing_async


@pytest.mark.parametrize("work", [nothing, nothing_async])
def test_by_turns_nothing_is_in_the_way_at_rest(live: Probe, work: Callable[..., Any]) -> None:
    """An application that can replace what it calls is given the handler itself for a pause, and
    the one that counts again after it, each as a whole that is made once."""
    made: list[Callable[..., Any]] = []
    put: list[object] = []

    def whole(handler: Callable[..., Any]) -> tuple[Callable[..., Any]]:
        made.append(handler)
        return (handler,)

    live.watch_by_turns("busy", work, whole, put.append)
    live.pause()
    live.resume()
    counted, plain, again = put
    assert plain == (work,)
    assert again is counted
    assert counted != plain
    assert made == [*counted, work]  # type: ignore[misc]


@pytest.mark.parametrize("rests", [False, True])
def test_aiohttp_calls_the_handler_itself_at_rest(live: Probe, rests: bool) -> None:
    """`/async` and its HEAD, which have nothing around their handler: counted while the probe
    watches, the handler and no more at rest, and counted again after that."""
    app = create_app(Settings())
    own = {route.name: handler for route, handler in handles.of(ROUTES)}["async"]
    called = [route for route in app.router.routes() if route.get_info().get("path") == "/async"]
    assert {route.method for route in called} == {"GET", "HEAD"}
    live.pause()
    if not rests:
        live.resume()
    for route in called:
        assert (route.handler is own) is rests
        assert inspect.unwrap(route.handler) is own


def test_a_watched_handler_is_of_its_kind(live: Probe) -> None:
    """Frameworks tell coroutine functions from plain ones, and go by names."""
    assert not inspect.iscoroutinefunction(live.watch("a", nothing))
    watched = live.watch("b", nothing_async)
    assert inspect.iscoroutinefunction(watched)
    assert (watched.__name__, watched.__doc__) == ("nothing_async", "A handler.")


def test_one_probe_at_a_time(live: Probe) -> None:
    """A second one is refused, and the first goes on."""
    with pytest.raises(RuntimeError, match="is on already"), probe.watching():
        pass
    live.watch("plain", nothing)()
    assert requests(live, "plain") == 1


def test_what_a_handler_raises_is_raised_and_counted(live: Probe) -> None:
    """A request that failed or was cancelled ran somewhere, too: each counts once."""

    def failing() -> NoReturn:
        raise LookupError("mine")

    async def waiting() -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        handler = live.watch("waiting", waiting)
        for _ in range(3):
            task = asyncio.create_task(handler())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with pytest.raises(LookupError, match="mine"):
        live.watch("failing", failing)()
    asyncio.run(main())
    assert (requests(live, "failing"), requests(live, "waiting")) == (1, 3)


# Threads and processes.


@pytest.mark.usefixtures("restless")
def test_no_count_of_any_thread_is_lost() -> None:
    """100,000 durations from 8 threads are 100,000 counts, each under its own duration."""
    counts = ThreadCounts()

    def add() -> None:
        for number in range(12_500):
            counts.add(number % 5 * 1000)

    in_threads(8, add)
    assert counts.merged() == tuple((us, 20_000) for us in range(5))


@pytest.mark.usefixtures("restless")
def test_no_request_of_any_thread_is_lost(live: Probe) -> None:
    """Eight threads, and two more that read and settle all the while: every request counts once,
    and no begin is ever taken for an end."""
    handler = live.watch("busy", nothing)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            live.observe()

    def ask() -> None:
        for _ in range(2_500):
            handler()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    in_threads(8, ask)
    over.set()
    for reader in readers:
        reader.join()
    tallies = live.observe().routes["busy"]
    assert [tally.requests for tally in tallies] == [2_500] * 8
    assert live.instants("busy", 0, 20_000).handled == 20_000
    for watch in live._routes.values():
        for tally in watch.tallies.values():
            assert list(tally.kept) == sorted(tally.kept)


@pytest.mark.parametrize("loop_class", [None, "asyncio.unix_events._UnixSelectorEventLoop"])
def test_requests_of_ever_new_threads_are_counted_together(
    live: Probe, loop_class: str | None
) -> None:
    """As those of coroutines under Flask, each with a thread and a loop of its own: 64 threads are
    told apart, and the others are one, by whether a loop ran there."""
    if loop_class is None:
        ask = live.watch("many", nothing)
    else:
        handler = live.watch("many", nothing_async)

        def ask() -> None:
            asyncio.run(handler())

    for _ in range(MOST_TALLIES + 6):
        in_threads(1, ask)
    told = live.observe().routes["many"]
    others = [tally for tally in told if tally.thread == "others"]
    assert [(tally.requests, tally.alive) for tally in others] == [(6, None)]
    assert len(told) == MOST_TALLIES + 1
    assert {tally.loop_class for tally in told} == {loop_class}
    assert live.instants("many", 0, 1_000).handled == MOST_TALLIES + 6


@pytest.mark.usefixtures("restless")
def test_resets_from_another_thread_tear_no_request_apart(live: Probe) -> None:
    """Whenever a reset comes, a request's begin and end stay together."""
    handler = live.watch("busy", nothing)
    over = threading.Event()

    def reset() -> None:
        while not over.is_set():
            live.reset(instants=True)
            live.reset(instants=False)

    thread = threading.Thread(target=reset)
    thread.start()
    for _ in range(20_000):
        handler()
    over.set()
    thread.join()
    live.reset(instants=True)
    begun = time.perf_counter_ns()
    for _ in range(10):
        handler()
    told = live.instants("busy", 0, 10)
    assert told.handled == 10
    spent = known(told.ended_ns) - known(told.began_ns)
    assert 0 < spent <= time.perf_counter_ns() - begun


def test_a_request_is_not_settled_by_halves(live: Probe) -> None:
    """Where another thread settles or resets between a request's begin and its end, the two stay
    together, and the request counts when it has ended."""
    handler = live.watch("busy", nothing)
    handler()
    (tally,) = live._routes["busy"].tallies.values()
    tally.fresh.append(time.perf_counter())
    live._on_beat()
    assert requests(live, "busy") == 1
    live.reset(instants=False)
    assert requests(live, "busy") == 0
    tally.fresh.append(time.perf_counter())
    handler()
    assert requests(live, "busy") == 2
    assert list(tally.kept) == sorted(tally.kept)


# Where not even the callback can be entered, the interpreter says so, and pytest after it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_collection_at_the_end_of_the_stack_is_no_failure(live: Probe) -> None:
    """A program that recurses without end may meet the collector at any depth."""

    def recurse() -> None:
        gc.collect(0)
        recurse()

    with watched_loop(live):
        with pytest.raises(RecursionError):
            recurse()
        gc.collect(0)
        seen = live.observe()
    assert seen.failure is None
    assert next(one.pauses for one in seen.collector if one.generation == 0) > 100


def test_a_thread_that_died_keeps_its_tally(live: Probe) -> None:
    """A later thread that the system gives the same identifier has a tally of its own."""
    handler = live.watch("busy", nothing)
    identifiers: list[int] = []

    def ask() -> None:
        identifiers.append(threading.get_ident())
        handler()

    while len(set(identifiers)) == len(identifiers) < 100:
        in_threads(1, ask)
    assert len(set(identifiers)) < len(identifiers), "identifiers are never used again here"
    tallies = live.observe().routes["busy"]
    assert [tally.requests for tally in tallies] == [1] * len(identifiers)
    assert not any(tally.alive for tally in tallies)
    assert len({tally.thread for tally in tallies}) == len(identifiers)


FORKING = """
import json, os, sys
from loopbench.servers.probe import active, probe

def handler():
    pass

def seen(live):
    told = live.observe()
    return {"mine": told.pid == os.getpid(), "requests": [
        tally.requests for tallies in told.routes.values() for tally in tallies
    ]}

with probe.watching() as live:
    watched = live.watch("busy", handler)
    for _ in range(5):
        watched()
    reader, writer = os.pipe()
    # Held by another thread, as it were: the child must not wait for it.
    with live._settling:
        child = os.fork()
    if child == 0:
        watched()
        os.write(writer, json.dumps(seen(live)).encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(json.dumps([json.loads(os.read(reader, 10_000)), seen(live)]))
"""


def test_a_forked_process_counts_its_own() -> None:
    """The child begins with nothing, and the parent keeps what it has."""
    done = subprocess.run(
        [sys.executable, "-c", FORKING], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.stdout == (
        '[{"mine": true, "requests": [1]}, {"mine": true, "requests": [5]}]\n'
    ), done.stderr


def test_loops_are_numbered_as_they_appear(live: Probe) -> None:
    """The first loop is 1, the next 2; where none runs there is no number."""
    handler = live.watch("mixed", nothing_async)
    plain = live.watch("plain", nothing)
    with asyncio.Runner(debug=False) as first, asyncio.Runner(debug=False) as second:
        for runner in (first, second, first):
            runner.run(handler(None))
    plain()
    routes = live.observe().routes
    assert [(one.loop_number, one.requests) for one in routes["mixed"]] == [(1, 2), (2, 1)]
    assert [(one.loop_number, one.loop_class) for one in routes["plain"]] == [(None, None)]


# Failures of the probe itself.


def broken(*args: object) -> NoReturn:
    raise RuntimeError("broken")


class Broken(dict[Any, Any]):
    get = setdefault = __setitem__ = broken


class BrokenList(list[Any]):
    append = broken


def break_new_tally(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live, "_new_tally", broken)


def break_append(live: Probe, patch: pytest.MonkeyPatch) -> None:
    for route in live._routes.values():
        patch.setattr(route, "fresh", BrokenList())
        patch.setattr(route, "tallies", Broken())


def break_fresh(live: Probe, patch: pytest.MonkeyPatch) -> None:
    made = live._new_tally

    def new_tally(*key: Any) -> Tally:
        tally = made(*key)
        tally.fresh = BrokenList()
        return tally

    patch.setattr(live, "_new_tally", new_tally)


def break_waits(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live.executor, "_waits", None)


def break_queue(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live.executor, "_queue_max", None)


def break_delays(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live._loop, "_delays", Broken())


def break_pauses(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live._collector, "_sums", None)


def break_pools(live: Probe, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(live._thread_pools, "_looks", Broken())


@pytest.mark.parametrize("name", stacks(name for name in KINDS if name in ON_A_LOOP))
@pytest.mark.parametrize(
    "damage",
    [
        break_new_tally,
        break_append,
        break_fresh,
        break_waits,
        break_queue,
        break_delays,
        break_pauses,
        break_pools,
    ],
    ids=lambda damage: damage.__name__.removeprefix("break_"),
)
def test_a_probe_that_fails_leaves_the_server_serving(
    live: Probe,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: Callable[[Probe, pytest.MonkeyPatch], None],
) -> None:
    """Whatever part of it raises: every answer is right, and the snapshot says what was wrong."""

    async def main() -> None:
        server = await in_loop.start(name)
        try:
            if damage not in (break_new_tally, break_fresh):
                await asyncio.gather(get(server, "/async"), get(server, "/sync"))
            damage(live, monkeypatch)
            for target in ("/async", "/sync", "/blocking", "/sleep/async?ms=30") * 2:
                assert (await get(server, target)).status == 200
            gc.collect()
        finally:
            await server.stop()

    settle()
    with watched_loop(live) as runner:
        runner.run(main())
    # Put back, as some of it could not even be told.
    monkeypatch.undo()
    failure = live.observe().failure
    assert failure is not None
    assert "broken" in failure or "NoneType" in failure


@needs_proc
def test_a_watcher_of_stalls_that_fails_says_so_and_watches_no_more(
    live: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are counted as before."""

    async def until_it_has_failed() -> bool:
        deadline = time.monotonic() + BOUND_S
        while live.observe().failure is None and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return live.observe().failure is not None

    with watched_loop(live) as runner:
        monkeypatch.setattr(System, "read", broken)
        monkeypatch.setattr(System, "again", broken)
        assert runner.run(until_it_has_failed())
        live.watch("plain", nothing)()
        told = live.observe()
    assert told.failure == "RuntimeError: broken"
    assert told.stalls.unwatched == "the watcher has failed"
    assert requests(live, "plain") == 1


# Bounds.


def test_instants_are_kept_within_bounds(live: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the most that are kept, they are given up; requests still count, each once and only
    from the reset, and the sums are blank until the instants begin anew."""
    monkeypatch.setattr(tallies, "MOST_INSTANTS", 50)
    monkeypatch.setattr(probe, "MOST_FRESH", 5)
    handler = live.watch("busy", nothing)

    def ask(count: int) -> None:
        for _ in range(count):
            handler()

    ask(30)
    live.reset(instants=False)
    for _ in range(12):
        ask(10)
        live._on_beat()
        (tally,) = live._routes["busy"].tallies.values()
        assert len(tally.kept) + len(tally.fresh) <= 2 * 50
    assert requests(live, "busy") == 120
    assert live.instants("busy", 0, 1).began_ns is None
    live.reset(instants=False)
    ask(5)
    assert requests(live, "busy") == 5
    assert live.instants("busy", 0, 1).began_ns is None
    live.reset(instants=True)
    ask(5)
    told = live.instants("busy", 0, 5)
    assert told.handled == 5
    assert known(told.ended_ns) >= known(told.began_ns)


def test_the_beat_keeps_the_bounds(live: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that nobody asks anything keeps itself in bounds while its loop turns."""
    monkeypatch.setattr(tallies, "MOST_INSTANTS", 10)
    monkeypatch.setattr(probe, "MOST_FRESH", 5)
    handler = live.watch("busy", nothing_async)

    async def main() -> None:
        for _ in range(200):
            await handler(None)
        (tally,) = live._routes["busy"].tallies.values()
        while tally.fresh:
            await asyncio.sleep(0.01)
        assert len(tally.kept) <= 20

    with watched_loop(live) as runner:
        runner.run(asyncio.wait_for(main(), 20))
    assert requests(live, "busy") == 200
