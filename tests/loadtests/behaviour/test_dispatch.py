"""Where code runs: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import pytest

from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("dispatch", 60)


def test_a_sync_route_made_async_moves_to_the_loop(said: Said) -> None:
    """The same code on the same stack: in a worker thread, or on the loop."""
    assert said("sync-route", QUART).startswith("worker thread")
    assert said("async-route", QUART).startswith("loop thread")
    assert said("sync-route", AIOHTTP, "through run_in_executor").startswith("worker thread")
    assert said("async-route", AIOHTTP).startswith("loop thread")


def test_the_pool_is_as_large_as_it_is_made(said: Said) -> None:
    """By default min(32, cpus + 4), as concurrent.futures documents it."""
    larger = "loop.set_default_executor(ThreadPoolExecutor(20))"
    for stack in (AIOHTTP, QUART):
        assert said("thread-pool", stack).startswith("min(32, cpus + 4) threads")
        assert said("thread-pool", stack, larger) == "20 threads, named mine_N"


def test_a_plain_function_runs_where_its_framework_puts_it(said: Said) -> None:
    """aiohttp warns and blocks; Quart has sync routes."""
    assert "runs on the loop" in said("plain-function-handler", AIOHTTP)
    assert "DeprecationWarning" in said("plain-function-handler", AIOHTTP)
    assert "runs in a worker thread" in said("plain-function-handler", QUART)


def test_a_coroutine_from_plain_code(said: Said) -> None:
    """What works in a thread hangs or raises on the loop's own."""
    for stack, inside, outside in (
        (AIOHTTP, "on the loop's thread", "in a thread"),
        (QUART, "in an async route", "in a sync route"),
    ):
        way = "run_coroutine_threadsafe"
        assert said("coroutine-from-sync", stack, f"{way} {outside}") == "runs on the server's loop"
        assert said("coroutine-from-sync", stack, f"{way} {inside}") == "hangs"
        way = "asyncio.run"
        assert said("coroutine-from-sync", stack, f"{way} {outside}").startswith("runs on a loop")
        assert said("coroutine-from-sync", stack, f"{way} {inside}") == "raises RuntimeError"


def test_flask_has_as_many_threads_as_its_server_makes(said: Said) -> None:
    """A thread a request on the development server only, and one for all without threads."""
    assert said("flask-threads", "flask-dev") == "a thread a request"
    assert said("flask-threads", "flask-dev", "threaded=False") == "one thread for all"
    assert said("flask-threads", "flask-gthread", "threads=4") == "4 threads"
