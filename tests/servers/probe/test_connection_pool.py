"""Pools of connections: what their watch counts, and that those of the stacks are equal."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from loopbench.servers.lifecycle.in_loop import Server
from loopbench.servers.lifecycle.parity import differences
from loopbench.servers.probe.connection_pool import PoolReading, PoolWatch
from loopbench.servers.stacks import CORE
from loopbench.servers.supervision.merging import merged
from tests.servers.choices import stacks
from tests.servers.conftest import Lab
from tests.servers.contract import wire

WITH_STORES = CORE


def test_waits_and_those_who_wait() -> None:
    """Three wait at once, in threads, each for as long as it did; a reset begins anew, with those
    who wait by then."""
    watch = PoolWatch()
    watch.sizes["threads"] = 2
    begun = [watch.begin() for _ in range(3)]
    time.sleep(0.02)
    for one in begun:
        ending = threading.Thread(target=watch.end, args=(one,))
        ending.start()
        ending.join()
    seen = watch.read()
    assert (seen.sizes, seen.most_waiting) == ({"threads": 2}, 3)
    assert sum(count for _, count in seen.wait_us) == 3
    assert min(us for us, _ in seen.wait_us) >= 20_000
    watch.reset()
    assert watch.read() == PoolReading({"threads": 2}, 0, ())
    waiting = watch.begin()
    watch.reset()
    watch.end(waiting)
    assert watch.read().most_waiting == 1


def test_no_pool_is_not_a_zero() -> None:
    """Where none was opened nobody could wait."""
    assert PoolWatch().read() == PoolReading({}, None, ())


def test_several_processes_as_one() -> None:
    """Connections and waits are added; the most that waited is of one process."""
    none = PoolWatch().read()
    one = PoolReading({"loop": 8}, 5, ((10, 2), (20, 1)))
    other = PoolReading({"loop": 8, "threads": 8}, 3, ((10, 1),))
    assert merged([one, none, other]) == PoolReading(
        {"loop": 16, "threads": 8}, 5, ((10, 3), (20, 1))
    )
    assert merged([none, none]).most_waiting is None


@pytest.mark.parametrize("stack_name", stacks(WITH_STORES))
def test_what_is_in_force_once_both_were_asked(lab: Lab, server: Server) -> None:
    """As the pools say, not as they were told."""
    for kind in ("async", "sync"):
        assert lab.run(wire.get(server, f"/db/{kind}")).status == 200
    in_force = server.in_force()
    assert (in_force["database_pool_loop"], in_force["database_pool_threads"]) == (8, 8)


def test_pools_are_compared_where_there_are_any() -> None:
    """A pool of another size is a difference; a stack without one is no other stack."""
    facts: dict[str, dict[str, Any]] = {
        "aiohttp": {"in_force": {"database_pool_loop": 8, "json": "{}"}},
        "equal": {"in_force": {"database_pool_loop": 8, "json": "{}"}},
        "smaller": {"in_force": {"database_pool_loop": 4, "json": "{}"}},
        "without": {"in_force": {"json": "{}"}},
        "silent": {"in_force": {"database_pool_loop": 8}},
    }
    found = [(one.stack, one.setting) for one in differences(facts)]
    assert found == [
        ("smaller", "in_force.database_pool_loop"),
        ("silent", "in_force.json"),
    ]
