"""CPU time of the whole machine, from /proc/stat, to see who else was at work."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from loopbench.servers.supervision.os_stats import Reading

_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class MachineReading:
    """Seconds since boot, summed over all CPUs. steal_s: taken by the hypervisor."""

    busy_s: float
    steal_s: float


def read_machine(stat: Path = _STAT) -> MachineReading | None:
    """A reading of the machine, in steps of 10 ms; None where there is no /proc/stat."""
    try:
        first = stat.read_text().splitlines()[0].split()
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(field) / os.sysconf("SC_CLK_TCK") for field in first[1:9]
    )
    return MachineReading(user + nice + system + irq + softirq, steal)


def others_cpu(
    before: MachineReading | None, after: MachineReading | None, ours_s: float, wall_s: float
) -> float | None:
    """CPU time of everything but us, and stolen time, as a share of one CPU.

    ours_s: the CPU time of server, generator and harness in between. Never
    below zero: the kernel's ticks are coarser than our own clocks.
    """
    if before is None or after is None or wall_s <= 0:
        return None
    busy = after.busy_s - before.busy_s - ours_s
    return max(0.0, busy + after.steal_s - before.steal_s) / wall_s


def own_cpu_s() -> float:
    """CPU time of the harness's own process in seconds."""
    return time.process_time()


def process_cpu_s(opened: Reading | None, closed: Reading | None) -> float | None:
    """CPU time of a process between two readings; None where one of them is missing."""
    if opened is None or closed is None:
        return None
    return (closed.cpu_ns - opened.cpu_ns) / 1e9
