"""What a request costs a server whose probe rests: a second, short load after that of a whole Run.

In a whole Run the probe watches throughout, and its timer beats a hundred times a second. Where a
server has a hundred requests a second, that is a good part of all that it does, and the same for
every stack: ratios would come out too near to 1. Runs in Slices need nothing of the kind.
"""

from __future__ import annotations

from dataclasses import replace

from loopbench.loadtests.distributed.generator_process import Loader
from loopbench.loadtests.messages.generator import WindowClosed, WindowOpened
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.observe.observer import Observer, are_of_a_window
from loopbench.loadtests.rows.run_result import AtRest
from loopbench.servers.managers.managed import Served
from loopbench.servers.supervision.os_stats import Reading

LEAST_S, MOST_S = 0.4, 2.0
SHARE = 3 / 8
"""How long CPU time is read for: this share of the Run's window, between these bounds."""

_MOST_LEAD_IN_S = 1.0


def resting_times_s(warmup_s: float, measured_s: float) -> tuple[float, float]:
    """The lead-in and the window of the second load, from those of the Run."""
    return min(_MOST_LEAD_IN_S, warmup_s), min(MOST_S, max(LEAST_S, SHARE * measured_s))


def resting_spec(spec: SessionSpec) -> SessionSpec:
    """The same load for a shorter time."""
    warmup_s, measured_s = resting_times_s(spec.warmup_s, spec.measured_s)
    return replace(spec, warmup_s=warmup_s, measured_s=measured_s)


def load_at_rest(
    server: Served, observer: Observer, generator: Loader, spec: SessionSpec
) -> AtRest | None:
    """Offer a load while the probe rests; None where the server's CPU time could not be read.

    Raises GeneratorDied and HarnessError, as `Loader.load` does.
    """
    readings: list[Reading | None] = []
    observer.rest()
    report = generator.load(
        spec,
        bound_s=spec.warmup_s + spec.measured_s + spec.drain_s,
        at=dict.fromkeys((WindowOpened, WindowClosed), lambda: readings.append(observer.read())),
        give_up=lambda: not server.alive,
    )
    opened, closed = readings if len(readings) == 2 else (None, None)
    if opened is None or closed is None:
        return None
    if not are_of_a_window(opened, closed, report.measured_s):
        return None
    loads = report.loads.values()
    return AtRest(
        cpu_s=(closed.cpu_ns - opened.cpu_ns) / 1e9,
        cpu_window_s=(closed.monotonic_ns - opened.monotonic_ns) / 1e9,
        completed=sum(load.completed for load in loads),
        window_s=report.measured_s,
        failures=sum(load.warmup.failed + load.measured.failed for load in loads),
    )
