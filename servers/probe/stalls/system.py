"""What the system as a whole does to this process: stolen time, and cut-offs by a quota."""

from __future__ import annotations

import os
from pathlib import Path

from loopbench.servers.supervision.cpu_quota import CpuQuota

_STAT = Path("/proc/stat")
_STEAL = 8
"""The place of the stolen time in a CPU's line (proc(5), stat), in clock ticks."""


def stolen_ns() -> int | None:
    """What the hypervisor has taken since the start from the CPUs that this process may use; None
    where the system does not say. Its ticks are mostly 10 ms."""
    try:
        lines = _STAT.read_text().splitlines()
    except OSError:
        return None
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = [int(fields[_STEAL]) for line in lines if (fields := line.split())[0] in ours]
    return sum(ticks) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def throttled(quotas: tuple[CpuQuota, ...]) -> int | None:
    """In how many periods those quotas have cut this process off so far; None where a control
    group does not exist any more, which this process has then left."""
    try:
        return sum(quota.throttled() for quota in quotas)
    except FileNotFoundError:
        return None
