"""One Block: a Scenario in one Round, a fresh process of every Stack.

Where the Scenario is measured in Slices, all of them are alive side by side, and the load visits
them in turn, so that what the machine does in between falls on all of them alike. The probes rest
then: what they observe is observed in one longer Slice at the end, which no figure is taken from.
Where a handler waits, a Slice would end before its first answers, and an arrival rate that a server
does not hold shows only after a while; such a Scenario's Runs stay whole, and those of one Block
follow each other.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from loopbench.loadtests.bench.checks import verify
from loopbench.loadtests.bench.checks.own_failures import expect_own_resources
from loopbench.loadtests.bench.loads.calibration import calibrate
from loopbench.loadtests.bench.loads.run import DRAIN_S, after_the_load, how_it_died
from loopbench.loadtests.bench.plan import arrivals_seed, turns
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import GeneratorDied
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.messages.reports import Report, SliceResult
from loopbench.loadtests.messages.specs import BlockSpec, Phase, Target
from loopbench.loadtests.observe.cpu_gauge import cpu_ns
from loopbench.loadtests.observe.machine_cpu import MachineReading, family, others_cpu, read_machine
from loopbench.loadtests.observe.observer import Observer
from loopbench.loadtests.observe.store_cpu import CpuReading, StoreCpu, used
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_result import RunResult, Slice
from loopbench.loadtests.scenarios.models import Scenario
from loopbench.results.schema import Code
from loopbench.results.schema.warnings import SLICES_SHORT_LIMIT
from loopbench.servers.errors import ServerError
from loopbench.servers.managers.managed import Served
from loopbench.servers.supervision.cpu_quota import cpu_quotas

FIRST_ANSWER_BOUND_S = 5.0
"""How long a Slice waits for the first answers of its users before they have failed."""

_CONNECT_BOUND_S = 60.0
_DEATH_BOUND_S = 0.5

_LASTING = {*(Code.ONE_CPU, Code.CPUS_SHARED, Code.NOT_PINNED, Code.SERVER_NOT_READY)}
"""Warnings of a Run that hold for the next one with the same server."""

PARKED_LIMIT = 0.002
"""Share of a CPU that a parked server may use; what it uses more is taken from its rivals."""


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """What a Block is to be measured with. Times in seconds.

    slice_s: the counted window of a Slice. turns: how many Slices each Stack gets. watched_s: of
    the Slice after these, in which the probe watches; 0: there is none. awake: whether idle CPUs
    are kept from sleeping meanwhile.
    """

    slice_s: float
    warmup_s: float
    turns: int
    seed: int
    cpus: CpuPlan
    watched_s: float = 0.0
    awake: bool = False


@dataclass(frozen=True, slots=True)
class Contender:
    """What takes part in a Block: a Run, and how its server is started.

    planned: its stack is the name that tells it from its rivals. scenario: what it is offered,
    one load, a closed loop or an open one. start: starts its server, and stops it in the end;
    raises ServerError.
    """

    planned: PlannedRun
    scenario: Scenario
    start: Callable[[], AbstractContextManager[Served]]
    processes: int = 1
    yardstick: bool = False


@dataclass(slots=True)
class Entrant:
    """One Contender's part in a Block under way. server: None where it did not start."""

    planned: PlannedRun
    result: RunResult
    server: Served | None = None
    observer: Observer | None = None
    slices: list[Slice] = field(default_factory=list)

    @property
    def taking_part(self) -> bool:
        """Whether it is to be visited: it has started, is verified, and has not died."""
        return self.observer is not None and self.server is not None and self.server.alive

    def verify(self) -> None:
        """Hold the server to the scenario's Cases, and make ready to observe it."""
        server, scenario = self.server, self.result.scenario
        assert server is not None
        self.result = replace(
            self.result, start_ms=server.start_ms, first_answer_ms=server.first_answer_ms
        )
        cases = [load.case for load in scenario.loads]
        wrong = verify.problems(server.host, server.port, cases)
        if wrong:
            self.note(Code.NOT_VERIFIED if _lives(server) else Code.SERVER_DIED, wrong[0])
        else:
            self.observer = Observer(server, probe=scenario.settings.probe)

    def go_on(self, planned: PlannedRun, scenario: Scenario) -> None:
        """Begin another Run with the same server, which may have ended or never begun."""
        codes = tuple(code for code in self.result.codes if code in _LASTING)
        self.planned = planned
        self.result = replace(
            self.result,
            planned=planned,
            scenario=scenario,
            codes=codes,
            cause=None,
            report=None,
            slices=(),
            started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        self.observer, self.slices = None, []
        if self.server is not None and self.server.alive:
            self.verify()
        elif self.server is not None:
            self.note(Code.SERVER_DIED)

    def note(self, code: Code, cause: str | None = None) -> None:
        """Add a Warning, and why."""
        self.result = replace(
            self.result, codes=(*self.result.codes, code), cause=cause or self.result.cause
        )


def _lives(server: Served) -> bool:
    """Whether a server that broke off an answer goes on; its end shows a moment later."""
    deadline = time.monotonic() + _DEATH_BOUND_S
    while server.alive and time.monotonic() < deadline:
        time.sleep(_DEATH_BOUND_S / 50)
    return server.alive


def measure_in_slices(
    contenders: Sequence[Contender], generator: Generator, plan: BlockPlan
) -> tuple[RunResult, ...]:
    """Carry out one Block; what happens to a server or to the generator is part of its result.

    Servers are started in the order of the contenders, and so are the results. A server that does
    not start, breaks the contract, or dies, costs its own Slices and no other's. Raises
    HarnessError for what is the harness's own fault.
    """
    with ExitStack() as cleanup:
        entrants = start_all(contenders, plan, cleanup)
        load_in_turn(entrants, generator, plan)
        return tuple(_stopped(entrant) for entrant in entrants)


def start_all(
    contenders: Sequence[Contender], plan: BlockPlan, cleanup: ExitStack
) -> tuple[Entrant, ...]:
    """Start the server of each contender and hold it to its scenario's Cases; one that cannot be
    loaded says so in its result. cleanup: stops them."""
    entrants = tuple(
        Entrant(contender.planned, _nothing_yet(contender, plan)) for contender in contenders
    )
    for contender, entrant in zip(contenders, entrants, strict=True):
        try:
            entrant.server = cleanup.enter_context(contender.start())
        except ServerError as error:
            entrant.note(Code.SERVER_NOT_READY, str(error))
            continue
        entrant.verify()
    return entrants


def _nothing_yet(contender: Contender, plan: BlockPlan) -> RunResult:
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return RunResult(
        contender.planned,
        contender.scenario,
        started_at,
        plan.cpus.codes,
        contender.processes,
        yardstick=contender.yardstick,
    )


def load_in_turn(entrants: Sequence[Entrant], generator: Generator, plan: BlockPlan) -> None:
    """Load those that can be loaded in Slices, and note what came of it in their results."""
    ready = [entrant for entrant in entrants if entrant.observer is not None]
    if not ready:
        return
    before_ms = calibrate(plan.cpus.server)
    quotas = cpu_quotas()
    throttled = sum(quota.throttled() for quota in quotas)
    try:
        _load(ready, generator, plan)
    except GeneratorDied as error:
        for entrant in ready:
            entrant.note(Code.GENERATOR_DIED, str(error))
    cut_off = sum(quota.throttled() for quota in quotas) > throttled
    after_ms = calibrate(plan.cpus.server)
    for entrant in ready:
        if cut_off:
            entrant.note(Code.CPU_THROTTLED)
        _judge(entrant, before_ms, after_ms)


def _load(entrants: Sequence[Entrant], generator: Generator, plan: BlockPlan) -> None:
    for entrant in entrants:
        assert entrant.observer is not None
        entrant.observer.rest()
        entrant.observer.begin()
    generator.open_block(_spec(entrants, plan), _CONNECT_BOUND_S)
    for entrant in entrants:  # caches fill, and users come into step
        _visit(entrant, generator, plan.warmup_s, Phase.LEAD_IN)
    scenario = entrants[0].result.scenario
    stores = StoreCpu(scenario.settings, scenario.loads)
    opened = _Machine.read(entrants, generator, stores)
    for entrant in entrants:
        assert entrant.observer is not None
        entrant.observer.opened()
    _take_turns(entrants, generator, plan)
    others = _Machine.read(entrants, generator, stores).others_since(opened)
    for entrant in entrants:
        assert entrant.observer is not None
        entrant.observer.closed()
    reports = generator.close_block(_CONNECT_BOUND_S)
    for entrant in entrants:
        expect_own_resources(reports[entrant.planned.stack])
    for entrant in entrants:
        _report(entrant, reports[entrant.planned.stack], others)


def _take_turns(entrants: Sequence[Entrant], generator: Generator, plan: BlockPlan) -> None:
    """The Turns of a Block: those that the figures are taken from, and the one that is watched."""
    by_name = {entrant.planned.stack: entrant for entrant in entrants}
    first = entrants[0].planned
    order = turns(sorted(by_name), f"{plan.seed}/{first.round}/{first.scenario}")
    kinds = [(plan.slice_s, Phase.MEASURED)] * plan.turns
    if plan.watched_s:
        kinds.append((plan.watched_s, Phase.WATCHED))
    for number, ((seconds, phase), names) in enumerate(zip(kinds, order, strict=False), start=1):
        for position, name in enumerate(names, start=1):
            entrant = by_name[name]
            made = _visit(entrant, generator, seconds, phase)
            if made is not None:
                watched = phase is Phase.WATCHED
                entrant.slices.append(Slice(number, position, made, watched))


def _visit(
    entrant: Entrant, generator: Generator, seconds: float, phase: Phase
) -> SliceResult | None:
    """One Slice; None for a server that takes no part any more."""
    if not entrant.taking_part:
        return None
    assert entrant.observer is not None
    with entrant.observer.watching() if phase is Phase.WATCHED else nullcontext():
        return generator.slice(
            entrant.planned.stack, seconds, phase, bound_s=3 * (FIRST_ANSWER_BOUND_S + DRAIN_S)
        )


def _spec(entrants: Sequence[Entrant], plan: BlockPlan) -> BlockSpec:
    targets = (
        Target(
            name=entrant.planned.stack,
            host=entrant.server.host,
            port=entrant.server.port,
            pids=tuple(entrant.server.pids),
            load=entrant.result.scenario.loads[0],
        )
        for entrant in entrants
        if entrant.server is not None
    )
    return BlockSpec(
        targets=tuple(targets),
        cpus=tuple(sorted(plan.cpus.server or ())),
        first_s=FIRST_ANSWER_BOUND_S,
        drain_s=DRAIN_S,
        seed=arrivals_seed(plan.seed, entrants[0].planned.round),
        awake=plan.awake,
    )


def _report(entrant: Entrant, report: Report, others: float | None) -> None:
    """Note what the generator says of an entrant, if it was visited at all."""
    observer, scenario = entrant.observer, entrant.result.scenario
    assert observer is not None
    if not entrant.slices:
        return
    observer.end(report.as_watched(), scenario.loads)
    entrant.result = replace(
        entrant.result,
        report=report,
        observed=observer.observed,
        slices=tuple(entrant.slices),
        others_cpu=others,
    )


def _judge(entrant: Entrant, before_ms: float, after_ms: float) -> None:
    """Warnings about the Block as a whole, at one of its Runs."""
    server, observer = entrant.server, entrant.observer
    assert server is not None
    assert observer is not None
    entrant.result = replace(entrant.result, calibration_ms=(before_ms + after_ms) / 2)
    # How the speed changed in between is in every Slice, and falls on all stacks alike.
    for code in after_the_load(server, observer.observed, None, None):
        entrant.note(code)
    parked_s = sum(run_slice.result.parked_s or 0.0 for run_slice in entrant.slices)
    parked_cpu_s = sum(run_slice.result.parked_cpu_s or 0.0 for run_slice in entrant.slices)
    if parked_s and parked_cpu_s / parked_s > PARKED_LIMIT:
        entrant.note(Code.PARKED_BUSY)
    if _are_short(entrant):
        entrant.note(Code.SLICES_SHORT)


def _are_short(entrant: Entrant) -> bool:
    """Whether its users take so long for their first answers that few come in a window."""
    leads = [
        one.result.lead_in_s / one.result.seconds
        for one in entrant.slices
        if one.result.seconds > 0 and not one.watched
    ]
    waits = entrant.result.scenario.loads[0].model.waits_for_answers
    return waits and bool(leads) and statistics.median(leads) > SLICES_SHORT_LIMIT


def _stopped(entrant: Entrant) -> RunResult:
    """The result, once its server has been stopped."""
    if entrant.server is None:
        return entrant.result
    ended = entrant.server.stop()
    if Code.SERVER_DIED in entrant.result.codes:
        entrant.result = replace(entrant.result, cause=how_it_died(entrant.server, ended))
    if ended.killed:
        entrant.note(Code.STOP_KILLED)
    return replace(entrant.result, ended=ended)


@dataclass(frozen=True, slots=True)
class _Machine:
    """CPU time at one instant, in seconds: of the machine, and of all that belongs to the bench.
    stores: of those that the servers use, which are no strangers."""

    at_s: float
    machine: MachineReading | None
    ours_s: float | None
    stores: CpuReading

    @classmethod
    def read(cls, entrants: Sequence[Entrant], generator: Generator, stores: StoreCpu) -> _Machine:
        servers = [entrant.server.pids for entrant in entrants if entrant.server is not None]
        # The gauge is a child of the generator: what it uses is no stranger's.
        ours = [cpu_ns(pids) for pids in (*servers, family(generator.pid), (os.getpid(),))]
        ours_s = None if min(ours) < 0 else sum(ours) / 1e9
        return cls(time.monotonic(), read_machine(), ours_s, stores.read())

    def others_since(self, before: _Machine) -> float | None:
        """What strangers used since, as a share of one CPU; None where it cannot be told."""
        if self.ours_s is None or before.ours_s is None:
            return None
        used_s, wall_s = self.ours_s - before.ours_s, self.at_s - before.at_s
        used_s += used(before.stores.database_s, self.stores.database_s) or 0.0
        used_s += used(before.stores.redis_s, self.stores.redis_s) or 0.0
        return others_cpu(before.machine, self.machine, used_s, wall_s)
