"""How much CPU time the control groups of this process allow, and how often they cut it off.

Containers get a quota of CPU time a period, which os.cpu_count() and the affinity know nothing
of: a process that has used its share stands still until the next period, mostly 100 ms long.
Both versions of control groups are read, see cgroups(7) and the kernel's cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_OWN_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """A limit in force. cpus: CPU time a period over the length of the period."""

    cpus: float
    statistics: Path

    def throttled(self) -> int:
        """In how many periods the group was cut off so far. Raises OSError."""
        for line in self.statistics.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled":
                return int(value)
        raise OSError(f"{self.statistics} does not say nr_throttled")


def cpu_quotas(own_groups: Path = _OWN_GROUPS, mount: Path = _MOUNT) -> tuple[CpuQuota, ...]:
    """Every quota that binds this process: its group's and those of the groups above.

    None of them where the system has no control groups, or does not show them.
    """
    return tuple(
        quota for folder in _groups(own_groups, mount) if (quota := _quota(folder)) is not None
    )


def strictest(quotas: tuple[CpuQuota, ...]) -> float | None:
    """The number of CPUs that the quotas leave; None where there is none."""
    return min((quota.cpus for quota in quotas), default=None)


def _groups(own_groups: Path, mount: Path) -> Iterator[Path]:
    """The folders of the groups that this process is in, with a controller for CPU time."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = mount / controllers if controllers else mount
        folder = root / path.lstrip("/")
        # Within a container the path may be one outside, which is not shown.
        yield from (group for group in (folder, *folder.parents) if group.is_relative_to(root))


def _quota(folder: Path) -> CpuQuota | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except OSError:
        try:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return CpuQuota(int(quota) / int(period), folder / "cpu.stat")
