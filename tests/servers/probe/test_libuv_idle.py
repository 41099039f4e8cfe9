"""The waits of a uvloop, as libuv counts them."""

from __future__ import annotations

import asyncio
import os
import time

import uvloop

from loopbench.servers.probe.libuv_idle import LibuvIdle, libuv_idle
from tests.servers.processes import BOUND_S, eventually, held_up_s


async def _counted(idle: LibuvIdle) -> None:
    idle.reset()
    before_s = held_up_s(os.getpid())
    began_ns = time.monotonic_ns()
    assert idle.waited_ns() == 0  # no callback runs in a wait
    awaited_ns = held_ns = 0
    for _ in range(5):
        start_ns = time.monotonic_ns()
        await asyncio.sleep(0.02)
        woken_ns = time.monotonic_ns()
        time.sleep(0.01)
        held_ns += time.monotonic_ns() - woken_ns
        awaited_ns += woken_ns - start_ns
    waited_ns = idle.waited_ns()
    assert waited_ns <= time.monotonic_ns() - began_ns - held_ns
    # A loop that is without a CPU before it waits comes too late to wait for as long as it would.
    held_up = held_up_s(os.getpid()) - before_s
    assert waited_ns >= 0.5 * awaited_ns - held_up * 1e9
    idle.reset()
    assert idle.waited_ns() == 0


def test_libuv_counts_what_a_loop_waits_and_not_what_holds_it() -> None:
    """A sleep that holds the loop is none of its waits, and a reset begins anew."""
    loop = uvloop.new_event_loop()
    try:
        idle = libuv_idle(loop)
        assert idle is not None
        loop.run_until_complete(_counted(idle))
    finally:
        loop.close()


def waits_all_the_time(idle: LibuvIdle) -> bool:
    """Whether the loop has waited for all of a while: then it is in the wait that lasts."""
    before_ns = idle.waited_ns()
    began_ns = time.monotonic_ns()
    time.sleep(0.02)
    least_ns = time.monotonic_ns() - began_ns
    return idle.waited_ns() - before_ns >= least_ns


def test_a_wait_that_lasts_counts_so_far() -> None:
    """Read by another thread while the loop waits; of a reset in a wait, only the rest counts."""
    loop = uvloop.new_event_loop()

    def look(idle: LibuvIdle) -> None:
        assert eventually(lambda: waits_all_the_time(idle))
        earliest_ns = time.monotonic_ns()
        idle.reset()
        latest_ns = time.monotonic_ns()
        time.sleep(0.02)
        least_ns = time.monotonic_ns() - latest_ns
        waited_ns = idle.waited_ns()
        assert least_ns <= waited_ns <= time.monotonic_ns() - earliest_ns

    try:
        idle = libuv_idle(loop)
        assert idle is not None
        loop.run_until_complete(asyncio.to_thread(look, idle))
    finally:
        loop.close()


async def _rested(idle: LibuvIdle) -> None:
    idle.rest()
    before_ns = idle.waited_ns()
    await asyncio.sleep(0.02)
    assert idle.waited_ns() == before_ns
    idle.count()
    async with asyncio.timeout(BOUND_S):
        while (again_ns := idle.waited_ns()) == before_ns:
            await asyncio.sleep(0.02)
    assert again_ns > before_ns
    await asyncio.to_thread(idle.rest)  # in a wait, of which libuv then does not note the end
    resting_ns = idle.waited_ns()
    idle.count()
    assert again_ns <= resting_ns <= idle.waited_ns() < time.monotonic_ns()


def test_at_rest_nothing_is_counted() -> None:
    """Nor is a wait in which a rest began lost or counted twice, when it goes on."""
    loop = uvloop.new_event_loop()
    try:
        idle = libuv_idle(loop)
        assert idle is not None
        loop.run_until_complete(_rested(idle))
        total_ns = idle.waited_ns()
        idle.reset()
        assert idle.waited_ns() == 0 < total_ns
    finally:
        loop.close()


def test_another_loop_has_no_libuv() -> None:
    """asyncio's own keeps its waits in its selector."""
    loop = asyncio.new_event_loop()
    try:
        assert libuv_idle(loop) is None
    finally:
        loop.close()
