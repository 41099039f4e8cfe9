"""Which CPUs the server and the load generator get."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from loopbench.results.schema import Code

_TOPOLOGY = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True)
class CpuPlan:
    """Disjoint CPUs for server and generator; None where nothing can or should be pinned.

    codes: the Warnings that every Run carries under this plan.
    """

    server: frozenset[int] | None
    generator: frozenset[int] | None
    codes: tuple[Code, ...]


def allowed_cpus() -> list[int] | None:
    """The CPUs that this process may use, ascending; None where the system does not say."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))


def bindable_cpus() -> list[int] | None:
    """The CPUs that this process may use, where it may also bind to some of them.

    None where the system does not say, or refuses: some sandboxes forbid
    sched_setaffinity(2). What is then measured is not pinned, and a Warning says so.
    """
    allowed = allowed_cpus()
    if allowed is None:
        return None
    try:
        os.sched_setaffinity(0, allowed)  # as it is already: nothing changes
    except OSError:
        return None
    return allowed


def plan_cpus(allowed: list[int] | None, processes: int = 1) -> CpuPlan:
    """One CPU for the generator and one for each server process, as far as there are some; on
    different cores where there are enough; the last ones, since the kernel's own work gathers
    on the first."""
    if allowed is None:
        return CpuPlan(None, None, (Code.NOT_PINNED,))
    shared = (Code.CPUS_SHARED,) if processes > max(1, len(allowed) - 1) else ()
    if len(allowed) < 2:
        return CpuPlan(frozenset(allowed), frozenset(allowed), (Code.ONE_CPU, *shared))
    server = frozenset(allowed[-min(processes, len(allowed) - 1) :])
    others = [cpu for cpu in allowed if cpu not in server]
    beside = {sibling for cpu in server for sibling in siblings(cpu)}
    apart = [cpu for cpu in others if cpu not in beside] or others
    return CpuPlan(server, frozenset({apart[-1]}), shared)


def share_cpus(
    plan: CpuPlan, allowed: list[int] | None, workers: int
) -> tuple[list[frozenset[int] | None], tuple[Code, ...]]:
    """The CPUs of each of several load workers on this machine, and the Warnings of that.

    One each beside the server's, where there are enough; else they share all of those.
    """
    if allowed is None or plan.generator is None:
        return [None] * workers, ()
    servers = plan.server or frozenset()
    free = [cpu for cpu in reversed(allowed) if cpu not in servers] or list(allowed)
    if workers <= len(free):
        return [frozenset({cpu}) for cpu in free[:workers]], ()
    return [frozenset(free)] * workers, (Code.WORKERS_SHARE_CPUS,)


def siblings(cpu: int) -> set[int]:
    """CPUs that share a core with `cpu`, itself included; only itself where unknown."""
    try:
        text = Path(_TOPOLOGY.format(cpu=cpu)).read_text()
    except OSError:
        return {cpu}
    cpus = {cpu}
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cpus |= set(range(int(first), int(last or first) + 1))
    return cpus
