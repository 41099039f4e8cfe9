"""What every check of the instrument needs: a server, a generator, one load."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.hosts.cpus import CpuPlan, bindable_cpus, plan_cpus
from loopbench.loadtests.messages.generator import GeneratorEvent, WindowClosed, WindowOpened
from loopbench.loadtests.messages.reports import Report
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.rows.histogram import Histogram, from_pairs
from loopbench.loadtests.scenarios.table import Load
from loopbench.servers.lifecycle.process import Reading, ServerProcess, server_process


@dataclass(frozen=True, slots=True)
class Bed:
    """A live server and a live generator, on CPUs of their own where there are two."""

    server: ServerProcess
    generator: Generator
    cpus: CpuPlan


@dataclass(frozen=True, slots=True)
class Loaded:
    """One load's report, with the server read at both edges of the window."""

    report: Report
    opened: Reading
    closed: Reading

    @property
    def throughput_rps(self) -> float:
        """Right answers a second in the window."""
        return self.report.loads["main"].completed / self.report.measured_s

    @property
    def server_cpu(self) -> float:
        """The server's CPU time over wall time in the window."""
        return self.closed.utilisation_since(self.opened)

    @property
    def generator_cpu(self) -> float:
        """The generator's CPU time over wall time in the window."""
        return self.report.cpu_s / self.report.measured_s

    def histogram(self, quantity: str) -> Histogram:
        """A quantity of the measured window, see `messages.reports.Times`."""
        return from_pairs(getattr(self.report.loads["main"].measured.times, quantity) or ())


@contextmanager
def bed(stack: str) -> Iterator[Bed]:
    """Start `stack` and a generator; stop both in the end."""
    cpus = plan_cpus(bindable_cpus())
    with (
        server_process(stack, cpus=cpus.server) as server,
        generator_process(cpus=cpus.generator) as generator,
    ):
        yield Bed(server, generator, cpus)


def offer(
    on: Bed,
    load: Load,
    *,
    warmup_s: float,
    measured_s: float,
    seed: int = 1,
    spin_ms: float = 0.0,
    opened: Callable[[], None] = lambda: None,
) -> Loaded:
    """Offer one load and return what it did. `opened` is called when the window opens."""
    readings: dict[type[GeneratorEvent], Reading] = {}

    def edge(event: type[GeneratorEvent]) -> None:
        readings[event] = on.server.read()
        if event is WindowOpened:
            opened()

    report = on.generator.load(
        SessionSpec(
            host=on.server.host,
            port=on.server.port,
            loads=(load,),
            warmup_s=warmup_s,
            measured_s=measured_s,
            drain_s=10.0,
            timeout_s=30.0,
            seed=seed,
            spin_ms=spin_ms,
        ),
        bound_s=warmup_s + measured_s + 10.0,
        at={event: partial(edge, event) for event in (WindowOpened, WindowClosed)},
        give_up=lambda: not on.server.alive,
    )
    return Loaded(report, readings[WindowOpened], readings[WindowClosed])
