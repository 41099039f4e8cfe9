"""Where code runs: turn a setting round, and the answer changes with it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from loopbench.loadtests.behaviour.dispatch import pool, thread_pool
from loopbench.loadtests.behaviour.dispatch.coroutine_cost import ordered
from loopbench.loadtests.behaviour.framework.process import Nursery, nursery
from loopbench.loadtests.behaviour.framework.question import Answer
from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic

STACKS = (AIOHTTP, QUART)
ON_THE_LOOP = "the loop's thread, on the server's loop"
IN_A_THREAD = "worker thread, no running loop"


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("dispatch", 60)


def threads(key: list[str]) -> Answer:
    """key: stack, size of the pool, nothing. How many threads there are then."""
    stack, size, _ = key
    return thread_pool.ask(partial(thread_pool.BEGIN[stack], threads=int(size)))


@pytest.fixture(scope="module")
def pools() -> Iterator[Nursery]:
    with nursery(threads) as ready:
        yield ready


def test_a_sync_route_made_async_moves_to_the_loop(said: Said) -> None:
    """The same code on the same stack: in a worker thread, or on the loop."""
    in_a_loop = "hypercorn.asyncio.serve, in a loop in a thread"
    assert said("sync-route", QUART) == IN_A_THREAD
    assert said("async-route", QUART, in_a_loop) == ON_THE_LOOP
    assert said("sync-route", AIOHTTP, "through run_in_executor") == IN_A_THREAD
    assert said("async-route", AIOHTTP, "AppRunner, in a loop in a thread") == ON_THE_LOOP


@pytest.mark.parametrize(("stack", "runner"), [(AIOHTTP, "web.run_app"), (QUART, "app.run")])
def test_the_thread_is_that_of_whoever_runs_the_loop(said: Said, stack: str, runner: str) -> None:
    """The runners run it in the main thread."""
    assert said("async-route", stack, runner) == "main thread, on the server's loop"


@pytest.mark.parametrize("stack", STACKS)
def test_plain_code_stays_on_the_loop_until_it_is_handed_to_a_thread(
    said: Said, stack: str
) -> None:
    """Whether it is async is a matter of the route, not of what it calls."""
    assert said("sync-code-in-async-route", stack, "called directly") == ON_THE_LOOP
    for way in ("await asyncio.to_thread", "await loop.run_in_executor"):
        assert said("sync-code-in-async-route", stack, way) == IN_A_THREAD


@pytest.mark.parametrize("stack", STACKS)
def test_the_pool_is_as_large_as_it_is_made(said: Said, pools: Nursery, stack: str) -> None:
    """By default min(32, cpus + 4), as concurrent.futures documents it."""
    assert said("thread-pool", stack) == "min(32, cpus + 4) threads, named asyncio_N"
    assert said("thread-pool", stack, pool.setting(40)) == "40 threads, named mine_N"
    other = pools.ask((stack, "33", ""), 30.0).answer
    assert other is not None
    assert other.answer == "33 threads, named mine_N"


def test_the_default_size_is_told_as_what_it_is_everywhere() -> None:
    """A count is told by the formula where it is what the formula gives, and only there."""
    size = pool.default_size()
    assert 5 <= size <= 32
    assert pool.in_words(size) == "min(32, cpus + 4)"
    assert pool.in_words(size + 1) == str(size + 1)


def test_hooks_are_sync_as_routes_are(said: Said) -> None:
    """Quart puts plain ones into threads; aiohttp awaits what they return."""
    for hook in ("before_serving", "before_request", "after_request", "teardown_request"):
        assert said("sync-hooks", QUART, hook) == IN_A_THREAD
    assert said("sync-hooks", AIOHTTP, "on_startup") == "the application does not start"
    assert said("sync-hooks", AIOHTTP, "on_response_prepare").endswith("the client gets no answer")


def test_a_plain_function_runs_where_its_framework_puts_it(said: Said) -> None:
    """aiohttp warns and blocks; Quart has sync routes, and takes any wrapper for one."""
    plain, partial_, wrapper = (
        "default",
        "functools.partial of an async function",
        "a plain wrapper around an async function",
    )
    warned = "registered warns with DeprecationWarning, runs on the loop, answered 200"
    as_async = "registered without a warning, runs on the loop, answered 200"
    assert said("plain-function-handler", AIOHTTP, plain) == warned
    assert said("plain-function-handler", AIOHTTP, wrapper) == warned
    assert "runs in a worker thread" in said("plain-function-handler", QUART, plain)
    assert "answered 500" in said("plain-function-handler", QUART, wrapper)
    for stack in STACKS:
        assert said("plain-function-handler", stack, partial_) == as_async


@pytest.mark.parametrize(
    ("stack", "inside", "outside"),
    [
        (AIOHTTP, "in a handler", "through asyncio.to_thread"),
        (QUART, "in an async route", "in a sync route"),
    ],
)
def test_a_worker_thread_has_no_loop_to_get(
    said: Said, stack: str, inside: str, outside: str
) -> None:
    """Neither call makes one."""
    for call in ("asyncio.get_event_loop()", "asyncio.get_running_loop()"):
        assert said("get-event-loop", stack, f"{call} {inside}") == "gives the server's loop"
        assert said("get-event-loop", stack, f"{call} {outside}") == "raises RuntimeError"


@pytest.mark.parametrize(
    ("stack", "inside", "outside"),
    [
        (AIOHTTP, "on the loop's thread", "in a thread"),
        (QUART, "in an async route", "in a sync route"),
    ],
)
def test_a_coroutine_from_plain_code(said: Said, stack: str, inside: str, outside: str) -> None:
    """What works in a thread hangs or raises on the loop's own, and hangs in a full pool."""
    way = "run_coroutine_threadsafe"
    full = "of a coroutine that needs a thread, in all 2 threads of the pool"
    assert said("coroutine-from-sync", stack, f"{way} {outside}") == "runs on the server's loop"
    assert said("coroutine-from-sync", stack, f"{way} {inside}") == "hangs"
    assert said("coroutine-from-sync", stack, f"{way} {outside}, {full}") == "hangs"
    for way in ("asyncio.run", "new_event_loop().run_until_complete"):
        own = said("coroutine-from-sync", stack, f"{way} {outside}")
        assert own == "runs on a loop of its own"
        assert said("coroutine-from-sync", stack, f"{way} {inside}") == "raises RuntimeError"
    own = said("coroutine-from-sync", stack, f"asyncio.run {outside}, {full}")
    assert own == "runs on a loop of its own"


