"""Pools of threads, found by what their threads run, with a queue that is known."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loopbench.servers.custom.look import Looks
from loopbench.servers.custom.stacks import rows
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.parts import ASGI, OwnApp
from loopbench.servers.probe import thread_pools
from loopbench.servers.probe.executor import ExecutorWatch, WatchedExecutor
from loopbench.servers.probe.readings import Observe
from loopbench.servers.probe.thread_pools import (
    MOST_POOLS,
    OTHERS,
    UNREADABLE,
    UNSEEN,
    PoolLook,
    ThreadPoolReading,
    ThreadPoolsWatch,
)
from loopbench.servers.settings import Settings
from tests.servers.processes import BOUND_S, eventually


@pytest.fixture
def full() -> Iterator[ThreadPoolExecutor]:
    """Two threads that are held, and three calls that wait."""
    release = threading.Event()
    held = threading.Barrier(3)

    def hold() -> None:
        held.wait()
        release.wait()

    with ThreadPoolExecutor(2, "kitchen") as pool:
        for _ in range(2):
            pool.submit(hold)
        held.wait()
        for _ in range(3):
            pool.submit(str)
        yield pool
        release.set()


def of(readings: tuple[ThreadPoolReading, ...], pool: str) -> ThreadPoolReading:
    """The reading of that pool."""
    (found,) = (one for one in readings if one.pool == pool)
    return found


def test_an_executor_is_found_with_its_size_and_its_queue(full: ThreadPoolExecutor) -> None:
    """And how many requests its threads have handled, which give the wait by Little's law."""
    watch = ThreadPoolsWatch()
    watch.look()
    threads = [one for one in threading.enumerate() if one.name.startswith("kitchen")]
    seen = of(watch.read(dict.fromkeys(threads, 5), 1_000_000), "kitchen")
    assert (seen.threads, seen.limit, seen.words) == (2, 2, "")
    assert (seen.most_queued, seen.mean_queued, seen.requests) == (3, 3.0, 10)
    assert seen.wait_mean_ns == pytest.approx(3 * 1_000_000 / 10)
    assert watch.failure is None


def test_two_pools_of_one_name_are_two(full: ThreadPoolExecutor) -> None:
    """Each with its own size and queue, and the second has a number behind its name."""
    watch = ThreadPoolsWatch()
    watch.look()
    with ThreadPoolExecutor(8, "kitchen") as second:
        second.submit(str).result()
        watch.look()
        readings = watch.read({}, 1)
    first, other = of(readings, "kitchen"), of(readings, "kitchen 2")
    assert (first.limit, first.most_queued, first.mean_queued) == (2, 3, 3.0)
    assert (other.limit, other.most_queued, other.mean_queued) == (8, 0, 0.0)
    assert len(full._threads) == first.threads == 2


def test_the_loop_s_own_executor_has_its_name_whenever_its_first_thread_comes() -> None:
    """That of another loop in the process, which asyncio names in the same way, is the second: the
    calls that the first has counted are not taken for its own."""
    executor = ExecutorWatch()
    watch = ThreadPoolsWatch(lambda: executor.executor)
    with WatchedExecutor(6, "asyncio", executor) as own, ThreadPoolExecutor(2, "asyncio") as other:
        other.submit(str).result()
        watch.look()
        own.submit(str).result()
        watch.look()
        readings = watch.read({}, 1, executor.read())
    assert (of(readings, "asyncio").limit, of(readings, "asyncio 2").limit) == (6, 2)
    assert of(readings, "asyncio").wait_mean_ns is not None
    assert of(readings, "asyncio 2").wait_mean_ns is None


def test_pools_that_each_request_makes_have_one_row() -> None:
    """From so many pools on: with their threads and queues, all that there are at once."""
    watch = ThreadPoolsWatch()
    for _ in range(MOST_POOLS):
        with ThreadPoolExecutor(1) as past:
            past.submit(str).result()
            watch.look()
    release = threading.Event()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as another:
        for pool in (one, one, one, another, another):
            pool.submit(release.wait)
        assert eventually(lambda: one._work_queue.qsize() + another._work_queue.qsize() == 3)
        watch.look()
        readings = watch.read({}, 1)
        release.set()
    assert len(readings) == MOST_POOLS + 1
    seen = of(readings, OTHERS)
    assert (seen.threads, seen.limit, seen.most_queued, seen.words) == (2, None, 3, "")


def test_what_nobody_looked_at_under_the_load_has_no_queue(full: ThreadPoolExecutor) -> None:
    """It is not known, rather than that of now; size and requests are."""
    threads = [one for one in threading.enumerate() if one.name.startswith("kitchen")]
    seen = of(ThreadPoolsWatch().read(dict.fromkeys(threads, 5), 1_000_000), "kitchen")
    assert (seen.threads, seen.limit, seen.requests, seen.words) == (2, 2, 10, UNSEEN)
    assert (seen.most_queued, seen.mean_queued, seen.wait_mean_ns) == (None, None, None)


