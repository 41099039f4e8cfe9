"""The generator's timer: never early, in order, and a good neighbour to other greenlets."""

from __future__ import annotations

import os
import sys
import time

import gevent
import pytest

from loopbench.loadtests.generator.timer import Timer
from tests.servers.processes import held_up_s


def test_it_never_wakes_early() -> None:
    """Whatever the length of the sleep, the due time has come when it ends."""
    with Timer() as timer:
        for microseconds in (1, 10, 50, 100, 333, 999, 1000, 1001, 2500, 20_000):
            for _ in range(5):
                due = time.monotonic_ns() + microseconds * 1000
                timer.sleep_until(due)
                assert time.monotonic_ns() >= due


def test_what_has_passed_is_not_waited_for() -> None:
    """A due time in the past returns without giving way to other greenlets."""
    ran: list[bool] = []

    def run() -> None:
        ran.append(True)

    gevent.spawn(run)
    with Timer() as timer:
        timer.sleep_until(time.monotonic_ns() - 1_000_000)
        timer.sleep_until(0)
        assert ran == []
        timer.sleep_until(time.monotonic_ns() + 1_000_000)
        assert ran == [True]


def test_sleepers_wake_in_the_order_of_their_due_times() -> None:
    """Greenlets that sleep until different times, started in any order, wake in order.

    Of two whose times have both come before the process gets a CPU, either may be the first: where
    it had to wait for one for as long as they are apart, it is asked again.
    """
    step_s = 0.1
    for _ in range(10):
        before_s = held_up_s(os.getpid())
        woken = woken_in_order_of_time(step_s)
        if held_up_s(os.getpid()) - before_s < step_s:
            break
    assert woken == [0, 1, 2, 3, 4]


def woken_in_order_of_time(step_s: float) -> list[int]:
    """The numbers of five sleepers as they wake, that of each being how many steps it sleeps."""
    base, woken = time.monotonic_ns() + 20_000_000, list[int]()

    def sleep(steps: int) -> None:
        with Timer() as timer:
            timer.sleep_until(base + int(steps * step_s * 1e9))
            woken.append(steps)

    gevent.joinall([gevent.spawn(sleep, steps) for steps in (3, 0, 4, 1, 2)])
    return woken


@pytest.mark.alone
def test_an_expiry_nobody_waited_for_does_not_cut_the_next_sleep_short() -> None:
    """A sleep that was broken off leaves no stale readiness behind."""
    with Timer() as timer:
        timeout = gevent.Timeout(0.005)
        with pytest.raises(gevent.Timeout), timeout:
            timer.sleep_until(time.monotonic_ns() + 500_000_000)
        time.sleep(0.51)  # the kernel's timer goes off meanwhile
        due = time.monotonic_ns() + 30_000_000
        timer.sleep_until(due)
        assert time.monotonic_ns() >= due


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: reads /proc")
def test_descriptors_are_given_back() -> None:
    """A closed timer holds no descriptor; closing it twice closes nobody else's."""
    with Timer():
        pass
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with Timer() as timer:
            timer.sleep_until(time.monotonic_ns() + 1000)
    timer.close()
    assert len(os.listdir("/proc/self/fd")) == before
