"""The options for several workers and for servers elsewhere, and their clocks and addresses."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from loopbench.loadtests.cli import cli
from loopbench.loadtests.distributed import preflight
from loopbench.loadtests.distributed.fleet import Fleet
from loopbench.loadtests.distributed.master.peers import Clock, Peer
from loopbench.loadtests.distributed.master.roster import Roster
from loopbench.loadtests.distributed.options import fleet_of, place_of
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.address import is_loopback, parse_address
from loopbench.loadtests.hosts.cpus import CpuPlan, allowed_cpus, share_cpus
from loopbench.loadtests.hosts.host_info import host_info
from loopbench.loadtests.hosts.server_location import HERE
from loopbench.loadtests.messages.workers import LOST_AFTER_S, Hello
from loopbench.results.schema import Code
from loopbench.results.schema.warnings import WORKER_SILENT_AFTER_S
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.supervision.os_stats import Reading
from tests.servers.processes import BOUND_S


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--workers", "2", "--expect-workers", "2"], "--workers starts them here"),
        (["--bind", "127.0.0.1:1"], "--bind needs --expect-workers"),
        (["--key-file", "key"], "--key-file needs --expect-workers"),
        (["--expect-workers", "1", "--bind", "5557"], "'5557' is not HOST:PORT"),
        (["--expect-workers", "1", "--bind", "::1:5557"], "is written in brackets"),
        (["--workers", "0"], "0 is not in the range"),
        (["--server-host", "10.0.0.1"], "need --server-via"),
        (["--server-via", "ssh there"], "needs --server-host"),
        (["--server-via", "'", "--server-host", "h"], "--server-via: No closing quotation"),
        (["--server-via", " ", "--server-host", "h"], "--server-via is empty"),
        (
            ["--server-via", "ssh h", "--server-host", "h", "--server-root", "/my files"],
            "would not pass a shell",
        ),
        (
            ["--server-via", "ssh h", "--server-host", "h", "--server-cpus", "a"],
            "is no list of CPUs",
        ),
    ],
)
def test_wrong_usage_is_named(options: list[str], cause: str) -> None:
    """Before anything is started."""
    done = CliRunner().invoke(cli, ["bench", *options])
    assert done.exit_code == 2
    assert cause in done.output


def test_what_the_options_ask_for() -> None:
    """One generator here, unless something else is asked for."""
    assert fleet_of(None, None, None, None) is None
    assert fleet_of(3, None, None, None) == Fleet(3, "127.0.0.1:0", remote=False)
    assert fleet_of(None, 20, None, None) == Fleet(20, "127.0.0.1:5557", remote=True)
    assert fleet_of(None, 2, "10.0.0.1:9", None) == Fleet(2, "10.0.0.1:9", remote=True)
    assert place_of(None, None, None, None, None) == HERE
    there = place_of("ssh -p 22 'a b'", "10.0.0.2", "/usr/bin/python3", "/srv/bench", "2,3")
    assert there.via == ("ssh", "-p", "22", "a b")
    assert (there.host, there.python, there.root) == ("10.0.0.2", "/usr/bin/python3", "/srv/bench")
    assert there.cpus == frozenset({2, 3})
    plan = CpuPlan(frozenset({1}), frozenset({0}), ())
    assert there.cpus_of(plan) == CpuPlan(frozenset({2, 3}), frozenset({0}), ())
    unpinned = place_of("ssh h", "h", None, None, None).cpus_of(plan)
    assert unpinned == CpuPlan(None, frozenset({0}), (Code.NOT_PINNED,))
    assert HERE.cpus_of(plan) == plan


@pytest.mark.parametrize(
    ("text", "expected", "loopback"),
    [
        ("127.0.0.1:5557", ("127.0.0.1", 5557), True),
        ("[::1]:1", ("[::1]", 1), True),
        ("localhost:0", ("localhost", 0), True),
        ("10.0.0.1:80", ("10.0.0.1", 80), False),
        ("0.0.0.0:80", ("0.0.0.0", 80), False),
        ("load.example:80", ("load.example", 80), False),
    ],
)
def test_addresses(text: str, expected: tuple[str, int], loopback: bool) -> None:
    """Host and port, and whether others can reach it."""
    host, port = parse_address(text)
    assert (host, port) == expected
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:x", "host:65536", "[::1:5"])
def test_what_is_no_address(text: str) -> None:
    """Is refused with the text."""
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
        parse_address(text)


@pytest.mark.parametrize(
    ("allowed", "workers", "expected", "codes"),
    [
        ([0, 1, 2, 3], 2, [{2}, {1}], ()),
        ([0, 1, 2, 3], 3, [{2}, {1}, {0}], ()),
        ([0, 1, 2, 3], 4, [{0, 1, 2}] * 4, (Code.WORKERS_SHARE_CPUS,)),
        ([0, 3], 1, [{0}], ()),
    ],
)
def test_workers_get_cpus_beside_the_server_s(
    allowed: list[int], workers: int, expected: list[set[int]], codes: tuple[Code, ...]
) -> None:
    """One each where there are enough; else all share them, and the rows say so."""
    plan = CpuPlan(frozenset({3}), frozenset({2}), ())
    assert share_cpus(plan, allowed, workers) == ([frozenset(one) for one in expected], codes)


def test_nothing_is_pinned_where_the_system_cannot() -> None:
    """The workers go where the kernel puts them."""
    assert share_cpus(CpuPlan(None, None, (Code.NOT_PINNED,)), None, 2) == ([None, None], ())


def test_a_clock_is_known_within_half_the_quickest_round_trip() -> None:
    """Ahead by 5 ms; the way there takes 1 ms, the way back 3 ms: the error is at most 2 ms."""
    clock = Clock(same_kernel=False)
    clock.add(sent_ns=100_000_000, there_ns=125_000_000, back_ns=140_000_000)
    clock.add(sent_ns=200_000_000, there_ns=206_000_000, back_ns=204_000_000)
    clock.add(sent_ns=300_000_000, there_ns=390_000_000, back_ns=380_000_000)
    assert clock.round_trip_ns == 4_000_000
    assert abs(clock.offset_ns - 5_000_000) <= 2_000_000
    clock.add(sent_ns=50, there_ns=0, back_ns=40)  # our own clock was set back meanwhile
    assert (clock.round_trip_ns, clock.bound_ns) == (4_000_000, 2_000_000)


def test_one_kernel_has_one_clock() -> None:
    """There the offset is 0 by definition, and the bound is still measured."""
    clock = Clock(same_kernel=True)
    clock.add(sent_ns=100, there_ns=900, back_ns=300)
    assert (clock.offset_ns, clock.bound_ns) == (0, 100)


def test_a_gap_is_the_longest_silence_of_a_load() -> None:
    """It counts from the load's begin on, and not what was before."""
    peer = Peer(1, "x", Hello(replace(host_info(), host="h"), 1), Clock(same_kernel=True))
    peer.last_message = time.monotonic() - 100.0
    peer.note_message()
    assert peer.longest_gap_s >= 100.0
    peer.begin(users=1)
    peer.last_message = time.monotonic() - WORKER_SILENT_AFTER_S
    peer.note_message()
    peer.note_message()
    assert WORKER_SILENT_AFTER_S <= peer.longest_gap_s < 100.0
    assert peer.name == "1 on h"


