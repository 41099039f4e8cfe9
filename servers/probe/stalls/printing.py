"""StallPrinter: stalls at a person's terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from loopbench.results.schema import Cause
from loopbench.servers.probe.stalls.stall import Stall

WITHOUT_A_CPU = {
    Cause.NO_CPU: "no-cpu, other programs run",
    Cause.STOLEN: "stolen, the hypervisor had the CPU",
}
"""What is said of stalls that are about the machine alone, where no code was seen."""


@dataclass(slots=True)
class StallPrinter:
    """Prints each stall as a line.

    Those in which no code was seen and the loop had no CPU come many a second on a busy machine,
    and are about its other programs, or others' machines: they are counted, and have one line for
    each cause before the next stall and at the end.
    """

    write: Callable[[str], object]
    _counted_ms: dict[Cause, list[float]] = field(default_factory=dict)

    def __call__(self, stall: Stall) -> None:
        """Print or count one."""
        if stall.cause in WITHOUT_A_CPU and stall.frame is None and stall.route is None:
            self._counted_ms.setdefault(stall.cause, []).append(stall.duration_ns / 1e6)
            return
        self.flush()
        self.write(stall.line)

    def flush(self) -> None:
        """The lines about those that were counted; none where there were none."""
        for cause, ms in self._counted_ms.items():
            stalls = "1 stall" if len(ms) == 1 else f"{len(ms):,} stalls"
            self.write(
                f"{stalls} of {sum(ms):.1f} ms in all, in which no code was seen: "
                f"{WITHOUT_A_CPU[cause]}"
            )
        self._counted_ms.clear()