def test_a_thread_of_no_known_pool_says_so() -> None:
    """Its requests are counted; what waits for it nobody can tell."""
    stranger = threading.Thread(name="cook-1")
    seen = of(ThreadPoolsWatch().read({stranger: 4}, 1), "cook")
    assert (seen.threads, seen.requests, seen.words) == (1, 4, UNREADABLE)
    assert (seen.limit, seen.most_queued, seen.wait_mean_ns) == (None, None, None)


def test_the_loop_looks_while_what_it_saw_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which it does on a busy machine: whoever asks is told what was seen until then."""
    watch = ThreadPoolsWatch()

    class Crew(frozenset[int]):
        """Threads whose numbers are not gone through before the loop has looked once more."""

        def __iter__(self) -> Iterator[int]:
            watch.look()
            return super().__iter__()

    monkeypatch.setattr(
        thread_pools, "pools", lambda _: iter([PoolLook("kitchen", Crew({1, 2}), 2, 3)])
    )
    watch.look()
    before = of(watch.read({}, 1), "kitchen")
    after = of(watch.read({}, 1), "kitchen")
    assert (before.threads, before.most_queued) == (after.threads, after.most_queued) == (2, 3)
    assert watch.failure is None


POOLED = """
import threading

from asgiref.sync import sync_to_async
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def name():
    return threading.current_thread().name


def by_anyio(request):
    return PlainTextResponse(name())


async def by_asgiref(request):
    return PlainTextResponse(await sync_to_async(name)())


async def by_asyncio(request):
    return PlainTextResponse(await sync_to_async(name, thread_sensitive=False)())


handlers = {"/anyio": by_anyio, "/asgiref": by_asgiref, "/asyncio": by_asyncio}
app = Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])
"""


def test_the_pools_of_frameworks_are_found_in_an_application_of_one_s_own(tmp_path: Path) -> None:
    """anyio's for a plain function as a route of Starlette's, asgiref's one thread, and the loop's
    executor: each with its size and a queue that could be read."""
    (tmp_path / "pooled.py").write_text(POOLED)
    own = OwnApp("pooled:app", str(tmp_path), "/anyio", kind=ASGI, made=False)
    (stack,) = rows(own, Looks(ASGI, "Starlette", (), made=False), ("uvicorn",)).values()
    settings = Settings(probe=True)
    with server_process(stack, settings=settings) as server:
        threads = {}
        with closing(http.client.HTTPConnection(server.host, server.port, timeout=BOUND_S)) as one:
            for path in ("/anyio", "/asgiref", "/asyncio"):
                one.request("GET", path)
                threads[path] = one.getresponse().read().decode()

        def readings() -> dict[str, tuple[int, int | None, int | None, str]]:
            return {
                one.pool: (one.threads, one.limit, one.most_queued, one.words)
                for one in server.ask(Observe(), BOUND_S).thread_pools
            }

        # The probe looks now and then; anyio's limiter is found from within the loop alone.
        assert eventually(
            lambda: (
                [words for *_, words in readings().values()] == [""] * 3
                and readings()["anyio"][1] is not None
            )
        )
        found = readings()
        # The loop's own counts a call until its thread has taken it.
        assert found.pop("asyncio") in [(1, settings.executor_threads, n, "") for n in (0, 1)]
        assert found == {"anyio": (1, 40, 0, ""), "asgiref": (1, 1, 0, "")}
    assert threads["/anyio"] == "AnyIO worker thread"
    assert threads["/asgiref"].startswith("ThreadPoolExecutor")
    assert threads["/asyncio"].startswith("asyncio_")


def test_the_loop_s_own_executor_is_read_by_its_calls() -> None:
    """Whatever the looks saw, which have the interpreter's lock when the queue has been emptied:
    the longest queue, the mean wait, and the mean queue over the time."""
    executor = ExecutorWatch()
    watch = ThreadPoolsWatch()
    with WatchedExecutor(1, "own", executor) as pool:
        pool.submit(str).result()
        watch.look()  # the queue is empty
        executor.reset()
        release = threading.Event()
        calls: list[Future[Any]] = [pool.submit(release.wait)]
        calls += [pool.submit(str) for _ in range(3)]
        began = time.perf_counter_ns()
        time.sleep(0.05)
        release.set()
        for call in calls:
            call.result()
        took_ns = time.perf_counter_ns() - began
        counted = executor.read()
        seen = of(watch.read({}, 2 * took_ns, counted), "own")
        looked = of(watch.read({}, 2 * took_ns), "own")
    assert (looked.most_queued, looked.mean_queued, looked.wait_mean_ns) == (0, 0.0, None)
    waits_us = [us for us, count in counted.wait_us for _ in range(count)]
    assert len(waits_us) == 4
    assert seen.most_queued in (3, 4)  # the first may not have been taken yet
    assert seen.wait_mean_ns == pytest.approx(sum(waits_us) / 4 * 1000)
    # Three of the four have waited for all of that time, which is half of that counted in.
    assert seen.mean_queued == pytest.approx(sum(waits_us) * 1000 / (2 * took_ns))
    assert seen.words == ""
