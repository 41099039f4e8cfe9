"""Limits of the machine, real ones: open files, CPU quota, affinity that is refused, ports."""

from __future__ import annotations

import json
import os
import platform
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from loopbench.loadtests.bench.checks.own_failures import expect_own_resources
from loopbench.loadtests.bench.checks.verify import problems, socket_problems
from loopbench.loadtests.errors import GeneratorDied, HarnessError
from loopbench.loadtests.hosts.open_files import A_USER, BESIDE_USERS, expect_enough
from loopbench.loadtests.messages.reports import Failure
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.results.schema import RUNS, Code, read_table
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.websockets import EXCHANGES
from loopbench.servers.supervision.cpu_quota import cpu_quotas, strictest
from tests.conftest import ROOT
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, codes, ended, one_error, reach
from tests.loadtests.rows.reports import load_report, phase, session_report
from tests.servers.processes import eventually, needs_proc

IN = "import os, sys, resource, ctypes, struct\n{}\nos.execv(sys.argv[1], sys.argv[1:])\n"


def bench_under(prelude: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """A bench in a process that did something to itself first."""
    command = [sys.executable, "-m", "loadtests", "bench", "--out", str(folder), *SHORT, *options]
    return subprocess.run(
        [sys.executable, "-c", IN.format(prelude), *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def files_limit(most: int) -> str:
    return f"resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most}))"


@pytest.mark.parametrize(("scenario", "most"), [("waiting-1000", 1024), ("async-1", 40)])
def test_too_few_files_are_said_before_the_load(scenario: str, most: int, tmp_path: Path) -> None:
    """The number needed and the remedy, at once, and no folder."""
    options = ("--stack", "aiohttp", "--scenario", scenario)
    done = bench_under(files_limit(most), tmp_path / "run", *options)
    assert done.returncode == 1
    line = one_error(done.stderr)
    users = {"waiting-1000": 1000, "async-1": 1}[scenario]
    needed = users * A_USER + BESIDE_USERS
    assert f"{scenario} needs {needed:,} open files in one process" in line
    assert f"the hard limit is {most:,}" in line
    assert f"ulimit -Hn {needed}" in line
    assert not (tmp_path / "run").exists()


@needs_proc
def test_as_many_files_as_are_asked_for_are_enough(tmp_path: Path) -> None:
    """With exactly the number that the line names, the bench has no failure; its window is as long
    as the scenario needs, however short a one was asked for."""
    options = ("--stack", "aiohttp", "--scenario", "waiting-1000", "--rounds", "1")
    done = bench_under(files_limit(1000 * A_USER + BESIDE_USERS), tmp_path / "run", *options)
    assert done.returncode == 0, done.stderr
    (row,) = read_table(tmp_path / "run", RUNS)
    assert isinstance(row["measured_s"], float)
    needed_s = SCENARIOS["waiting-1000"].measured_s
    assert needed_s is not None
    assert row["measured_s"] >= 0.95 * needed_s


def test_the_largest_scenario_counts() -> None:
    """One line for all, about the one that needs most; none where the limit is enough."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    expect_enough({"one": 1, "two": 2})
    if hard != resource.RLIM_INFINITY:
        with pytest.raises(HarnessError, match=r"^two needs"):
            expect_enough({"one": 1, "two": hard})


NO_AFFINITY = """
libc = ctypes.CDLL(None)
def op(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)
program = b"".join((
    op(0x20, 0, 0, 0),           # load the number of the system call
    op(0x15, 0, 1, {number}),    # sched_setaffinity?
    op(0x06, 0, 0, 0x00050001),  # then it fails with EPERM
    op(0x06, 0, 0, 0x7FFF0000),  # anything else is allowed
))
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
kept = Program(len(program) // 8, program)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(kept), 0, 0) == 0
"""
_NUMBERS = {"x86_64": 203, "aarch64": 122}
"""Of sched_setaffinity, by machine."""


@needs_proc
@pytest.mark.skipif(platform.machine() not in _NUMBERS, reason="this platform lacks the number")
def test_affinity_that_is_refused_is_a_warning(tmp_path: Path) -> None:
    """Under a seccomp filter, as sandboxes have: measured unpinned, and every row says so."""
    prelude = NO_AFFINITY.format(number=_NUMBERS[platform.machine()])
    folder = tmp_path / "run"
    done = bench_under(prelude, folder, *ONE_CELL, "--rounds", "1")
    assert done.returncode == 0, done.stderr
    (row,) = read_table(folder, RUNS)
    assert Code.NOT_PINNED in codes(row)
    described = json.loads((folder / "environment.json").read_text())
    assert described["pinned"] == {"server": None, "generator": None}


_GROUPS = Path("/sys/fs/cgroup/cpu")


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group with a quota of half a CPU."""
    folder = _GROUPS / f"loopbench-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("not permitted here: a control group of version 1 with a CPU quota")
    try:
        # A short period: beside other tests a process may not get half of a long one.
        (folder / "cpu.cfs_period_us").write_text("10000")
        (folder / "cpu.cfs_quota_us").write_text("5000")
        yield folder
    finally:
        folder.rmdir()


@needs_proc
def test_a_cpu_quota_is_recorded_and_warned_of(group: Path, tmp_path: Path) -> None:
    """Half a CPU: environment.json has it, a line says it, and the throttled Run has a Warning."""
    folder = tmp_path / "run"
    options = ("--stack", "asyncio", "--scenario", "async-32", "--rounds", "1", "--duration", "3")
    with Bench(folder, *options) as bench:
        # Before it has started anybody, who would not be in the group.
        (group / "cgroup.procs").write_text(str(bench.process.pid))
        reach(bench, Bench.loading)
        # So little that it is cut off on the busiest machine, too.
        (group / "cpu.cfs_quota_us").write_text("1000")
        before = _throttled(group)
        assert eventually(lambda: _throttled(group) > before)
        (group / "cpu.cfs_quota_us").write_text("-1")
        whole = ended(bench)
    assert whole.status == 0, whole.errors
    described = json.loads((folder / "environment.json").read_text())
    assert described["machine"]["cpu_quota"] == 0.5
    assert f"limited to that of 0.5 of {os.cpu_count()} CPUs" in whole.errors
    assert Code.CPU_THROTTLED in codes(whole.rows[0])


def _throttled(group: Path) -> int:
    return int((group / "cpu.stat").read_text().partition("nr_throttled")[2].split()[0])


def test_quotas_of_version_2_are_those_of_all_groups_above(tmp_path: Path) -> None:
    """As the kernel writes cpu.max and cpu.stat; the strictest counts, `max` is none."""
    (tmp_path / "own").write_text("1:name=systemd:/a\n0::/a/b/c\n")
    mount = tmp_path / "cgroup"
    (mount / "a" / "b" / "c").mkdir(parents=True)
    limits = {"a": "200000 100000", "a/b": "150000 100000", "a/b/c": "max 100000"}
    for place, text in limits.items():
        (mount / place / "cpu.max").write_text(f"{text}\n")
        (mount / place / "cpu.stat").write_text("usage_usec 5\nnr_periods 197\nnr_throttled 176\n")
    quotas = cpu_quotas(tmp_path / "own", mount)
    assert [quota.cpus for quota in quotas] == [1.5, 2.0]
    assert strictest(quotas) == 1.5
    assert [quota.throttled() for quota in quotas] == [176, 176]
    assert cpu_quotas(tmp_path / "none", mount) == ()
    assert strictest(()) is None


def test_requests_that_were_not_sent_are_not_the_servers_failures() -> None:
    """Refused with the number, the cause and the remedy; a server's failures pass."""
    theirs = phase(Failure("connect: ECONNREFUSED", 3, "x"), Failure("EPIPE", 1, "y"))
    expect_own_resources(session_report({"main": load_report(phase(), theirs)}))
    for name in ("EADDRNOTAVAIL", "EMFILE"):
        own = phase(Failure(f"connect: {name}", 7, "x"))
        with pytest.raises(GeneratorDied, match=rf"^7 requests were not sent \({name}\)"):
            expect_own_resources(session_report({"main": load_report(own, theirs)}))


FEW_PORTS = """
libc = ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x40000000) == 0, ctypes.get_errno()  # CLONE_NEWNET
assert os.system("ip link set lo up") == 0
open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("40000 {last}")
"""


def under_few_ports(count: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """A bench with a new connection for each request, in a network namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a network namespace with few ports")
    prelude = FEW_PORTS.format(last=40_000 + count - 1)
    options = ("--stack", "aiohttp", "--scenario", "churn", "--rounds", "1", "--duration", "2")
    return bench_under(prelude, folder, *options)


def test_ports_that_the_contract_needs_are_no_fault_of_the_stack(tmp_path: Path) -> None:
    """The bench ends with cause and remedy; no Stack is left out for it."""
    done = under_few_ports(61, tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert one_error(done.stderr).startswith("error: cannot ask the server (EADDRNOTAVAIL): ")
    assert "left out" not in done.stderr


CHECKS = {
    "requests": partial(problems, cases=[CASES["plain"]]),
    "sockets": partial(socket_problems, exchanges=[EXCHANGES["ws-echo-text"]]),
}


@pytest.mark.parametrize("check", CHECKS)
def test_what_the_asking_side_lacks_is_no_fault_of_the_stack(check: str) -> None:
    """Requests and WebSockets alike: here no file may be opened. A server that refuses a connection
    is at fault, as ever."""
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))
        at = nobody.getsockname()
        (refused,) = CHECKS[check](*at)
        assert "ConnectionRefusedError" in refused
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            with pytest.raises(HarnessError, match=r"^cannot ask the server \(EMFILE\): "):
                CHECKS[check](*at)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_proc
def test_ports_that_are_used_up_are_the_generators_failure(tmp_path: Path) -> None:
    """Enough for the contract, too few for the load: a Run without figures and without failures of
    the server, and the remedy in the line."""
    done = under_few_ports(250, tmp_path / "run")
    assert done.returncode == 1, done.stderr
    assert "EADDRNOTAVAIL" in one_error(done.stderr)
    assert "ip_local_port_range" in done.stderr
    rows = (tmp_path / "run" / "runs.csv").read_text().splitlines()[1:]
    assert rows
    assert all(str(Code.GENERATOR_DIED) in row for row in rows)
    assert len((tmp_path / "run" / "failures.csv").read_text().splitlines()) == 1
