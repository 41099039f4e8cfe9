"""Many things at once: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from loopbench.loadtests.behaviour import applications as apps
from loopbench.loadtests.behaviour.applications import AIOHTTP, ANSWERING, QUART, App, Build, Work
from loopbench.loadtests.behaviour.framework.crowd import Crowd
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import Answer, Key
from loopbench.loadtests.behaviour.many import handlers

STACKS = (AIOHTTP, QUART)


def slow_to_accept(application: Build, works: dict[str, Work]) -> App:
    """Its loop is kept from accepting when the clients come."""
    app = application(works)

    async def block(*_: object) -> AsyncIterator[None]:
        asyncio.get_running_loop().call_later(0.05, time.sleep, 0.5)
        yield

    apps.around_serving(app, block)
    return app


def other(key: Key) -> Answer:
    """key: what is to be limited, stack, and to how many. How many there are at once then."""
    what, stack, most = key
    if what == "threads":
        return handlers.ask_hundred(apps.SYNC[stack], handlers.plain, threads=int(most))
    if what == "slow to accept":
        return handlers.ask_limit(partial(slow_to_accept, ANSWERING[stack]), (1, {"limit": 0}))
    return handlers.ask_limit(ANSWERING[stack], (1, {"limit": int(most)}))


@pytest.fixture(scope="module")
def others() -> Iterator[Nursery]:
    with Nursery(other) as ready:
        yield ready


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("what", "most"), [("threads", "34"), ("connections", "37")])
def test_a_limit_is_what_it_is_set_to(others: Nursery, what: str, stack: str, most: str) -> None:
    """Threads of the pool, and connections of the client."""
    outcome = others.ask((what, stack, most), 30.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer.startswith(f"{most} at ")


@pytest.mark.parametrize("stack", STACKS)
def test_connections_that_are_tried_again_are_counted(others: Nursery, stack: str) -> None:
    """More come at once than wait to be accepted: the kernel drops some, and TCP sends again."""
    outcome = others.ask(("slow to accept", stack, ""), 30.0)
    assert outcome.answer is not None, outcome.problem
    assert outcome.answer.answer == "no limit"


def test_a_crowd_that_is_complete_is_held_no_longer() -> None:
    """However long it would be held for those who may still come."""
    crowd = Crowd(60.0, expected=3)

    async def all_at_once() -> None:
        await asyncio.wait_for(asyncio.gather(*(crowd.hold_async() for _ in range(3))), 30.0)

    asyncio.run(all_at_once())
    assert crowd.most == 3


def test_a_crowd_counts_those_that_come_at_once() -> None:
    """Whether they come in threads or in coroutines, and not those that come after."""
    crowd = Crowd(0.5)
    with ThreadPoolExecutor(4, thread_name_prefix="held") as executor:
        began = time.monotonic()
        for held in [executor.submit(crowd.hold) for _ in range(10)]:
            held.result()
    assert crowd.most == 4
    assert crowd.threads == {f"held_{number}" for number in range(4)}
    assert time.monotonic() - began > 3 * 0.5  # four, four, and two

    async def all_at_once(together: Crowd) -> None:
        await asyncio.gather(*(together.hold_async() for _ in range(7)))

    async def one_by_one(alone: Crowd) -> None:
        for _ in range(3):
            await alone.hold_async()

    together, alone = Crowd(0.1), Crowd(0.05)
    asyncio.run(all_at_once(together))
    asyncio.run(one_by_one(alone))
    assert (together.most, alone.most) == (7, 1)
