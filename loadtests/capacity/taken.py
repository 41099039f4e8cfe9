"""What others took of the time of the server's CPUs: its hypervisor, and other programs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from loopbench.loadtests.observe.cpu_gauge import cpu_ns
from loopbench.loadtests.observe.machine_cpu import MachineReading, read_cpus
from loopbench.loadtests.observe.waiting import Waits
from loopbench.results.schema.tables.capacity import Taker


@dataclass(frozen=True, slots=True)
class Instant:
    """Seconds, the mean over the server's CPUs, as they stood at one instant.

    server_s: CPU time of the server's processes. waited_s: for which their threads were ready to
    run and had no CPU. None: not known.
    """

    at_s: float
    machine: MachineReading | None
    server_s: float | None
    waited_s: float | None

    @classmethod
    def read(cls, pids: Sequence[int], cpus: Sequence[int]) -> Instant:
        """Now. cpus: those of the server alone; none where it has none."""
        at_s, machine = time.monotonic(), read_cpus(cpus)
        if machine is None:
            return cls(at_s, None, None, None)
        used_ns, waited_s = cpu_ns(tuple(pids)), None
        with suppress(OSError):  # there is no such account, or the server is gone
            waited_s = sum(Waits(pid).read_ns() for pid in pids) / 1e9 / len(cpus)
        return cls(at_s, machine, used_ns / 1e9 / len(cpus) if used_ns >= 0 else None, waited_s)

    def taken_since(self, before: Instant) -> Mapping[Taker, float]:
        """Shares of the time since. What is not known is not in it.

        Other programs have taken what the server waited for, and no more than they used: threads
        of one server wait for each other, too, and what others use of a CPU that is free is
        nobody's loss. What they used is told in steps, that of the server is known exactly.
        """
        if self.machine is None or before.machine is None:
            return {}
        took_s = self.at_s - before.at_s
        taken = {Taker.HYPERVISOR: (self.machine.steal_s - before.machine.steal_s) / took_s}
        server_s, waited_s = (
            _grown(before.server_s, self.server_s),
            _grown(before.waited_s, self.waited_s),
        )
        if server_s is not None and waited_s is not None:
            others_s = self.machine.busy_s - before.machine.busy_s - server_s
            taken[Taker.PROGRAMS] = max(0.0, min(waited_s, others_s)) / took_s
        return taken


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
