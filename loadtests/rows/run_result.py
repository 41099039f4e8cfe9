"""One Run as it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from loopbench.loadtests.messages.reports import Report, SliceResult
from loopbench.loadtests.observe.observer import Observed
from loopbench.loadtests.observe.save_audit import Accounted
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.scenarios.models import Scenario
from loopbench.results.schema import Code
from loopbench.servers.lifecycle.process import Ended


@dataclass(frozen=True, slots=True)
class Slice:
    """One visit of the load to one server, with its place. watched: by the probe, whose cost is in
    it, so that no figure is taken from it."""

    turn: int
    position: int
    result: SliceResult
    watched: bool = False

    @property
    def cpu_us_per_request(self) -> float | None:
        """CPU time of the server a completed request; each rate is taken over its own window."""
        made = self.result
        if made.cpu_s is None or not made.requests or not made.cpu_window_s:
            return None
        rate = made.requests / made.seconds
        return made.cpu_s / made.cpu_window_s / rate * 1e6


@dataclass(frozen=True, slots=True)
class AtRest:
    """CPU time of a server while its probe rests. Times in seconds.

    cpu_s, cpu_window_s: its CPU time, and the time between the two readings. completed: right
    answers of all loads. window_s: the time in which these came. failures: of all phases.
    """

    cpu_s: float
    cpu_window_s: float
    completed: int
    window_s: float
    failures: int

    @property
    def utilisation(self) -> float:
        """CPU time over wall time."""
        return self.cpu_s / self.cpu_window_s

    @property
    def cpu_us_per_request(self) -> float | None:
        """CPU time an answer, each rate taken over its own window; None without an answer."""
        if not self.completed:
            return None
        return self.utilisation / (self.completed / self.window_s) * 1e6


@dataclass(frozen=True, slots=True)
class RunResult:
    """One Run as it was seen. None: it did not come to that.

    cause: why there are no figures, or fewer than there should be, in one line.
    server_here: whether the server ran on the harness's own machine.
    slices: of a Run that was measured in Slices; its report then adds them up.
    others_cpu: of such a Run, the share of one CPU that was used by processes that are not of
    this bench, over the whole Block.
    yardstick: whether the stack is there to measure the measuring with.
    at_rest: of a whole Run, what was read while the probe rested; its CPU figures are then these.
    """

    planned: PlannedRun
    scenario: Scenario
    started_at: str
    codes: tuple[Code, ...]
    processes: int = 1
    cause: str | None = None
    start_ms: float | None = None
    first_answer_ms: float | None = None
    report: Report | None = None
    observed: Observed = field(default_factory=Observed)
    calibration_ms: float | None = None
    ended: Ended | None = None
    accounted: Accounted | None = None
    server_here: bool = True
    slices: tuple[Slice, ...] = ()
    others_cpu: float | None = None
    yardstick: bool = False
    at_rest: AtRest | None = None
