"""A bench from beginning to end: plan, preflight, every Run, its rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

from loopbench.loadtests.bench import preflight
from loopbench.loadtests.bench.checks import verify
from loopbench.loadtests.bench.checks.failing import in_words, worst
from loopbench.loadtests.bench.loads.block import BlockPlan, Contender, measure_in_slices
from loopbench.loadtests.bench.loads.run import measure
from loopbench.loadtests.bench.plan import (
    MOST_ROUNDS,
    PlannedBlock,
    arrivals_seed,
    plan_block,
    plan_blocks,
)
from loopbench.loadtests.bench.precision import (
    GOAL,
    Allowance,
    Vain,
    choose,
    known_widths,
    unsettled,
)
from loopbench.loadtests.bench.progress import Reporter, first_figures, reporting
from loopbench.loadtests.bench.specification import Bench
from loopbench.loadtests.bench.starters import WAYS
from loopbench.loadtests.distributed.fleet import fleet_process
from loopbench.loadtests.distributed.generator_process import Generator, Loader, generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.awake import kept_awake
from loopbench.loadtests.hosts.cpus import bindable_cpus, plan_cpus, share_cpus
from loopbench.loadtests.hosts.open_files import expect_enough
from loopbench.loadtests.messages.reports import Buckets, LoadReport
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.results_folder import Store, open_store
from loopbench.loadtests.rows.run_result import RunResult
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.results.schema import Code
from loopbench.servers.custom.traceback_text import last_traceback

if TYPE_CHECKING:
    from loopbench.results.stats.summaries.precision import Width

LOG_FILE = "log.txt"
DEATHS_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a bench went.

    broken: Runs without figures, and stacks left out, a line each.
    loaded_share: warm-up and measurement as a share of the whole time; None
    where nothing was loaded. left_out: stacks that could not be measured.
    """

    folder: Path
    broken: tuple[str, ...]
    loaded_share: float | None
    left_out: frozenset[str]


_UNUSABLE = {
    Code.NOT_VERIFIED: "broke the contract and was not loaded",
    Code.SERVER_NOT_READY: "did not become ready",
    Code.SERVER_DIED: "died under load",
    Code.GENERATOR_DIED: "lost its load generator",
    Code.WORKER_LOST: "lost a load worker",
    Code.SAVES_DIFFER: "did not keep its saves",
}

_OWN_UNUSABLE = {
    Code.NOT_VERIFIED: "was not loaded, since it answers otherwise than before the bench",
}
"""The same of a person's own application, which knows of no contract."""

_NONE_ENDED = "none ended within the window, which --duration makes longer"
_NONE_IN_SLICES = "none ended within the window of a Slice, which a longer --slice makes longer"
_OTHER_BODY = ("body of ", "body differs")
"""How the reason of a failure begins that leaves such an answer out, see `Expected.judge`."""


def run_bench(bench: Bench) -> Outcome:
    """Measure everything that is planned and not yet measured.

    Rows are written as each Run ends, so that whatever breaks later takes
    nothing back. Raises HarnessError with cause and remedy.
    """
    began = time.monotonic()
    planned = plan_blocks(bench.cells(), bench.rounds, bench.seed)
    expect_enough(bench.users())
    with (
        open_store(bench.folder, bench.to_json(), resume=bench.resume) as store,
        reporting(sum(len(block.runs) for block in planned), len(store.finished)) as reporter,
        kept_awake() if bench.keeps_awake else nullcontext(False) as awake,
        Bencher(bench, store, reporter, awake=awake) as bencher,
    ):
        if store.held.again:
            reporter.note(f"{len(store.held.again)} without figures: measured again")
        allowance = Allowance(bench.budget_s)
        bencher.preflight()
        for block in planned:
            if allowance.fits(block.scenario):
                bencher.timed(block, allowance)
        if bench.adaptive:
            bencher.go_on(planned, allowance)
    took_s = time.monotonic() - began
    share = bencher.loaded_s / took_s if bencher.loaded_s else None
    return Outcome(bench.folder, tuple(bencher.broken), share, frozenset(bencher.left_out))


