"""What the operating system says about this very process: CPU time, memory, threads, CPUs.

Where there is a /proc (Linux) everything can be read; without one (macOS) the
current resident size cannot, and says so by being None.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loopbench.servers.supervision.merging import MEAN, SUM

STATUS = Path("/proc/self/status")
TASKS = Path("/proc/self/task")
DESCRIPTORS = Path("/proc/self/fd")

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


@dataclass(frozen=True, slots=True)
class Reading:
    """The process at one instant, read from inside it; of several, sums at the mean of theirs.

    monotonic_ns: CLOCK_MONOTONIC, comparable with the harness's on the same machine.
    cpu_ns: CPU time of all threads since the process began, ended threads included.
    rss_bytes: resident memory; None where there is no /proc.
    rss_peak_bytes: the most that was ever resident; None where nothing says so.
    threads: the kernel's count; without /proc only the threads that Python knows of.
    descriptors: open ones but for files of /proc; None where there is no /proc.
    voluntary_switches, involuntary_switches: context switches of all threads since the
        process began.
    """

    monotonic_ns: Annotated[int, MEAN]
    cpu_ns: Annotated[int, SUM]
    rss_bytes: Annotated[int | None, SUM]
    rss_peak_bytes: Annotated[int | None, SUM]
    threads: Annotated[int, SUM]
    descriptors: Annotated[int | None, SUM]
    voluntary_switches: Annotated[int, SUM]
    involuntary_switches: Annotated[int, SUM]

    def utilisation_since(self, before: Reading) -> float:
        """CPU time over wall time since an earlier reading of the same process."""
        return (self.cpu_ns - before.cpu_ns) / (self.monotonic_ns - before.monotonic_ns)


BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str | None:
    """The kernel that runs, from its start to its end (random(4)): processes that agree on it read
    the same clocks. None where the system does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class ThreadReading:
    """One living thread of a process. cpu_ns: on a CPU; run_queue_ns: runnable, but not on one."""

    pid: int
    thread: str
    cpu_ns: int
    run_queue_ns: int


def read_threads() -> list[ThreadReading] | None:
    """Every living thread of this process; None where there is no /proc (proc(5), schedstat)."""
    if not TASKS.exists():
        return None
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    # By its own number: Python 3.11 gives that of a forked process's parent.
    names[os.getpid()] = threading.main_thread().name
    readings = []
    for task in sorted(TASKS.iterdir(), key=lambda path: int(path.name)):
        try:
            cpu_ns, run_queue_ns, _slices = map(int, (task / "schedstat").read_text().split())
            name = names.get(int(task.name)) or (task / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        readings.append(ThreadReading(os.getpid(), name, cpu_ns, run_queue_ns))
    return readings


def read(status: Path = STATUS) -> Reading:
    """A Reading of this process, now. Any thread may call it; it takes some microseconds."""
    # The clock and the CPU time stand next to each other, since rates divide one by the other.
    monotonic_ns = time.monotonic_ns()
    cpu_ns = time.clock_gettime_ns(time.CLOCK_PROCESS_CPUTIME_ID)
    try:
        lines = status.read_text().splitlines()
    except FileNotFoundError:
        memory: tuple[int | None, int | None] = None, _max_rss_bytes()
        threads, descriptors = threading.active_count(), None
    else:
        fields = dict(line.split(":", 1) for line in lines)
        # Not ru_maxrss: on Linux it survives exec, so a child begins with the
        # peak of the process that spawned it (getrusage(2), proc_pid_status(5)).
        memory = _bytes(fields["VmRSS"]), _bytes(fields["VmHWM"])
        threads, descriptors = int(fields["Threads"]), _descriptors()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    switches = usage.ru_nvcsw, usage.ru_nivcsw
    return Reading(monotonic_ns, cpu_ns, *memory, threads, descriptors, *switches)


def _descriptors() -> int:
    """Open descriptors. Files of /proc are those of the suite's own readings: another thread may
    have one open at this moment."""
    count = 0
    for name in os.listdir(DESCRIPTORS):
        # The listing's own has been closed meanwhile, and maybe another.
        with suppress(FileNotFoundError):
            count += not os.readlink(DESCRIPTORS / name).startswith("/proc/")
    return count


def _bytes(value: str) -> int:
    number, unit = value.split()
    if unit != "kB":
        raise ValueError(f"a size in {unit} instead of kB in {STATUS}")
    return int(number) * 1024


_MAX_RSS_UNIT: dict[str, int] = {"darwin": 1, "linux": 1024, "freebsd": 1024}
"""Bytes in one unit of ru_maxrss, by platform (getrusage(2) of each)."""


def _max_rss_bytes() -> int | None:
    unit = _MAX_RSS_UNIT.get(sys.platform.rstrip("0123456789"))
    return None if unit is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def cpus_in_force() -> tuple[int, ...] | None:
    """The CPUs that the main thread may use, ascending; None where the platform does not tell."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return tuple(sorted(os.sched_getaffinity(os.getpid())))


def pin(cpus: Iterable[int]) -> tuple[int, ...] | None:
    """Bind the main thread, and those it starts later, to `cpus`.

    Returns the CPUs in force afterwards, or None where the platform cannot
    bind. Raises OSError when the machine has none of them.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(os.getpid(), cpus)
    return cpus_in_force()


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that spawned it ends. Linux only.

    End of file on the control pipe is the portable message that the harness
    is gone, but a process that is stopped, or that holds the GIL in a long C
    call, cannot read it. This signal needs no cooperation.

    parent: the pid of the harness.
    """
    if not sys.platform.startswith("linux"):
        return
    prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # A parent that died before the call left no signal behind, only a new parent.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


MANY_FILES = 65_536


def allow_many_files() -> int:
    """Raise this process's limit of open descriptors as far as it may; returns the limit.

    A thousand connections need a thousand descriptors at either end, and the
    usual soft limit is 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
