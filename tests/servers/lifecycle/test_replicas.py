"""Several processes of a stack on one port: started, read as one, and not all of them left."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from loopbench.results.schema import Cause
from loopbench.servers.errors import PortInUse
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.lifecycle.replicas import ServerGroup, server_processes
from loopbench.servers.probe.connection_pool import PoolReading
from loopbench.servers.probe.event_loop import LoopReading
from loopbench.servers.probe.executor import ExecutorReading
from loopbench.servers.probe.garbage_collector import Pauses
from loopbench.servers.probe.readings import (
    Glance,
    Instants,
    Observation,
    Observe,
    Reset,
    TallyReading,
)
from loopbench.servers.probe.stalls.readings import StallRow, StallsReading
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import DEFAULT
from loopbench.servers.supervision.control_pipe import ControlClosed
from loopbench.servers.supervision.merging import merged
from loopbench.servers.supervision.os_stats import Reading, ThreadReading
from tests.servers.choices import stacks
from tests.servers.processes import ask, eventually

SETTINGS = Settings(probe=True, executor_threads=2)
REQUESTS = 40
"""Each on a connection of its own: that one of two processes gets none of them has a chance of
one in 2 ** 39, the kernel's hash being even."""


pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize(
    "name", stacks((*DEFAULT, "quart-uvicorn", "quart-granian", "flask-waitress"))
)
def test_processes_share_a_port_and_are_read_as_one(name: str) -> None:
    """Every request is counted once, by the process that got it; CPU time and memory add up."""
    with server_processes(name, 2, settings=SETTINGS) as server:
        assert isinstance(server, ServerGroup)
        first, second = server.members
        assert first.pid != second.pid
        assert first.port == second.port == server.port
        assert first.facts.settings["reuse_port"] is True
        assert server.alive
        server.ask(Reset(instants=True))
        for _ in range(REQUESTS):
            ask(server.port, "plain")
        tallies = server.ask(Observe()).routes["plain"]
        assert {tally.pid for tally in tallies} == {first.pid, second.pid}
        assert sum(tally.requests for tally in tallies) == REQUESTS
        before, both, one = server.read(), server.read(), first.read()
        assert both.threads == one.threads + second.read().threads
        assert before.cpu_ns <= both.cpu_ns
        assert both.monotonic_ns > before.monotonic_ns
        assert both.rss_bytes is None or one.rss_bytes is None or both.rss_bytes > one.rss_bytes
        assert server.ask(Glance()).process.threads == both.threads
        assert server.ask(Instants("plain", 0, REQUESTS)).began_ns is None
        ended = server.stop()
    assert (ended.exit_code, ended.killed) == (0, False)
    assert ended.stop_ms == max(member.stop().stop_ms or 0.0 for member in server.members)


def test_one_process_is_a_plain_server() -> None:
    """It shares its port with nobody."""
    with server_processes("asyncio", 1, settings=SETTINGS) as server:
        assert isinstance(server, ServerProcess)
        assert server.facts.settings["reuse_port"] is False
        with (
            pytest.raises(PortInUse),
            server_process(
                "asyncio", settings=replace(SETTINGS, reuse_port=True), port=server.port
            ),
        ):
            pass


def test_one_that_dies_is_the_death_of_all() -> None:
    """A sum without it would be too small, so there is none; the other is stopped all the same."""
    with server_processes("asyncio", 2, settings=SETTINGS) as server:
        assert isinstance(server, ServerGroup)
        os.kill(server.members[1].pid, signal.SIGKILL)
        assert eventually(lambda: not server.alive)
        with pytest.raises(ControlClosed):
            server.read()
        ended = server.stop()
    assert (ended.stop_ms, ended.exit_code, ended.killed) == (None, -signal.SIGKILL, False)


def test_what_one_does_not_know_is_unknown_of_all() -> None:
    """A blank is never taken for a nought."""
    one = Reading(100, 10, 1000, None, 2, 5, 7, 3)
    assert merged([one, replace(one, monotonic_ns=300, rss_bytes=None)]) == Reading(
        200, 20, None, None, 4, 10, 14, 6
    )


def test_what_the_probes_counted_is_put_together() -> None:
    """Counts are added, extremes kept, and a route's tallies keep their process."""

    def stall(pid: int) -> StallRow:
        return StallRow(pid, 3.0 - pid, 9.0, Cause.PYTHON, "", *(None,) * 7)

    def told(pid: int, most: int, idle_ns: int | None) -> Observation:
        tally = TallyReading(pid, "MainThread", True, True, True, "L", 1, most, ((5, most),))
        return Observation(
            pid=pid,
            seconds=1.0 + pid,
            failure=None if pid == 1 else "it broke",
            loop=LoopReading(
                *("L", 100, idle_ns, most, most, 3, ((10, 1), (20 + most, 2))),
                *("selector", most, None if pid == 1 else 7, 1),
            ),
            executor=ExecutorReading(2, most, ((1, 1),), ()),
            pool=PoolReading({}, None, ()),
            collector=(Pauses(0, 1, 5, 5),),
            stalls=StallsReading(None, (stall(pid),), beyond=pid),
            routes={"plain": (tally,)},
            threads=(ThreadReading(pid, "MainThread", most, 0),),
        )

    both = merged([told(1, 4, 30), told(2, 6, 50)])
    assert (both.pid, both.seconds, both.failure) == (1, 3.0, "it broke")
    assert both.loop == LoopReading(
        *("L", 200, 80, 6, 6, 6, ((10, 2), (24, 2), (26, 2))), *("selector", 10, 7, 2)
    )
    assert both.executor == ExecutorReading(4, 6, ((1, 2),), ())
    assert [one.pid for one in both.stalls.stalls] == [2, 1]
    assert (both.stalls.unwatched, both.stalls.beyond) == (None, 3)
    assert both.collector == (Pauses(0, 1, 5, 5),) * 2
    assert [(one.pid, one.requests) for one in both.routes["plain"]] == [(1, 4), (2, 6)]
    assert [thread.pid for thread in both.threads] == [1, 2]
    assert merged([told(1, 4, 30), told(2, 6, None)]).loop.idle_ns is None
