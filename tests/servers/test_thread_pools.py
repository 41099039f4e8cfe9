"""Pools of threads, found by what their threads run, with a queue that is known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopbench.servers.probe.thread_pools import (
    UNREADABLE,
    ThreadPoolReading,
    ThreadPoolsWatch,
)


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
    threads = [one for one in threading.enumerate() if one.name.startswith("kitchen")]
    seen = of(watch.read(dict.fromkeys(threads, 5)), "kitchen")
    assert (seen.threads, seen.limit, seen.words) == (2, 2, "")
    assert (seen.most_queued, seen.mean_queued, seen.requests) == (3, 3.0, 10)
    assert seen.wait_mean_ns is not None
    assert seen.wait_mean_ns > 0
    assert watch.failure is None


def test_a_thread_of_no_known_pool_says_so() -> None:
    """Its requests are counted; what waits for it nobody can tell."""
    stranger = threading.Thread(name="cook-1")
    seen = of(ThreadPoolsWatch().read({stranger: 4}), "cook")
    assert (seen.threads, seen.requests, seen.words) == (1, 4, UNREADABLE)
    assert (seen.limit, seen.most_queued, seen.wait_mean_ns) == (None, None, None)
