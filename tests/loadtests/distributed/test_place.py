"""Servers behind a command: over a real ssh, and on a machine with another clock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from loopbench.loadtests.bench.loads import run
from loopbench.loadtests.bench.loads.run import measure
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.hosts.host_info import host_info, source_version
from loopbench.loadtests.hosts.server_location import Place
from loopbench.loadtests.observe.observer import Observer
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.results.schema import Code
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle.process import ServerProcess
from loopbench.servers.probe.readings import Observe
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import STACKS
from loopbench.servers.supervision.control_pipe import ControlClosed
from loopbench.servers.supervision.os_stats import BOOT_ID
from tests.loadtests.distributed.sshd import needs_sshd, ssh_to_here
from tests.servers.processes import eventually, free, needs_proc, running
from tests.trees import copy_suite


def another_kernel(folder: Path) -> tuple[str, ...]:
    """A command in front under which this machine says that it is another one."""
    other = folder / "boot_id"
    other.write_text(f"{uuid.uuid4()}\n")
    script = f'mount --bind {other} {BOOT_ID} && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, "sh")


def _may_not_mount() -> str | None:
    """Why no file may be mounted over here; None where that is possible."""
    if sys.platform != "linux":
        return "on Linux only: mounts in a namespace of its own"
    if os.geteuid() != 0:
        return "only root may mount over a file"
    if shutil.which("unshare") is None:
        return "needs the package util-linux"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return f"not permitted here: {done.stderr.strip()}" if done.returncode else None


_why_not = _may_not_mount()
needs_root = pytest.mark.skipif(_why_not is not None, reason=str(_why_not))


@needs_proc
@needs_sshd
def test_a_server_behind_ssh(tmp_path: Path) -> None:
    """Started, read, loaded and stopped as one of this machine; when ssh is killed in the middle,
    the server over there ends by itself."""
    with ssh_to_here(tmp_path) as ssh:
        place = Place(via=ssh)
        assert place.facts().source == source_version()
        place.check()
        watched = Settings(probe=True)
        with place.server("asyncio", settings=watched, cpus=frozenset({0}), log=None) as server:
            pid, port = server.pid, server.port
            assert running(pid) and server.one_clock
            assert server.facts.cpus == (0,)
            assert server.read().cpu_ns > 0
            assert server.ask(Observe()).executor.threads_max is not None
            stopped = server.stop()
        assert (stopped.killed, stopped.exit_code) == (False, 0)
        assert not running(pid) and free(port)
        with place.server("asyncio", cpus=None, log=None) as server:
            pid = server.pid
            os.kill(server._child.pid, 9)
            with pytest.raises(ControlClosed):
                server.read()
            assert eventually(lambda: not running(pid))


@needs_sshd
def test_what_is_not_there_over_there(tmp_path: Path) -> None:
    """An interpreter or a suite that is missing is one line with the options that name them."""
    with ssh_to_here(tmp_path) as ssh:
        with pytest.raises(HarnessError, match=r"No such file.*--server-python and"):
            Place(via=ssh, python="/nowhere/python").facts()
        python = str(Path(sys.executable).resolve())  # without this environment's packages
        bare = Place(via=ssh, python=python, root=str(tmp_path))
        with pytest.raises(HarnessError, match=r"No module named 'loopbench'.*--server-root"):
            bare.facts()
        with pytest.raises(ServerError, match=r"No module named 'loopbench'"):
            with bare.server("asyncio", cpus=None, log=None):
                raise AssertionError("a server without its code")


def test_another_version_over_there_is_refused(tmp_path: Path) -> None:
    """A tree that differs in one line does not serve for this one."""
    copy_suite(tmp_path)
    with (tmp_path / "servers" / "errors.py").open("a") as module:
        module.write("# another\n")
    there = Place(via=("sh", "-c", 'cd / && "$@"', "sh"), root=str(tmp_path))
    with pytest.raises(HarnessError, match="runs another version of the suite: "):
        there.check()


@needs_proc
@needs_root
def test_figures_of_two_clocks_are_blank(tmp_path: Path, generator: Generator) -> None:
    """On another machine a request cannot be taken apart, and its speed is not ours; what the
    server reads of itself is there."""
    place = Place(via=another_kernel(tmp_path))
    place.check()
    plan = place.cpus_of(plan_cpus(allowed_cpus()))
    result = measure(
        PlannedRun("01.x", 1, 1, "aiohttp", "async-32"),
        STACKS["aiohttp"],
        SCENARIOS["async-32"],
        generator,
        plan,
        warmup_s=0.1,
        measured_s=0.3,
        seed=1,
        probe=True,
        log=None,
        place=place,
    )
    (row,) = rows_of(result).runs
    blank = ("before_handler_mean_ms", "in_handler_mean_ms", "after_handler_mean_ms")
    assert {row.get(name) for name in (*blank, "calibration_ms")} == {None}
    measured = ("cpu_us_per_request", "handler_time_p50_ms", "loop_delay_p50_ms", "start_ms")
    assert all(row[name] is not None for name in measured)
    assert row["requests"] and row["failures"] == 0
    assert "not-pinned" in str(row["warnings"])


class Killing(Observer):
    """Kills the server as the window opens."""

    def opened(self) -> None:
        assert isinstance(self._server, ServerProcess)
        os.kill(self._server.pid, signal.SIGKILL)


@needs_proc
def test_a_server_elsewhere_that_dies_leaves_the_end_of_the_command_in_front(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own end nobody here has seen: ssh's status is not taken for it."""
    monkeypatch.setattr(run, "Observer", Killing)
    result = measure(
        PlannedRun("01.x", 1, 1, "asyncio", "async-1"),
        STACKS["asyncio"],
        SCENARIOS["async-1"],
        generator,
        plan_cpus(allowed_cpus()),
        warmup_s=0.1,
        measured_s=0.3,
        seed=1,
        probe=False,
        log=None,
        place=Place(via=("sh", "-c", '"$@"; exit 255', "sh")),
    )
    assert Code.SERVER_DIED in result.codes
    assert result.cause == "exit status 255 of sh, the command in front of it"


def test_facts_say_what_a_host_has() -> None:
    """CPUs, descriptors and ports of this machine, with the versions of what runs here."""
    facts = host_info()
    assert facts.python.split(".") == [str(part) for part in sys.version_info[:3]]
    assert facts.files > 0
    assert facts.version.startswith(f"{source_version()} with Locust ")
    if sys.platform == "linux":
        assert facts.boot_id == BOOT_ID.read_text().strip()
        assert facts.ports is not None and facts.cpus is not None
        first, last = facts.ports
        assert 0 < first < last <= 65_535
        assert set(facts.cpus) == os.sched_getaffinity(0)
