"""Reads the CPU time of server processes exactly, from a CPU that they run on.

The kernel brings the CPU time of a process up to date when it is scheduled, else at a timer tick:
read from another CPU, that of a busy server is up to one tick old (4 ms where HZ is 250), which is
several per cent of a Slice. This process is pinned to the servers' CPU and sleeps. While it runs,
no server does, so that what it reads is complete to the nanosecond, and it says at which instant
it has read. Nothing is asked of the servers.

It also times fixed work there, which is how fast that CPU is right now: a piece of some tenths of a
millisecond where it is asked to, and one that is a hundred times as short every few milliseconds
between two commands. The short one tells how fast the CPU was while the server worked: a virtual
CPU changes its speed within milliseconds, so that before and after say little of the time between.

It is started as `python -m loopbench.loadtests.observe.cpu_gauge CPU[,CPU...]` (`any` where servers
are not pinned: then a busy one's time may be a tick old). It is told a line at a time on standard
input, and ends with it:

    P PID[,PID...] ...   the processes of each target from now on; answered with their number
    R                    answered with CLOCK_MONOTONIC and the CPU time of each target, in ns;
                         -1 where a process has ended
    W                    answered with the ns that the fixed work took
    S US                 do the short work from now on, every so many microseconds; answered with 0
    E                    no longer; answered with the pieces done, and the ns that one took, by the
                         mean of their speeds (0 where none was done)
"""

from __future__ import annotations

import gc
import os
import select
import sys
import time

_STEPS = 2_000
_SHORT_STEPS, _WARMING, _TIMED = 20, 2, 2
"""Of the short work: how long a piece is, how many bring code and data back into the caches, and
how many are timed. A first piece took 13 % longer beside Quart than beside aiohttp, a second one
2 %, a third one 0.0 % (± 0.6 %): it says how fast the CPU is, not what the server left there."""

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
        elif command == "S":
            _answer("0")
            answer = " ".join(map(str, short_work(int(words[0]) / 1e6)))
        else:
            answer = str(work_ns())
        _answer(answer)


def short_work(every_s: float) -> tuple[int, float]:
    """Do the short work until a line comes, which is taken: how often it was done, and the ns that
    it took, by the mean of the speeds.

    What is done at a changing speed is proportional to the mean speed, not to the mean time; and a
    piece in whose middle the CPU was taken away hardly weighs there.
    """
    done, speeds = 0, 0.0
    while not select.select((sys.stdin,), (), (), every_s)[0]:
        for _ in range(_WARMING):
            work_ns(_SHORT_STEPS)
        speeds += _TIMED / sum(work_ns(_SHORT_STEPS) for _ in range(_TIMED))
        done += 1
    sys.stdin.readline()
    return done, done / speeds if done else 0.0


def _answer(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
