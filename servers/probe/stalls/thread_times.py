"""What the kernel says of one thread of this process: CPU time, waiting, where it blocks."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path("/proc/self/task")


def _numbered(names: str) -> dict[int, str]:
    words = iter(names.split())
    return {int(number): name for number, name in zip(words, words, strict=True)}


_NAMES = {
    "x86_64": _numbered(
        "0 read 1 write 7 poll 17 pread64 23 select 35 nanosleep 42 connect 43 accept 44 sendto "
        "45 recvfrom 46 sendmsg 47 recvmsg 61 wait4 72 fcntl 73 flock 74 fsync 75 fdatasync "
        "202 futex 230 clock_nanosleep 232 epoll_wait 247 waitid 257 openat 270 pselect6 271 ppoll "
        "281 epoll_pwait 288 accept4 307 sendmmsg 441 epoll_pwait2"
    ),
    "aarch64": _numbered(
        "22 epoll_pwait 25 fcntl 32 flock 56 openat 63 read 64 write 67 pread64 72 pselect6 "
        "73 ppoll 82 fsync 83 fdatasync 95 waitid 98 futex 101 nanosleep 115 clock_nanosleep "
        "202 accept 203 connect 206 sendto 207 recvfrom 211 sendmsg 212 recvmsg 242 accept4 "
        "260 wait4 269 sendmmsg 441 epoll_pwait2"
    ),
}
"""System calls that a thread may wait in, by processor and number (syscalls(2))."""

SELECTING = frozenset({"epoll_wait", "epoll_pwait", "epoll_pwait2"})
RUNNING = "running"
FUTEX = "futex"

_ON_A_DESCRIPTOR = frozenset(
    {"read", "write", "pread64", "sendto", "recvfrom", "sendmsg", "recvmsg", "connect", "accept"}
)


@dataclass(frozen=True, slots=True)
class ThreadTimes:
    """One thread since it began. cpu_ns: on a CPU. queued_ns: runnable, but not on one.

    turns: how often it was put on a CPU (proc(5), schedstat).
    """

    cpu_ns: int
    queued_ns: int
    turns: int

    @classmethod
    def of(cls, schedstat: bytes) -> ThreadTimes:
        """What a file of that name says."""
        return cls(*map(int, schedstat.split()))

    @property
    def used_ns(self) -> int:
        """On a CPU, or waiting for one."""
        return self.cpu_ns + self.queued_ns


@dataclass(frozen=True, slots=True)
class Position:
    """Where the kernel has a thread. call: RUNNING, the name of the system call that it is in,
    `page fault`, or a number that has no name here. descriptor: of that call, where it has one."""

    call: str
    descriptor: int | None = None


class WatchedThread:
    """The kernel's readings of one thread. Raises OSError where there are none.

    The files are kept open: they are read at every look.
    """

    def __init__(self, native_id: int) -> None:
        folder = _TASKS / str(native_id)
        self._names = _NAMES.get(platform.machine(), {})
        self._times = os.open(folder / "schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._call = os.open(folder / "syscall", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(self._times)
            raise

    def schedstat(self) -> bytes:
        """What ThreadTimes.of takes, for who reads many and looks at few."""
        return os.pread(self._times, 64, 0)

    def times(self) -> ThreadTimes:
        """CPU time and waiting until now; some 3 us."""
        return ThreadTimes.of(self.schedstat())

    def position(self) -> Position:
        """Where the thread is; some 5 us."""
        fields = os.pread(self._call, 256, 0).decode().split()
        if fields[0] == RUNNING:
            return Position(RUNNING)
        number = int(fields[0])
        if number < 0:
            return Position("page fault")
        name = self._names.get(number, f"system call {number}")
        return Position(name, int(fields[1], 16) if name in _ON_A_DESCRIPTOR else None)

    def close(self) -> None:
        """Close the files that were kept open."""
        os.close(self._times)
        os.close(self._call)


def cpu_by_thread() -> dict[int, int]:
    """CPU time in ns of every living thread of this process, by its native number."""
    times = {}
    for task in os.listdir(_TASKS):
        try:
            times[int(task)] = int((_TASKS / task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return times


def described(position: Position) -> str:
    """Where a thread waits, for a person."""
    if position.descriptor is None:
        return position.call
    try:
        target = os.readlink(f"/proc/self/fd/{position.descriptor}")
    except OSError:
        return position.call  # it was closed meanwhile
    kind = target.partition(":")[0] if not target.startswith("/") else "file"
    return f"{position.call} on a {kind}"
