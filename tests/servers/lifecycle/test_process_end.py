"""How child processes end: asked to, killed, frozen, orphaned; and that nothing is left."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopbench.servers.lifecycle.process import Ended, server_process
from loopbench.servers.stacks import DEFAULT
from loopbench.servers.supervision.child_process import interrupts_deferred
from loopbench.servers.supervision.control_pipe import ControlClosed
from tests.servers.choices import KINDS, stacks
from tests.servers.processes import (
    PROC,
    Harness,
    Private,
    children,
    eventually,
    free,
    freeze,
    needs_proc,
    needs_waitid,
    running,
)

pytestmark = pytest.mark.usefixtures("clean")


def test_stopping_twice_is_stopping_once() -> None:
    """The second call returns what the first one saw, and reading is over."""
    with server_process("asyncio") as server:
        ended = server.stop()
        assert server.stop() is ended
        assert server.ended is ended
        with pytest.raises(ControlClosed):
            server.read()
    assert server.ended is ended


# What heeds SIGINT is the same as what heeds SIGTERM, and `servers run` is sent both on each stack.
@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(pytest.param(*each.values, signal.SIGTERM, marks=each.marks) for each in stacks(KINDS)),
        ("aiohttp", signal.SIGINT),
    ],
)
def test_a_signal_to_the_child_is_a_graceful_stop(name: str, number: signal.Signals) -> None:
    """It ends with status 0; the harness sees that it is gone and kills nothing."""
    with server_process(name) as server:
        os.kill(server.pid, number)
        assert eventually(lambda: not server.alive)
        with pytest.raises(ControlClosed):
            server.read()
    assert server.ended == Ended(stop_ms=None, exit_code=0, killed=False)
    assert free(server.port)


def test_a_server_killed_from_outside_is_seen_to_be() -> None:
    """The exit code tells the signal, and it was not the harness."""
    with server_process("aiohttp") as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.alive)
        with pytest.raises(ControlClosed):
            server.read()
    assert server.ended == Ended(stop_ms=None, exit_code=-signal.SIGKILL, killed=False)


def test_a_server_that_crashes_says_where_it_was(tmp_path: Path) -> None:
    """A crash in C, of the interpreter or of an extension: the log has each thread's frames."""
    log = tmp_path / "log"
    with server_process("aiohttp", log=log) as server:
        os.kill(server.pid, signal.SIGSEGV)
        assert eventually(lambda: not server.alive)
    assert server.ended == Ended(stop_ms=None, exit_code=-signal.SIGSEGV, killed=False)
    assert "Fatal Python error: Segmentation fault" in log.read_text()
    assert "(most recent call first):" in log.read_text()


def test_a_server_that_ends_by_itself_is_a_failure(private: Private, tmp_path: Path) -> None:
    """A status other than 0, and the reason in the log."""
    log = tmp_path / "log"
    with server_process("private", prefix=private("ending"), log=log) as server:
        assert eventually(lambda: not server.alive)
    assert server.ended == Ended(stop_ms=None, exit_code=1, killed=False)
    assert server.failure == "private ended although nobody asked it to stop"
    assert "private ended although nobody asked it to stop" in log.read_text()


@needs_waitid
@pytest.mark.parametrize("name", stacks(DEFAULT))
def test_a_frozen_server_is_killed_at_the_bound(name: str) -> None:
    """It counts as killed, and has no stop time."""
    with server_process(name, stop_timeout_s=0.5) as server:
        freeze(server.pid)
        assert server.alive
        assert server.stop() == Ended(stop_ms=None, exit_code=-signal.SIGKILL, killed=True)
    assert free(server.port)


def test_a_blocked_loop_can_be_read_but_not_stopped(private: Private, tmp_path: Path) -> None:
    """Readings come from a thread of their own; the stop needs the loop and ends in a kill."""
    prefix, log = private("blocked"), tmp_path / "log"
    with server_process("private", prefix=prefix, log=log, stop_timeout_s=0.5) as server:
        os.kill(server.pid, signal.SIGUSR1)
        assert eventually(lambda: "blocked" in log.read_text())
        reading = server.read()
        assert reading.monotonic_ns <= time.monotonic_ns()
    assert server.ended == Ended(stop_ms=None, exit_code=-signal.SIGKILL, killed=True)