@pytest.mark.parametrize("stack", STACKS)
def test_what_belongs_to_a_loop_works_on_that_loop_only(said: Said, stack: str) -> None:
    """The same coroutine, brought to the loop or taken away from it."""
    for use, other in (
        ("a request of the application's ClientSession", "raises RuntimeError"),
        ("an asyncio.Lock that others want", "raises RuntimeError"),
        ("an asyncio.Queue that others fill", "hangs"),
    ):
        assert said("other-loop", stack, f"run_coroutine_threadsafe, {use}") == "works"
        assert said("other-loop", stack, f"asyncio.run, {use}") == other


def test_costs_are_told_apart_only_where_they_are_far_apart() -> None:
    """In order, those that are alike together, whatever order they come in."""
    assert ordered({"c": 30.0, "a": 10.0, "b": 20.0}) == "a, then b, then c"
    assert ordered({"b": 12.0, "a": 13.0, "c": 40.0}) == "a and b, then c"
    assert ordered({"b": 10.0, "a": 10.0}) == "a and b"


@pytest.mark.parametrize(
    ("stack", "where"), [(AIOHTTP, "through asyncio.to_thread"), (QUART, "in a sync route")]
)
def test_a_loop_for_each_thread_stays_and_one_for_each_call_does_not(
    said: Said, stack: str, where: str
) -> None:
    """Both do the work."""
    helper = said("get-or-create-loop", stack, f"the helper {where}")
    assert helper == "works, a loop a thread, all stay open"
    run = said("get-or-create-loop", stack, f"asyncio.run instead, {where}")
    assert run == "works, a loop a call, all closed"


@pytest.mark.parametrize("stack", STACKS)
def test_to_thread_carries_context_variables_and_run_in_executor_does_not(
    said: Said, stack: str
) -> None:
    """A change comes back from neither, as it does from a coroutine."""
    for way, answer in (
        ("coroutine()", "seen, a change comes back"),
        ("asyncio.to_thread(…)", "seen, a change does not come back"),
        ("loop.run_in_executor(None, …)", "not seen, a change does not come back"),
    ):
        assert said("context-variables", stack, f"handler to await {way}") == answer


def test_a_sync_hook_keeps_its_context_variables_to_itself(said: Said) -> None:
    """Made async, its value reaches the route."""
    kept = said("context-variables", QUART, "sync before_request to async route")
    assert kept.startswith("not seen")
    handed = said("context-variables", QUART, "async before_request to async route")
    assert handed == "seen, a change comes back"


@pytest.mark.parametrize(
    ("stack", "inside", "outside"),
    [
        (AIOHTTP, "in a handler", "through asyncio.to_thread"),
        (QUART, "in an async route", "in a sync route"),
    ],
)
def test_a_thread_local_is_not_a_requests_own(
    said: Said, stack: str, inside: str, outside: str
) -> None:
    """A context variable is, in threads too."""
    mixed = said("thread-local", stack, f"threading.local {inside}")
    assert mixed.startswith("mixed up between requests")
    left = said("thread-local", stack, f"threading.local {outside}")
    assert left == "each has its own, left over for later ones"
    for where in (inside, outside):
        own = said("thread-local", stack, f"ContextVar {where}")
        assert own == "each has its own, gone afterwards"


def test_flask_has_as_many_threads_as_its_server_makes(said: Said) -> None:
    """A thread a request on the development server only, and one for all without threads."""
    assert said("flask-threads", "flask-dev") == "a thread a request"
    alone = said("flask-threads", "flask-dev", "flask run --without-threads")
    assert alone == "one thread for all"
    for threads in ("4", "8"):
        many = said("flask-threads", "flask-gthread", f"gunicorn --threads {threads}")
        assert many == f"{threads} threads"
    assert said("flask-threads", "flask-waitress", "waitress-serve --threads=8") == "8 threads"
