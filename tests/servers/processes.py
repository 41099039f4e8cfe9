"""What the tests of child processes share: seeing what is there, and what is left."""

from __future__ import annotations

import gc
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from loopbench.servers.contract.cases import CASES
from loopbench.servers.stacks import STACKS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROC = Path("/proc")
BOUND_S = 60.0
"""When a test gives up. Nothing is measured with it."""

Private = Callable[[str], tuple[str, ...]]
needs_waitid = pytest.mark.skipif(not hasattr(os, "waitid"), reason="this platform lacks waitid")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: reads /proc")


def eventually(condition: Callable[[], bool], bound_s: float = BOUND_S) -> bool:
    """Whether the condition comes true within a bound that is generous on any machine."""
    deadline = time.monotonic() + bound_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def running(pid: int) -> bool:
    """Whether a process of that pid exists and is not merely waiting to be reaped."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def held_up_s(pid: int) -> float:
    """Seconds for which a process was not given what it was ready to use, so far: what its threads
    waited for a CPU (proc(5), schedstat), and what the host took from this machine (steal).

    A wait counts when it has ended. How far two readings are apart is by how much whatever the
    process did between them may have been late, or have lasted longer. Where the system does not
    say, it is 0, so that a test allows for nothing.
    """
    if not PROC.is_dir():
        return 0.0
    queued_ns = 0
    for task in (PROC / str(pid) / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread ended meanwhile
            queued_ns += int((task / "schedstat").read_text().split()[1])
    stolen = int((PROC / "stat").read_text().split()[8])
    return queued_ns / 1e9 + stolen / os.sysconf("SC_CLK_TCK")


def turns_of(thread: threading.Thread) -> int:
    """How often the kernel has put a thread of this process on a CPU."""
    return int((PROC / f"self/task/{thread.native_id}/schedstat").read_text().split()[2])


def freeze(pid: int) -> None:
    """Stop a child of this process with SIGSTOP, and wait until all its threads stand still."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)


def with_variable(name: str, value: str) -> set[int]:
    """The pids of all running processes that inherited an environment variable."""
    wanted = f"{name}={value}".encode()
    found = set()
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
            except OSError:
                continue
    return {pid for pid in found if running(pid)}


def free(port: int) -> bool:
    """Whether the port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def ask(port: int, case: str, times: int = 1) -> None:
    """Send a GET case's request so many times on one connection, and check each answer."""
    request, expected = CASES[case].request, CASES[case].expected
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)) as connection:
        for _ in range(times):
            connection.request(request.method, request.target)
            response = connection.getresponse()
            assert expected.check(response.status, response.read()) is None


def childless() -> bool:
    """Whether this process has no child, not even one that has ended and is not reaped yet."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    except AttributeError:  # this platform lacks waitid
        pass
    return False


def children(pid: int | None = None) -> set[int]:
    """The pids of the children of a process, those not reaped yet included; of this one unless
    named. None of a process that is gone."""
    found: set[int] = set()
    if pid is None and childless():  # one question, in place of one at each of its threads
        return found
    with suppress(FileNotFoundError, ProcessLookupError):  # a thread, or all, ended meanwhile
        for task in (PROC / str(pid or "self") / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found |= set(map(int, (task / "children").read_text().split()))
    return found


def descendants(pid: int | None = None) -> set[int]:
    """The pids of a process's children, of theirs, and so on; of this one's unless named. None of a
    process that is gone.

    Asked of the kernel where it lists children: before and after each of thousands of tests, a
    look at every process of the machine would take long.
    """
    if not (PROC / "self" / "task" / str(os.getpid()) / "children").exists():
        with suppress(psutil.NoSuchProcess):
            return {child.pid for child in psutil.Process(pid).children(recursive=True)}
        return set()
    found: set[int] = set()
    left = children(pid)
    while left:
        child = left.pop()
        found.add(child)
        left |= children(child) - found
    return found


def descriptors() -> set[tuple[str, str]]:
    """The open ones of this process: number, and what it is of."""
    found = set()
    for each in (PROC / "self" / "fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.add((each.name, str(each.readlink())))
    return found


def held() -> set[object]:
    """What this process holds: descriptors, threads, children."""
    return {*descriptors(), *threading.enumerate(), *children()}


def settle() -> None:
    """Collect what earlier tests have left to the collector, and take the rest out of its sight:
    the next full collection would go through all that has been imported since, some 0.15 s."""
    gc.collect()
    gc.freeze()


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fails when what is done inside leaves a descriptor, a thread or a child process behind.

    What earlier tests have left to the collector may go meanwhile.
    """
    if sys.platform != "linux":
        yield
        return
    settle()
    before = held()
    yield
    assert held() - before == set()


def private_stack(monkeypatch: pytest.MonkeyPatch) -> Private:
    """Make the stack `private` known here; returns the prefix that makes it known in a child."""
    own = "private_stacks"
    row = replace(STACKS["asyncio"], name="private", application=own, adapter=own, packages=())
    monkeypatch.setitem(STACKS, row.name, row)
    return lambda behaviour: (
        sys.executable,
        str(HERE / "lifecycle" / "private_stacks.py"),
        behaviour,
    )


class Harness:
    """A harness in a process of its own; all that it starts inherits a variable of the test."""

    def __init__(self, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "lifecycle" / "harness.py"), *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "LOOPBENCH_TEST": self.mark},
        )

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def server(self) -> tuple[int, int]:
        """The pid and the port of its server, once there is one."""
        assert self.process.stdout is not None
        line = json.loads(self.process.stdout.readline())
        return line["pid"], line["port"]

    def left(self) -> set[int]:
        """What is left of it and of what it started."""
        return with_variable("LOOPBENCH_TEST", self.mark)
