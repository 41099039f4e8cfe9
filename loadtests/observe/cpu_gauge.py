"""Reads the CPU time of server processes exactly, from a CPU that they run on.

The kernel brings the CPU time of a process up to date when it is scheduled, else at a timer tick:
read from another CPU, that of a busy server is up to one tick old (4 ms where HZ is 250), which is
several per cent of a Slice. This process is pinned to the servers' CPU and sleeps. While it runs,
no server does, so that what it reads is complete to the nanosecond, and it says at which instant
it has read. Nothing is asked of the servers. It also times a fixed piece of work there, which is
how fast that CPU is right now.

It is started as `python -m loopbench.loadtests.observe.cpu_gauge CPU[,CPU...]` (`any` where servers
are not pinned: then a busy one's time may be a tick old). It is told a line at a time on standard
input, and ends with it:

    P PID[,PID...] ...   the processes of each target from now on; answered with their number
    R                    answered with CLOCK_MONOTONIC and the CPU time of each target, in ns;
                         -1 where a process has ended
    W                    answered with the ns that the fixed work took
"""

from __future__ import annotations

import gc
import os
import sys
import time

_STEPS = 2_000
_CPU_CLOCK_OF_PROCESS = 2  # <linux/posix-timers.h>, CPUCLOCK_SCHED


def clock_of(pid: int) -> int:
    """The number of the CPU-time clock of another process (clock_getcpuclockid(3))."""
    return (~pid << 3) | _CPU_CLOCK_OF_PROCESS


def cpu_ns(pids: tuple[int, ...]) -> int:
    """CPU time of all threads of some processes since each began; -1 where one has ended."""
    try:
        return sum(time.clock_gettime_ns(clock_of(pid)) for pid in pids)
    except OSError:
        return -1


def work_ns(steps: int = _STEPS) -> int:
    """Integer arithmetic, dictionary and string work, as an interpreter's days consist of."""
    began = time.perf_counter_ns()
    numbers: dict[int, str] = {}
    total = 0
    for step in range(steps):
        total = (total * 31 + step) & 0xFFFF
        numbers[total & 0xFF] = str(total)
    return time.perf_counter_ns() - began


def main(cpus: str) -> None:
    """Answer until the end of standard input."""
    if cpus != "any" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(cpu) for cpu in cpus.split(",")])
    gc.disable()
    targets: list[tuple[int, ...]] = []
    for line in sys.stdin:
        command, *words = line.split()
        if command == "P":
            targets = [tuple(int(pid) for pid in word.split(",")) for word in words]
            answer = str(len(targets))
        elif command == "R":
            at_ns = time.monotonic_ns()
            answer = " ".join(map(str, (at_ns, *map(cpu_ns, targets))))
        else:
            answer = str(work_ns())
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
