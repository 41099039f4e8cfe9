"""Servers in child processes: starting them, reading them, and starts that fail for real."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from loopbench.servers.errors import PortInUse, ServerError, StartupFailed, UnknownStack
from loopbench.servers.lifecycle.facts import (
    Executor,
    Loop,
)
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import DEFAULT, STACKS
from loopbench.servers.supervision import os_stats
from loopbench.servers.supervision.control_pipe import ControlTimeout
from loopbench.servers.supervision.messages import from_json, to_json
from tests.servers.choices import KINDS, stacks
from tests.servers.processes import (
    PROC,
    ROOT,
    Private,
    ask,
    freeze,
    needs_proc,
    needs_waitid,
)

pytestmark = pytest.mark.usefixtures("clean")


@pytest.mark.parametrize("name", stacks(DEFAULT))
def test_facts_come_from_inside(name: str) -> None:
    """The executor, the loop and the settings are those in force, not those wished for."""
    settings = Settings(executor_threads=3, wait_ms=7)
    with server_process(name, settings=settings) as server:
        facts = server.facts
    assert facts.executor == Executor("concurrent.futures.thread.ThreadPoolExecutor", 3)
    assert facts.loop == Loop("asyncio.unix_events._UnixSelectorEventLoop", debug=False)
    assert from_json(Settings, facts.settings) == settings
    assert list(facts.packages) == list(STACKS[name].packages)
    assert facts.python.version == ".".join(map(str, sys.version_info[:3]))
    assert facts.gc.enabled is True
    assert facts.in_force["access_log"] is False
    assert str(ROOT) not in json.dumps(to_json(facts))
    assert sys.prefix not in json.dumps(to_json(facts))


def test_without_proc_less_is_measured_and_nothing_is_made_up(tmp_path: Path) -> None:
    """Resident memory is unknown then; the peak comes from getrusage."""
    reading = os_stats.read(tmp_path / "status")
    assert reading.rss_bytes is None
    assert reading.rss_peak_bytes is not None
    assert reading.rss_peak_bytes > 1_000_000
    assert reading.cpu_ns > 0
    assert reading.threads == threading.active_count()


@needs_proc
def test_every_thread_is_bound_to_the_cpus_that_were_asked_for() -> None:
    """So are the workers and the control thread, and the facts say it."""
    cpu = min(os.sched_getaffinity(0))
    with server_process("aiohttp", cpus=frozenset({cpu})) as server:
        ask(server.port, "sync")
        assert server.facts.cpus == (cpu,)
        tasks = [int(task.name) for task in (PROC / str(server.pid) / "task").iterdir()]
        assert [os.sched_getaffinity(task) for task in tasks] == [{cpu}] * len(tasks)


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this platform lacks binding to CPUs"
)
def test_cpus_that_do_not_exist_are_an_error() -> None:
    """The line names them and what there is."""
    with pytest.raises(StartupFailed, match=r"^cannot run on CPUs \[1000\]: .*may use \[0"):
        with server_process("asyncio", cpus=frozenset({1000})):
            pass


def test_an_unknown_stack_is_refused_before_anything_is_spawned() -> None:
    """The line offers the nearest name."""
    with pytest.raises(UnknownStack, match="did you mean 'aiohttp'"):
        with server_process("aihttp"):
            pass


@pytest.mark.parametrize("name", stacks(KINDS))
def test_a_port_in_use_is_one_clear_line(name: str) -> None:
    """It names the port, and the listener that was there still listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse) as caught, server_process(name, port=port):
            pass
    assert str(port) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("behaviour", "pattern"),
    [
        ("raising", r"RuntimeError: the database is not there"),
        ("leaving", r"SystemExit: no configuration"),
        ("dying", r"ended before it was ready, exit status 7; its last line: out of luck$"),
    ],
)
def test_a_start_that_fails_says_why(behaviour: str, pattern: str, private: Private) -> None:
    """An exception, an exit and a sudden death each end in one line with the cause."""
    with pytest.raises(StartupFailed, match=pattern) as caught:
        with server_process("private", prefix=private(behaviour)):
            pass
    assert "\n" not in str(caught.value)


def test_a_start_that_hangs_is_cut_at_its_bound(
    private: Private,
) -> None:
    """And the process, which would wait for ever, is gone."""
    with pytest.raises(StartupFailed, match=r"not ready within 1\.5 s"):
        with server_process("private", prefix=private("hanging"), ready_timeout_s=1.5):
            pass


def test_an_error_keeps_its_kind_across_the_pipe(private: Private) -> None:
    """Without its prefix the child knows no such stack; the error's kind crosses the pipe."""
    private("quiet")
    with pytest.raises(UnknownStack, match="unknown stack 'private'"):
        with server_process("private"):
            pass


@pytest.mark.parametrize(
    ("prefix", "cause"),
    [
        (("no-such-command",), "cannot run no-such-command: No such file or directory"),
        (("false",), "ended before it was ready, exit status 1"),
        (("echo",), "cannot be commanded: not a JSON line"),
    ],
)
def test_a_bad_prefix_is_named(prefix: tuple[str, ...], cause: str) -> None:
    """A command that cannot run, that ends and that talks are three different lines."""
    with pytest.raises(StartupFailed, match=cause):
        with server_process("asyncio", prefix=prefix):
            pass


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Before anything is spawned."""
    with pytest.raises(ServerError, match="cannot write the log"):
        with server_process("asyncio", log=tmp_path / "missing" / "log"):
            pass


def test_what_a_stack_prints_does_not_reach_the_control_pipe(
    private: Private, tmp_path: Path
) -> None:
    """Prints, raw writes and child processes' output go to the log, even what looks like ours."""
    log = tmp_path / "log"
    log.write_text("a line from before\n")
    with server_process("private", prefix=private("noisy"), log=log) as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        assert server.read().threads >= 2
    assert server.ended is not None
    assert server.ended.exit_code == 0
    lines = log.read_text().splitlines()
    assert lines[0] == "a line from before"
    assert lines[1:] == [
        '{"event": "listening", "url": "http://nowhere"}',
        "more noise",
        "noise of a child",
    ]


@needs_waitid
def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    """A reading that was given up on does not come back as a newer one."""
    with server_process("asyncio") as server:
        freeze(server.pid)
        for _ in range(2):
            with pytest.raises(ControlTimeout):
                server.read(timeout_s=0.1)
        os.kill(server.pid, signal.SIGCONT)
        ask(server.port, "plain")
        asked = time.monotonic_ns()
        assert server.read().monotonic_ns >= asked