def test_a_thread_that_never_ends_is_killed_at_the_bound(
    private: Private,
) -> None:
    """The interpreter would wait for it; the harness does not."""
    prefix = private("with_thread")
    with server_process("private", prefix=prefix, stop_timeout_s=0.5) as server:
        pass
    assert server.ended is not None
    assert server.ended.killed
    assert free(server.port)


@needs_proc
def test_processes_that_the_server_left_behind_go_with_it(private: Private, tmp_path: Path) -> None:
    """The whole group is cleared, also after a graceful stop."""
    log = tmp_path / "log"
    with server_process("private", prefix=private("with_child"), log=log) as server:
        grandchild = int(log.read_text().split()[1])
        assert running(grandchild)
    assert server.ended is not None
    assert (server.ended.exit_code, server.ended.killed) == (0, False)
    assert eventually(lambda: not running(grandchild))


def test_an_exception_in_the_harness_stops_the_server() -> None:
    """It passes through, and the server was stopped gracefully."""
    with pytest.raises(ZeroDivisionError), server_process("aiohttp") as server:
        raise ZeroDivisionError
    assert server.ended is not None
    assert server.ended.exit_code == 0


def test_a_server_started_in_a_thread_outlives_that_thread() -> None:
    """The kernel's tie to the parent is one to the spawning thread, and is left out there."""
    manager = server_process("asyncio")
    starter = threading.Thread(target=manager.__enter__)
    starter.start()
    starter.join()
    pids = children() if PROC.is_dir() else set()
    time.sleep(0.1)
    try:
        assert all(running(pid) for pid in pids)
    finally:
        manager.__exit__(None, None, None)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whatever a shell starts in the background ignores interrupts; not so here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupts_are_only_put_off() -> None:
    """An interrupt in a deferred stretch is raised at its end."""
    reached = []

    def interrupted() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@needs_proc
@pytest.mark.parametrize("name", stacks(DEFAULT))
def test_a_killed_harness_takes_its_server_along(name: str) -> None:
    """Nothing runs on, and the port is free."""
    with Harness(name) as harness:
        pid, port = harness.server()
        assert running(pid)
        harness.process.kill()
        assert eventually(lambda: not harness.left())
        assert eventually(lambda: free(port))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="on Linux only: PR_SET_PDEATHSIG")
def test_a_killed_harness_takes_a_frozen_server_along() -> None:
    """A frozen server cannot read its pipe; the kernel ends it."""
    with Harness("asyncio") as harness:
        pid, port = harness.server()
        os.kill(pid, signal.SIGSTOP)
        harness.process.kill()
        assert eventually(lambda: not harness.left())
        assert eventually(lambda: free(port))


@needs_proc
def test_behind_a_prefix_the_end_of_the_pipe_does_it() -> None:
    """Where the harness is not the parent, end of file stops the server."""
    with Harness("aiohttp", "sh", "-c", '"$@"; exit $?', "sh") as harness:
        pid, port = harness.server()
        harness.process.kill()
        assert eventually(lambda: not harness.left())
        assert not running(pid)
        assert eventually(lambda: free(port))


@needs_proc
@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])
def test_an_interrupted_harness_leaves_nothing_whenever_it_comes(delay_s: float) -> None:
    """Ctrl-C while the harness imports, spawns, configures, waits or has its server."""
    with Harness("aiohttp") as harness:
        time.sleep(delay_s)
        harness.process.send_signal(signal.SIGINT)
        assert eventually(lambda: harness.process.poll() is not None)
        assert harness.process.returncode in {1, 130, -signal.SIGINT}
        assert harness.left() == set()


@needs_proc
def test_a_second_interrupt_kills_a_server_that_does_not_stop() -> None:
    """The first one waits for the graceful stop, the second one does not."""
    with Harness("asyncio") as harness:
        pid, _ = harness.server()
        os.kill(pid, signal.SIGSTOP)
        harness.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert running(pid)
        harness.process.send_signal(signal.SIGINT)
        assert eventually(lambda: harness.process.poll() is not None)
        assert harness.left() == set()