def test_a_master_that_stood_still_does_not_call_that_its_workers_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they have sent meanwhile is still to be read. Silence to which it listened counts."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    roster = Roster(SimpleNamespace(clients={"x": None}), 1)
    peer = roster.join("x", Hello(host_info(), 1))
    now += 100.0
    assert roster.living() == [peer]
    for _ in range(int(LOST_AFTER_S)):
        now += 1.0
        assert roster.living() == [peer]
    now += 1.0
    assert roster.living() == []
    assert roster.lost() == [f"worker {peer.name}: nothing was heard of it for 16 s"]


def test_hosts_are_checked_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host in a line, the round trip, what all can do together, and what will limit."""
    monkeypatch.setattr(preflight, "TRIAL_S", 0.2)
    done = CliRunner(catch_exceptions=False).invoke(cli, ["check-hosts", "--workers", "1"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    python = ".".join(map(str, sys.version_info[:3]))
    beginnings = ("server: ", "worker 1 on ", "to the server and back", "to the master and back")
    assert [any(line.startswith(begin) for line in lines) for begin in beginnings] == [True] * 4
    assert f"Python {python}" in lines[0]
    assert sum("users against the trivial responder" in line for line in lines) == 1
    assert lines[-1] == "nothing stands against a run"


def test_workers_that_share_a_cpu_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the round trip, which would be looked for in vain."""
    monkeypatch.setattr(preflight, "TRIAL_S", 0.2)
    monkeypatch.setattr(preflight, "GENERATOR_CPU_LIMIT", 2.0)
    workers = str(len(allowed_cpus() or [0]))  # the server has one of them
    done = CliRunner(catch_exceptions=False).invoke(cli, ["check-hosts", "--workers", workers])
    assert done.exit_code == 0, done.output
    assert "there are more workers than CPUs for them: they wait for each other" in done.output
    assert "the round trip limits" not in done.output


def test_a_server_that_dies_before_the_trial_ends_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, which says what was not there."""

    def read(server: ServerProcess, bound_s: float = BOUND_S) -> Reading:
        os.kill(server.pid, signal.SIGKILL)
        return as_it_is(server, bound_s)

    as_it_is = ServerProcess.read
    monkeypatch.setattr(ServerProcess, "read", read)
    done = CliRunner().invoke(cli, ["check-hosts", "--workers", "1"])
    assert isinstance(done.exception, HarnessError)
    assert str(done.exception).startswith("the server could not be read under the trial's load: ")
