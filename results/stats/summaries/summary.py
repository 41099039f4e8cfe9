"""One number for each metric of a Cell, and how far it can be trusted.

The unit of replication is the Run: one value a Round, each from a fresh
process. Requests are never pooled, since those of one process share its luck.

Ratio. Stacks are compared within a Round, since the Runs of a Round share the
machine's state: the logarithms of value over reference value, one a Round,
are summarised by the same method, and the results raised to e again. Of Runs
that were measured in Slices the value of a Round comes from the ratios of
Slices in the same Turn (`results.stats.intervals.slices`).
The method, with its source and limits: `results.stats.intervals.location`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from loopbench.results import schema
from loopbench.results.errors import UnknownName
from loopbench.results.folder.folder import Folder, Plan, RunRow, nearest, planned
from loopbench.results.folder.scenarios import LoadFacts, Where, facts_by_load, names_of
from loopbench.results.grouping import grouped
from loopbench.results.schema import Column, Kind
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import (
    GENERATOR_LIMIT,
    MIN_ROUNDS,
    TRIM_FROM,
    ReadingCode,
)
from loopbench.results.schema.warnings import Code, wording
from loopbench.results.stats.intervals import blocks, moderation, slices
from loopbench.results.stats.intervals.location import Interval, locate, raised
from loopbench.results.stats.summaries.warned import Warning  # noqa: A004  the project's noun

_ALWAYS, _COUNTED = "throughput_rps", "requests"
"""What a Run has that was loaded."""

_GIVEN = frozenset(
    (
        "round",
        "position",
        "processes",
        "users",
        "arrival_rate_rps",
        "think_s",
        "scenario_parameter",
        "work_ms",
        "request_body_bytes",
        "answer_body_bytes",
        "warmup_s",
        "measured_s",
        "watched_s",
        "rested_s",
        "exit_code",
    )
)
"""Numbers of runs.csv that were chosen, or are names: they are not summarised."""

METRICS: Mapping[str, Column] = MappingProxyType(
    {
        column.name: column
        for column in schema.RUNS.columns
        if column.kind in (Kind.INTEGER, Kind.NUMBER) and column.name not in _GIVEN
    }
)
"""Every column of runs.csv that is a reading, by name."""

Cell = tuple[str, str, str]
"""Stack, scenario and load."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One metric's values of one Cell and load, by Round. Unit: that of the column."""

    stack: str
    scenario: str
    load: str
    metric: str
    values: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A Sample over that of the reference stack in the same scenario and load.

    n: Rounds that have both. interval: None where n is too small. overloaded: those of the two
    stacks that did not hold the offered rate, so that the ratio says how long the load lasted.
    """

    to: str
    n: int
    centre: float
    interval: Interval | None
    overloaded: tuple[str, ...] = ()

    @property
    def significant(self) -> bool | None:
        """Whether the interval leaves out 1; None without an interval."""
        return None if self.interval is None else 1.0 not in self.interval


@dataclass(frozen=True, slots=True)
class Summary:
    """A Sample in numbers. lowest, highest: the spread over Rounds, always there."""

    sample: Sample
    n: int
    centre: float
    interval: Interval | None
    lowest: float
    highest: float
    ratio: Ratio | None
    warnings: tuple[Warning, ...]

    @property
    def disqualifying(self) -> tuple[str, ...]:
        """Codes that say that something else was measured, in more Rounds than are trimmed away."""
        most = self.n // TRIM_FROM
        return tuple(w.code for w in self.warnings if w.wording.disqualifies and w.rounds > most)


@dataclass(frozen=True, slots=True)
class Summaries:
    """Everything that is summarised of a folder.

    by: summaries by cell and metric. cells: the Warnings of every Cell and
    load, those without any figure included, in the order to show them in.
    reference: None where no stack can be one. yardstick: the stack without a framework, which
    shows what the generator reaches at most and is never the reference; None without one.
    facts: what the rows say of each scenario and load. names: how these are called.
    """

    reference: str | None
    by: Mapping[tuple[Cell, str], Summary]
    cells: Mapping[Cell, tuple[Warning, ...]]
    yardstick: str | None
    facts: Mapping[Where, LoadFacts]
    names: Mapping[Where, str]

    def get(self, cell: Cell, metric: str) -> Summary | None:
        """The Summary of one metric; None where it was not measured."""
        return self.by.get((cell, metric))

    def name(self, cell: Cell) -> str:
        """Stack and scenario of a Cell; the load too where the scenario alone does not tell."""
        return f"{cell[0]} {self.names[cell[1:]]}"


def samples(runs: Iterable[RunRow]) -> dict[tuple[Cell, str], Sample]:
    """Every metric of every Cell and load that has a value in at least one Round."""
    values: defaultdict[tuple[Cell, str], dict[int, float]] = defaultdict(dict)
    for run in runs:
        for metric in METRICS:
            number = run.number(metric)
            if number is not None:
                values[run.cell, metric][run.round] = number
    return {
        (cell, metric): Sample(*cell, metric, MappingProxyType(by_round))
        for (cell, metric), by_round in values.items()
    }


def choose_reference(
    stacks: Sequence[str], yardstick: str | None, wanted: str | None = None
) -> str | None:
    """The stack that ratios are taken to: the one wanted, or the first by name that is no
    yardstick; None where only the yardstick is there. Raises UnknownName."""
    if wanted is None:
        return next((stack for stack in sorted(stacks) if stack != yardstick), None)
    if wanted not in stacks:
        hint = nearest(wanted, stacks) or f"measured were {', '.join(sorted(stacks))}"
        raise UnknownName(f"unknown stack {wanted!r}; {hint}")
    return wanted


def summarise(folder: Folder, reference: str | None = None) -> Summaries:
    """Summaries of every metric of every Cell and load. Raises UnknownName for a reference
    stack that the folder does not have."""
    measured = sorted({run.stack for run in folder.runs})
    yardstick, facts = folder.yardstick, facts_by_load(folder.runs)
    to = choose_reference(measured, yardstick, reference)
    taken = samples(folder.runs)
    sliced = {} if to is None else sliced_ratios(folder, to)
    noted = _noted(folder)
    limited = _generator_limited(taken, _closed(folder.runs), yardstick)
    by = {}
    for (cell, metric), sample in taken.items():
        ratio = None
        if to is not None and cell[0] != to:
            ratio = sliced.get((cell, metric)) or paired_ratio(
                sample, taken.get(((to, *cell[1:]), metric))
            )
            if ratio is not None and wording(Code.RATE_MISSED).concerns(metric):
                pair = (cell, (to, *cell[1:]))
                missed = tuple(one[0] for one in pair if _overloaded(noted[one]))
                ratio = replace(ratio, overloaded=missed)
        found = [warning for warning in noted[cell] if warning.wording.concerns(metric)]
        found += [
            warning
            for warning in _read_together(sample, folder.plan, cell in limited)
            if warning.wording.concerns(metric)
        ]
        by[cell, metric] = _summary(sample, ratio, tuple(found))
    cells = {
        cell: _of_cell(cell, noted.get(cell, ()), by, folder.plan) for cell in _every_cell(folder)
    }
    return Summaries(
        to, MappingProxyType(by), MappingProxyType(cells), yardstick, facts, names_of(facts)
    )


def ratio_between(one: Summary, other: Summary) -> Ratio | None:
    """Any two Summaries of a metric, paired by Round; `overloaded` where one did not hold the
    rate."""
    found = paired_ratio(one.sample, other.sample)
    if found is None:
        return None
    missed = dict.fromkeys(
        summary.sample.stack for summary in (one, other) if _overloaded(summary.warnings)
    )
    return replace(found, overloaded=tuple(missed))


def _overloaded(noted: Iterable[Warning]) -> bool:
    """Whether the offered rate was missed in more Rounds than are trimmed away."""
    return any(
        warning.code == Code.RATE_MISSED and warning.rounds > warning.of // TRIM_FROM
        for warning in noted
    )


def _summary(sample: Sample, ratio: Ratio | None, found: tuple[Warning, ...]) -> Summary:
    values = sample.values.values()
    located = locate(values)
    interval = located.interval
    least = METRICS[sample.metric].minimum
    if interval is not None and least is not None:
        interval = replace(interval, low=max(interval.low, min(least, interval.high)))
    return Summary(
        sample, located.n, located.centre, interval, min(values), max(values), ratio, found
    )


def paired_ratio(sample: Sample, reference: Sample | None) -> Ratio | None:
    """Paired by Round. None where a Round has a zero, of which there is no ratio, or none has
    both."""
    if reference is None:
        return None
    shared = sorted(sample.values.keys() & reference.values.keys())
    pairs = [(sample.values[number], reference.values[number]) for number in shared]
    if not pairs or any(value <= 0 or other <= 0 for value, other in pairs):
        return None
    located = locate(math.log(value / other) for value, other in pairs)
    return Ratio(reference.stack, located.n, math.exp(located.centre), raised(located.interval))


def sliced_ratios(folder: Folder, to: str) -> dict[tuple[Cell, str], Ratio]:
    """Ratios of Runs that were measured in Slices, by their Turns; see `stats.intervals.slices`."""
    rows = slices.by_run(folder.slices)
    references = {(run.round, run.scenario): run for run in folder.runs if run.stack == to}
    measured: defaultdict[tuple[str, str], list[tuple[Cell, slices.Block]]] = defaultdict(list)
    for run in folder.runs:
        reference = references.get((run.round, run.scenario))
        if reference is None or run.stack == to or not rows.get(run.run_id):
            continue
        pair = rows[run.run_id], rows.get(reference.run_id, ())
        for metric in slices.METRICS:
            if run.number(metric) is not None and reference.number(metric) is not None:
                measured[run.stack, metric].append((run.cell, pair))  # not what was cut short
    estimates: defaultdict[tuple[Cell, str], list[blocks.BlockEstimate]] = defaultdict(list)
    for (_, metric), of_stack in measured.items():
        cells, of_blocks = zip(*of_stack, strict=True)
        made = slices.block_estimates(of_blocks, slices.METRICS[metric])
        for cell, estimate in zip(cells, made, strict=True):
            if estimate is not None:
                estimates[cell, metric].append(estimate)
    priors = _priors(estimates)
    sequential = folder.plan.sequential
    found = {
        key: blocks.over_blocks(every, prior=priors[key[1]], sequential=sequential)
        for key, every in estimates.items()
    }
    return {key: Ratio(to, one.n, one.centre, one.interval) for key, one in found.items()}


def _priors(
    estimates: Mapping[tuple[Cell, str], Sequence[blocks.BlockEstimate]],
) -> dict[str, moderation.Prior | None]:
    """By metric: what its ratios have in common of how much their Blocks differ."""
    spreads = grouped((metric, blocks.spread_of(every)) for (_, metric), every in estimates.items())
    return {
        metric: moderation.learn([spread for spread in found if spread is not None])
        for metric, found in spreads.items()
    }


def _closed(runs: Iterable[RunRow]) -> set[tuple[str, str]]:
    """Scenario and load of the closed loops: in an open loop all stacks have the same rate, and
    where users think, nearly so."""
    return {
        run.where
        for run in runs
        if run.load_model in (LoadKind.CLOSED, LoadKind.ECHO) and run.number("think_s") is None
    }


def _noted(folder: Folder) -> dict[Cell, tuple[Warning, ...]]:
    """The codes in the rows of each Cell, and in how many of its Rounds each stands."""
    noted = {}
    for cell, runs in grouped((run.cell, run) for run in folder.runs).items():
        counts = Counter(code for run in runs for code in run.codes)
        noted[cell] = tuple(Warning(code, n, len(runs)) for code, n in counts.items())
    return noted


def _generator_limited(
    taken: Mapping[tuple[Cell, str], Sample], closed: set[tuple[str, str]], yardstick: str | None
) -> set[Cell]:
    """Cells whose throughput is that of the yardstick, or nearly."""
    limited: set[Cell] = set()
    if yardstick is None:
        return limited
    for (cell, metric), sample in taken.items():
        if metric != _ALWAYS or cell[0] == yardstick or cell[1:] not in closed:
            continue
        most = taken.get(((yardstick, *cell[1:]), metric))
        if most is None:
            continue
        ceiling = locate(most.values.values()).centre
        if ceiling > 0 and locate(sample.values.values()).centre >= GENERATOR_LIMIT * ceiling:
            limited.add(cell)
    return limited


def _read_together(sample: Sample, plan: Plan, limited: bool) -> list[Warning]:
    n = len(sample.values)
    found = []
    if n < MIN_ROUNDS:
        found.append(Warning(ReadingCode.TOO_FEW_ROUNDS, n, n))
    if plan.rounds is not None and n < plan.rounds:
        found.append(Warning(ReadingCode.ROUNDS_MISSING, n, plan.rounds))
    if limited:
        found.append(Warning(ReadingCode.GENERATOR_LIMIT, n, n))
    return found


def _every_cell(folder: Folder) -> Iterator[Cell]:
    """Each stack in each measured scenario and load that it was planned for or measured in."""
    measured = {(run.stack, run.scenario) for run in folder.runs}
    for scenario, load in loads(folder):
        for stack in folder.stacks:
            if (stack, scenario) in measured or planned(folder.plan, stack, scenario):
                yield stack, scenario, load


def loads(folder: Folder) -> tuple[tuple[str, str], ...]:
    """Scenario and load of what was measured: in the order of the plan, else by name; of the
    loads of a scenario those that it asks about first."""
    places = {name: number for number, name in enumerate(folder.plan.scenarios)}
    found = facts_by_load(folder.runs)

    def place(key: tuple[str, str]) -> tuple[int, str, bool, str]:
        scenario, load = key
        return places.get(scenario, len(places)), scenario, not found[key].measured, load

    return tuple(sorted(found, key=place))


def load_models(folder: Folder) -> dict[tuple[str, str], tuple[str, ...]]:
    """By scenario and load: the load models of the scenario's loads, up to that one."""
    models = {run.where: run.load_model for run in folder.runs}
    ordered = loads(folder)
    return {
        key: tuple(models[other] for other in ordered[: place + 1] if other[0] == key[0])
        for place, key in enumerate(ordered)
    }


def _of_cell(
    cell: Cell, noted: tuple[Warning, ...], by: Mapping[tuple[Cell, str], Summary], plan: Plan
) -> tuple[Warning, ...]:
    """The Warnings of a Cell as a whole: from its rows, and from what every Run should have."""
    main = by.get((cell, _ALWAYS)) or by.get((cell, _COUNTED))
    if main is None:
        stack, scenario, _ = cell
        if not planned(plan, stack, scenario):
            return noted
        return (*noted, Warning(ReadingCode.STACK_MISSING, 0, plan.rounds or 0))
    return tuple({warning.code: warning for warning in (*noted, *main.warnings)}.values())
