"""When a thread waited for events, told from outside by strace(1).

strace stops the thread at both ends of each call of epoll_wait, and only there (--seccomp-bpf), and
takes the time at each stop. What it does before and after it takes the time is no part of the call
as it tells it, though the thread does nothing meanwhile: `stop_ns` measures that on a program that
knows how long its calls took.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.selfcheck.seeds import waits
from loopbench.results.schema import ROOT

_CALLS = "epoll_wait,epoll_pwait"
_CALL = re.compile(
    r"^(\d+)\.(\d{9}) epoll_p?wait\(0x\w+, 0x\w+, 0x\w+, (0x\w+|0)[,)].* <(\d+)\.(\d{9})>$", re.M
)
_TRACER = re.compile(r"^TracerPid:\t(\d+)$", re.M)
_WAITS, _ATTACHED_S = 200, 10.0
_NICE = -15


@dataclass(frozen=True, slots=True)
class Call:
    """One call, in ns by the clock of the day. waits: whether it was allowed to wait."""

    began_ns: int
    ended_ns: int
    waits: bool


def prefix(out: Path) -> tuple[str, ...]:
    """What to put in front of a command so that each of its threads is traced to `out`.TID.

    The command stays the child of who starts it. Raises HarnessError where there is no strace.
    """
    if shutil.which("strace") is None:
        raise HarnessError("strace is missing; install the package strace")
    return (
        *("strace", "--daemonize", "--quiet=all", "--seccomp-bpf"),
        *(f"--trace={_CALLS}", f"--raw={_CALLS}", "--signal=none"),
        *("--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns"),
        *("--follow-forks", "--output-separately", f"--output={out}"),
    )


def calls(out: Path, thread: int) -> list[Call]:
    """The calls of a thread that have ended. Raises HarnessError where there are none."""
    file = out.with_name(f"{out.name}.{thread}")
    traced_calls = [
        Call(
            began := int(seconds + nanoseconds),
            began + int(took_s + took_ns),
            int(timeout, 16) != 0,
        )
        for seconds, nanoseconds, timeout, took_s, took_ns in _CALL.findall(
            file.read_text() if file.exists() else ""
        )
    ]
    if not traced_calls:
        raise HarnessError(f"strace saw no wait for events of thread {thread}")
    return traced_calls


def within(traced_calls: Iterable[Call], began_ns: int, ended_ns: int) -> Iterator[int]:
    """Of each call that was allowed to wait, how much of it is between two instants."""
    for call in traced_calls:
        waited = min(call.ended_ns, ended_ns) - max(call.began_ns, began_ns)
        if call.waits and waited > 0:
            yield waited


def favour(pid: int, cpus: frozenset[int] | None) -> None:
    """Have the process that traces `pid` run there, before all ordinary ones, and `pid` before most
    of them: where others want the CPUs the thread would wait for one after each stop. Does nothing
    where that is not permitted."""
    deadline_s = time.monotonic() + _ATTACHED_S
    while not (tracer := _tracer(pid)):
        if time.monotonic() > deadline_s:
            raise HarnessError(f"strace does not trace process {pid}")
        time.sleep(0.01)
    if cpus is not None:
        os.sched_setaffinity(tracer, cpus)
    with suppress(PermissionError):
        os.sched_setscheduler(tracer, os.SCHED_FIFO, os.sched_param(1))
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)


def _tracer(pid: int) -> int:
    match = _TRACER.search(Path(f"/proc/{pid}/status").read_text())
    assert match is not None  # proc(5)
    return int(match[1])


def stop_ns(out: Path, cpus: frozenset[int] | None) -> float:
    """For how long a call takes its thread longer than strace tells: the median, as some calls of
    a busy machine take much longer."""
    command = [*prefix(out), sys.executable, "-m", waits.__name__, str(_WAITS)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        favour(process.pid, cpus)
        if cpus is not None:
            os.sched_setaffinity(process.pid, cpus)
        print(file=process.stdin, flush=True)
        took_ns = [int(each) for each in process.stdout.readline().split()]
    traced_calls = calls(out, process.pid)
    return median(
        took - (call.ended_ns - call.began_ns)
        for took, call in zip(took_ns, traced_calls, strict=True)
    )
