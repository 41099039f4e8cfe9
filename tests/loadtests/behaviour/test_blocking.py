"""What blocking code does to others: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import pytest

from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("blocking", 60)


def test_a_thread_frees_the_innocent_request(said: Said) -> None:
    """Behind all twelve on the loop, behind none of them in threads."""
    for stack in (AIOHTTP, QUART):
        on_the_loop = said("innocent-neighbour", stack, "time.sleep in an async route")
        assert on_the_loop == "behind all twelve"
        for way in ("asyncio.to_thread", "run_in_executor"):
            assert said("innocent-neighbour", stack, way) == "not delayed"
    assert said("innocent-neighbour", QUART, "time.sleep in a sync route") == "not delayed"
    both = "time.sleep in a sync route, the innocent one in a sync route too"
    assert said("innocent-neighbour", QUART, both) != "not delayed"


def test_a_loop_that_never_yields_does_so_when_told(said: Said) -> None:
    """`asyncio.sleep(0)` lets the others in."""
    for stack in (AIOHTTP, QUART):
        yielding = said("websocket-push", stack, "await asyncio.sleep(0)")
        assert yielding == "others are served"
    assert said("websocket-push", AIOHTTP, "no sleep") == "others starve"


def test_a_computation_in_a_thread_lets_others_in(said: Said) -> None:
    """On the loop it does not."""
    for stack in (AIOHTTP, QUART):
        alone = said("computing-thread", stack, "computing on the loop")
        assert alone == "others wait until it is done"
        threaded = said("computing-thread", stack, "computing in a thread")
        assert threaded == "others are served meanwhile"
