"""Many things at once: turn a setting round, and the answer changes with it."""

from __future__ import annotations

import pytest

from tests.loadtests.behaviour.topics import AIOHTTP, QUART, Said, ask_topic


@pytest.fixture(scope="module")
def said() -> Said:
    return ask_topic("many", 60)


def test_waiting_needs_no_thread_and_blocking_does(said: Said) -> None:
    """A hundred at once, or as many as there are threads."""
    assert said("hundred-handlers", AIOHTTP, "await asyncio.sleep") == "all at once"
    assert said("hundred-handlers", QUART) == "all at once"
    pool = "min(32, cpus + 4) at a time"
    assert said("hundred-handlers", AIOHTTP, "time.sleep through to_thread") == pool
    assert said("hundred-handlers", QUART, "time.sleep in a sync route") == pool
    for stack, way in ((AIOHTTP, "through to_thread"), (QUART, "in a sync route")):
        larger = said("hundred-handlers", stack, f"time.sleep {way}, 50 threads set")
        assert larger == "50 at a time"


def test_gather_fetches_side_by_side(said: Said) -> None:
    """An await in a loop does not."""
    for stack in (AIOHTTP, QUART):
        assert said("client-gather", stack, "asyncio.gather") == "all at once"
        assert said("client-gather", stack, "await one after another") == "1 at a time"


def test_the_clients_limit_is_what_it_is_set_to(said: Said) -> None:
    """100 by default, as aiohttp documents it."""
    assert said("connections-limit", AIOHTTP) == "100 at once"
    assert said("connections-limit", AIOHTTP, "TCPConnector(limit=10)") == "10 at once"
    assert said("connections-limit", AIOHTTP, "TCPConnector(limit=0)") == "no limit"


def test_one_connection_is_one_after_another(said: Said) -> None:
    """And in order."""
    for stack in (AIOHTTP, QUART):
        assert said("same-connection", stack) == "one after another, answered in order"