class Bencher:
    """The state of a bench under way: its generator, what broke, what was left out."""

    def __init__(self, bench: Bench, store: Store, reporter: Reporter, *, awake: bool) -> None:
        self._bench = bench
        self._awake = awake
        self._store = store
        self._reporter = reporter
        self._cpus = bench.place.cpus_of(plan_cpus(bindable_cpus(), bench.processes))
        self._worker_cpus: list[frozenset[int] | None] = []
        if bench.fleet is not None and not bench.fleet.remote:
            self._worker_cpus, codes = share_cpus(self._cpus, bindable_cpus(), bench.fleet.workers)
            self._cpus = replace(self._cpus, codes=(*self._cpus.codes, *codes))
        self._log = bench.folder / LOG_FILE
        self._generators = ExitStack()
        self._generator: Loader | None = None
        self._deaths = 0
        self._drift: tuple[Code, ...] = ()
        self._unequal: Collection[str] = ()
        self.broken = [f"{run_id} {_UNUSABLE[Code.SAVES_DIFFER]}" for run_id in store.held.faulty]
        self.left_out: Mapping[str, str] = {}
        self.loaded_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._generators.close()

    def preflight(self) -> None:
        """Start each stack once, see `bench.preflight`; what fails there is left out."""
        bench = self._bench
        findings = preflight.run(bench, self._cpus, self._awake, self._log, self._reporter)
        self.left_out = findings.left_out
        self.broken += [preflight.line(*omission) for omission in findings.left_out.items()]
        self._drift = (Code.ENVIRONMENT_DRIFT,) if findings.drifted else ()
        self._unequal = findings.unequal

    def timed(self, planned: PlannedBlock, allowance: Allowance) -> None:
        """Measure a Block, and note what it took."""
        began_s = time.monotonic()
        if self.block(planned):
            allowance.spent(planned.scenario, time.monotonic() - began_s)

    def go_on(self, planned: Sequence[PlannedBlock], allowance: Allowance) -> None:
        """More Rounds of the Scenarios whose ratios are the widest, until all are as tight as
        asked for, or the time is over."""
        bench, cells = self._bench, self._bench.cells()
        goal = bench.precision or GOAL
        positions = count(1 + sum(len(block.runs) for block in planned))
        rounds = Counter(block.scenario for block in planned)
        known, vain = self._settling(planned), Vain()
        settle = bench.precision is not None
        while (name := choose(vain.without(known), goal, allowance, settle=settle)) is not None:
            rounds[name] += 1
            if rounds[name] > MOST_ROUNDS:
                break
            block = plan_block(cells, name, rounds[name], bench.seed, positions)
            self._reporter.expect(len(block.runs))
            self.timed(block, allowance)
            known = self._settling(planned)
            vain.note(name, known)
        for line in vain.lines(known):
            self._reporter.note(line)
        if settle:
            for line in unsettled(known, goal, allowance.took_s):
                self._reporter.note(line)

    def _settling(self, planned: Sequence[PlannedBlock]) -> tuple[Width, ...]:
        """How tight the ratios are that more Rounds are for: those of scenarios in Slices, where
        there are some. In whole Runs the noise of the machine would take all of the time."""
        known = known_widths(self._bench.folder)
        sliced = {
            block.scenario for block in planned if self._bench.sliced(block.scenario) is not None
        }
        return tuple(width for width in known if not sliced or width.scenario in sliced)

    def block(self, planned: PlannedBlock) -> bool:
        """Measure the Runs of a Block that are not there yet, and write their rows; whether there
        were any.

        A Block in Slices that was broken off is measured anew as a whole: its Runs are worth
        something side by side only.
        """
        runs = [run for run in planned.runs if run.stack not in self.left_out]
        missing = [run for run in runs if run.run_id not in self._store.finished]
        slice_s = self._bench.sliced(planned.scenario)
        if slice_s is None:
            for run in missing:
                self.run(run)
        elif missing:
            self._sliced(replace(planned, runs=tuple(runs)), slice_s)
        return bool(missing)

    def _sliced(self, planned: PlannedBlock, slice_s: float) -> None:
        bench = self._bench
        scenario = bench.scenario(planned.scenario)
        names = ", ".join(run.stack for run in planned.runs)
        self._reporter.run_begins(f"{planned.round:02d}.{planned.scenario}: {names}")
        generator = self._live_generator()
        assert isinstance(generator, Generator)
        plan = BlockPlan(
            slice_s=slice_s,
            warmup_s=bench.lead_in_s(planned.scenario),
            turns=bench.turns(planned.scenario),
            seed=bench.seed,
            cpus=self._cpus,
            watched_s=bench.watched_s,
            awake=self._awake,
        )
        scenario = replace(scenario, settings=replace(scenario.settings, probe=bench.probe))
        starter = partial(
            WAYS[bench.manager].starter(bench.place),
            settings=scenario.settings,
            cpus=self._cpus.server,
            log=self._log,
        )
        contenders = [
            Contender(
                run,
                scenario,
                partial(starter, bench.stack(run.stack), bench.processes),
                bench.processes,
                bench.stack(run.stack).yardstick,
            )
            for run in planned.runs
        ]
        results = measure_in_slices(contenders, generator, plan)
        self._keep(results, plan.warmup_s + plan.slice_s * plan.turns + plan.watched_s)

    def run(self, planned: PlannedRun) -> None:
        """Measure one whole Run and write its rows."""
        self._reporter.run_begins(planned.run_id)
        scenario = self._bench.scenario(planned.scenario)
        warmup_s, window_s = (
            self._bench.lead_in_s(planned.scenario),
            self._bench.window_s(planned.scenario),
        )
        result = measure(
            planned,
            self._bench.stack(planned.stack),
            scenario,
            self._live_generator(),
            self._cpus,
            warmup_s=warmup_s,
            measured_s=window_s,
            seed=arrivals_seed(self._bench.seed, planned.round),
            probe=self._bench.probe,
            rests=self._bench.rests,
            log=self._log,
            processes=self._bench.processes,
            manager=self._bench.manager,
            place=self._bench.place,
        )
        self._keep((result,), warmup_s + window_s)

    def _keep(self, results: tuple[RunResult, ...], loaded_s: float) -> None:
        """Write the rows of a Block, or of a Run, and tell what is wrong with them.

        loaded_s: how long each of the servers was loaded, warm-up included.
        """
        for result in results:
            unequal = (Code.UNEQUAL_TERMS,) if result.planned.stack in self._unequal else ()
            result = replace(result, codes=(*result.codes, *self._drift, *unequal))
            rows = rows_of(result)
            self._store.add(rows)
            if result.report is not None:
                self.loaded_s += loaded_s
            because = f": {result.cause}" if result.cause else ""
            unusable = _UNUSABLE if self._bench.own is None else _UNUSABLE | _OWN_UNUSABLE
            if self._bench.own is not None and Code.NOT_VERIFIED in result.codes:
                because += f"; {verify.STATUS_ALONE}"
            wrong = [
                f"{result.planned.run_id} {text}{because}"
                for code, text in unusable.items()
                if code in result.codes
            ]
            wrong += [f"{result.planned.run_id} {text}" for text in self._without_success(result)]
            self.broken += wrong
            self._reporter.run_begins(result.planned.run_id)
            # A person waits for the figures of their own application; those of many stacks mean
            # something side by side only.
            figures = None if self._bench.own is None else first_figures(rows.runs)
            self._reporter.run_ends("; ".join(wrong) or figures)
            for text in self._in_part(result):
                self._reporter.note(text)
        self._mourn(any(Code.GENERATOR_DIED in result.codes for result in results))

    def _without_success(self, result: RunResult) -> Iterator[str]:
        """The loads that were offered and had no correct answer in the window, and why."""
        if result.report is None or _UNUSABLE.keys() & set(result.codes):
            return
        for load in result.scenario.loads:
            outcome = result.report.loads[load.name]
            if outcome.completed or not load.own:
                continue
            ended = _NONE_ENDED if result.slices == () else _NONE_IN_SLICES
            yield f"had no correct answer to {load.case.name}: {self._why(outcome, ended)}"

    def _in_part(self, result: RunResult) -> Iterator[str]:
        """The loads of a person's own application that failed in part, and why."""
        if result.report is None or _UNUSABLE.keys() & set(result.codes):
            return
        for load in result.scenario.loads:
            outcome = result.report.loads[load.name]
            if load.own and outcome.completed and outcome.measured.failures:
                yield f"note: {load.case.name} failed in part: {self._why(outcome)}"

    def _why(self, outcome: LoadReport[Buckets], none: str = _NONE_ENDED) -> str:
        """The commonest failures of a load, and what the server's log has of them; `none` where
        there is no failure.

        Where none succeeded in the window, those before it may say why: a server hangs since then.
        """
        most = worst(outcome.measured.failures)
        text = ", ".join(map(in_words, most)) or none
        reasons = {failure.reason for failure in most}
        others = [failure for failure in outcome.warmup.failures if failure.reason not in reasons]
        if others and not outcome.completed:
            most += worst(others)
            text += f"; before the window {', '.join(map(in_words, worst(others)))}"
        raised = last_traceback(self._log)
        if raised is not None:
            text += f"; it raised {raised}"
        elif any(failure.reason.startswith(_OTHER_BODY) for failure in most):
            text += f"; {verify.STATUS_ALONE}"
        return f"{text}; the server's log: {self._log}"

    def _live_generator(self) -> Loader:
        """The one long-lived generator, or fleet; a new one where the last has died."""
        if self._generator is None or not self._generator.alive:
            self._generators.close()
            self._generator = self._generators.enter_context(self._new_generator())
        return self._generator

    def _new_generator(self) -> AbstractContextManager[Loader]:
        fleet, cpus = self._bench.fleet, self._cpus
        if fleet is None:
            return generator_process(cpus=cpus.generator, log=self._log)
        return fleet_process(fleet, cpus=self._worker_cpus, log=self._log, say=self._reporter.note)

    def _mourn(self, died: bool) -> None:
        self._deaths = self._deaths + 1 if died else 0
        if died:  # or fell silent, and must not be asked for another load
            self._generators.close()
            self._generator = None
        if self._deaths >= DEATHS_IN_A_ROW:
            raise HarnessError(
                f"the load generator died {self._deaths} times in a row; "
                f"{self._log} has its last words"
            )
