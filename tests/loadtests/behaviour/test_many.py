"""Many things at once: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from loopbench.loadtests.behaviour.framework.process import Nursery, nursery
from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.loadtests.behaviour.many import connections_limit, hundred_handlers
from loopbench.loadtests.behaviour.many.crowd import Crowd
from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic

STACKS = (AIOHTTP, QUART)


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("many", 60)


def other(key: list[str]) -> Answer:
    """key: what is to be limited, stack, and to how many. How many there are at once then."""
    what, stack, most = key
    if what == "threads":
        return hundred_handlers.with_threads(stack, int(most))()
    return connections_limit.ask(connections_limit.BEGIN[stack], limit=int(most))


@pytest.fixture(scope="module")
def others() -> Iterator[Nursery]:
    with nursery(other) as ready:
        yield ready


@pytest.mark.parametrize(
    ("stack", "where"), [(AIOHTTP, "through asyncio.to_thread"), (QUART, "in a sync route")]
)
def test_waiting_needs_no_thread_and_blocking_does(said: Said, stack: str, where: str) -> None:
    """A hundred at once, as many as there are threads, or one."""
    assert said("hundred-handlers", stack, "await asyncio.sleep(0.5)") == "all at once"
    default = said("hundred-handlers", stack, f"time.sleep(0.5) {where}")
    assert default == "min(32, cpus + 4) at a time"
    larger = said("hundred-handlers", stack, f"time.sleep(0.5) {where}, 50 threads")
    assert larger == "50 at a time"
    on_the_loop = said("hundred-handlers", stack, "time.sleep(0.02) in an async route")
    assert on_the_loop == "one after another"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("what", "most"), [("threads", "34"), ("connections", "37")])
def test_a_limit_is_what_it_is_set_to(others: Nursery, what: str, stack: str, most: str) -> None:
    """Threads of the pool, and connections of the client."""
    outcome = others.ask((what, stack, most), 30.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer.startswith(f"{most} at ")


@pytest.mark.parametrize("stack", STACKS)
def test_gather_runs_side_by_side_what_awaits(said: Said, stack: str) -> None:
    """An await in a loop does not, nor does gather with a client that blocks."""
    assert said("client-gather", stack, "asyncio.gather") == "all at once"
    assert said("client-gather", stack, "await one after another") == "one after another"
    blocking = "asyncio.gather of a blocking client"
    assert said("client-gather", stack, blocking) == "one after another"
    assert said("client-gather", stack, f"{blocking} through to_thread") == "all at once"
    bounded = said("client-gather", stack, "asyncio.gather, with a Semaphore(2)")
    assert bounded == "2 at a time"


@pytest.mark.alone
@pytest.mark.parametrize("stack", STACKS)
def test_the_clients_limit_is_for_all_servers_together(said: Said, stack: str) -> None:
    """100 by default, as aiohttp documents it; another limit is for each of them."""
    assert said("connections-limit", stack) == "100 at once"
    assert said("connections-limit", stack, "two servers") == "100 at once"
    each = "TCPConnector(limit_per_host=40)"
    assert said("connections-limit", stack, each) == "40 at once"
    assert said("connections-limit", stack, f"two servers, {each}") == "80 at once"
    assert said("connections-limit", stack, "TCPConnector(limit=0)") == "no limit"


@pytest.mark.parametrize("stack", STACKS)
def test_a_shared_session_uses_its_connection_again(said: Said, stack: str) -> None:
    """One for each request does not."""
    shared = said("client-sessions", stack, "one ClientSession, made at start-up")
    assert shared == "one connection for all"
    own = said("client-sessions", stack, "a ClientSession for each request")
    assert own == "a connection a request"


def test_one_connection_is_one_after_another_but_in_http_2(said: Said) -> None:
    """HTTP/1.1 keeps the order, whatever takes longest."""
    for stack in STACKS:
        one = said("same-connection", stack)
        assert one == "one after another, answered in the order of the requests"
    streams = said("same-connection", QUART, "HTTP/2")
    assert streams == "side by side, answered as they are ready"
    assert said("same-connection", AIOHTTP, "HTTP/2") == "none"


def test_a_crowd_counts_those_that_come_at_once() -> None:
    """Whether they come in threads or in coroutines, and not those that come after."""
    crowd = Crowd(0.1)
    with ThreadPoolExecutor(4, thread_name_prefix="held") as executor:
        began = time.monotonic()
        for held in [executor.submit(crowd.hold) for _ in range(10)]:
            held.result()
    assert crowd.most == 4
    assert crowd.threads == {f"held_{number}" for number in range(4)}
    assert time.monotonic() - began > 3 * 0.1  # four, four, and two

    async def all_at_once(together: Crowd) -> None:
        await asyncio.gather(*(together.hold_async() for _ in range(7)))

    async def one_by_one(alone: Crowd) -> None:
        for _ in range(3):
            await alone.hold_async()

    together, alone = Crowd(0.1), Crowd(0.05)
    asyncio.run(all_at_once(together))
    asyncio.run(one_by_one(alone))
    assert (together.most, alone.most) == (7, 1)
