"""StallPrinter: stalls at a person's terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopbench.results.schema import Cause
from loopbench.servers.probe.stalls.stall import Stall


@dataclass(slots=True)
class StallPrinter:
    """Prints each stall as a line.

    Those in which no code was seen and the loop had no CPU come many a second on a busy machine,
    and are about its other programs: they are counted, and have one line before the next stall
    and at the end.
    """

    write: Callable[[str], object]
    _count: int = 0
    _ms: float = 0.0

    def __call__(self, stall: Stall) -> None:
        """Print or count one."""
        if stall.cause is Cause.NO_CPU and stall.frame is None and stall.route is None:
            self._count += 1
            self._ms += stall.duration_ns / 1e6
            return
        self.flush()
        self.write(stall.line)

    def flush(self) -> None:
        """The line about those that were counted; none where there were none."""
        if self._count:
            stalls = "1 stall" if self._count == 1 else f"{self._count:,} stalls"
            self.write(
                f"{stalls} of {self._ms:.1f} ms in all, in which no code was seen: no-cpu, other "
                "programs run"
            )
        self._count, self._ms = 0, 0.0
