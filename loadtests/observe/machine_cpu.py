"""CPU time of the whole machine, from /proc/stat, to see who else was at work."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from loopbench.servers.supervision.os_stats import Reading

_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class MachineReading:
    """Seconds since boot, summed over all CPUs or the mean over some. steal_s: taken by the
    hypervisor."""

    busy_s: float
    steal_s: float


def read_machine(stat: Path = _STAT) -> MachineReading | None:
    """A reading of the machine, in steps of 10 ms; None where there is no /proc/stat."""
    times = _times_s(("cpu",), stat)
    return None if times is None else _reading(times[0])


def _reading(times: Sequence[float]) -> MachineReading:
    user, nice, system, _idle, _iowait, irq, softirq, steal = times
    return MachineReading(user + nice + system + irq + softirq, steal)


def read_cpus(cpus: Sequence[int], stat: Path = _STAT) -> MachineReading | None:
    """A reading of these CPUs, the mean over them, in steps of 10 ms; None where no CPU is named,
    or there is no /proc/stat.

    steal_s: for which the hypervisor ran others while these CPUs had work, as it tells: 0 where
    there is none, and on those that do not tell.
    """
    times = _times_s([f"cpu{cpu}" for cpu in cpus], stat) if cpus else None
    if times is None:
        return None
    readings = [_reading(of) for of in times]
    return MachineReading(
        statistics.fmean(reading.busy_s for reading in readings),
        statistics.fmean(reading.steal_s for reading in readings),
    )


def stolen_s(cpus: Sequence[int], stat: Path = _STAT) -> float | None:
    """What the hypervisor took, as `read_cpus` tells it."""
    reading = read_cpus(cpus, stat)
    return None if reading is None else reading.steal_s


def _times_s(names: Sequence[str], stat: Path) -> list[tuple[float, ...]] | None:
    """The eight times of each of these lines; None where one of them is not there."""
    try:
        lines = [line.split() for line in stat.read_text().splitlines() if line.startswith("cpu")]
    except OSError:
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    times = {name: tuple(int(of) / ticks for of in fields[:8]) for name, *fields in lines}
    return [times[name] for name in names] if times.keys() >= set(names) else None


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


def family(pid: int) -> tuple[int, ...]:
    """The pids of a process and of its children, as far as they are there."""
    try:
        return pid, *(child.pid for child in psutil.Process(pid).children())
    except psutil.Error:
        return (pid,)


def own_cpu_s() -> float:
    """CPU time of the harness's own process in seconds."""
    return time.process_time()


def process_cpu_s(opened: Reading | None, closed: Reading | None) -> float | None:
    """CPU time of a process between two readings; None where one of them is missing."""
    if opened is None or closed is None:
        return None
    return (closed.cpu_ns - opened.cpu_ns) / 1e9
