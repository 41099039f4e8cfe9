"""One number for each metric of a Cell, and how far it can be trusted.

The unit of replication is the Run: one value a Round, each from a fresh
process. Requests are never pooled, since those of one process share its luck.

Ratios to the reference stack: `results.stats.summaries.ratios`.
The method, with its source and limits: `results.stats.intervals.location`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from loopbench.results.errors import UnknownName
from loopbench.results.folder.folder import Folder, Plan, RunRow, nearest, planned
from loopbench.results.folder.scenarios import LoadFacts, Where, facts_by_load, names_of
from loopbench.results.grouping import grouped
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import (
    GENERATOR_LIMIT,
    MIN_ROUNDS,
    ReadingCode,
)
from loopbench.results.schema.warnings import Code, wording
from loopbench.results.stats.intervals.location import Interval, locate
from loopbench.results.stats.summaries.ratios import Ratio, paired_ratio, ratios
from loopbench.results.stats.summaries.sample import METRICS, Cell, Sample, samples
from loopbench.results.stats.summaries.warned import Warning  # noqa: A004  the project's noun

_ALWAYS, _COUNTED = "throughput_rps", "requests"
"""What a Run has that was loaded."""


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
        """Codes that say that something else was measured."""
        return tuple(warning.code for warning in self.warnings if warning.voids(self.n))


@dataclass(frozen=True, slots=True)
class Summaries:
    """Everything that is summarised of a folder.

    by: summaries by cell and metric. cells: the Warnings of every Cell and
    load, those without any figure included, in the order to show them in.
    reference: None where no stack can be one. yardstick: the stack without a framework, which
    shows what the generator reaches at most and is never the reference; None without one.
    facts: what the rows say of each scenario and load. names: how these are called. over: the
    ratios of one metric to any stack, worked out as those to the reference are.
    """

    reference: str | None
    by: Mapping[tuple[Cell, str], Summary]
    cells: Mapping[Cell, tuple[Warning, ...]]
    yardstick: str | None
    facts: Mapping[Where, LoadFacts]
    names: Mapping[Where, str]
    over: Callable[[str, str], Mapping[tuple[Cell, str], Ratio]]

    def get(self, cell: Cell, metric: str) -> Summary | None:
        """The Summary of one metric; None where it was not measured."""
        return self.by.get((cell, metric))

    def between(self, cell: Cell, other: Cell, metric: str) -> Ratio | None:
        """One Cell over another within a Round; `overloaded` where one did not hold the rate. Under
        one load it is the ratio that the other's stack as the reference would show; between loads
        it is that of whole Runs. None where there is none."""
        compared, base = self.get(cell, metric), self.get(other, metric)
        if compared is None or base is None:
            return None
        if cell[1:] == other[1:]:
            ratio = self.over(other[0], metric).get((cell, metric))
        else:
            ratio = paired_ratio(compared.sample, base.sample)
        if ratio is None:
            return None
        missed = dict.fromkeys(
            summary.sample.stack for summary in (compared, base) if _overloaded(summary.warnings)
        )
        return replace(ratio, overloaded=tuple(missed))

    def name(self, cell: Cell) -> str:
        """Stack and scenario of a Cell; the load too where the scenario alone does not tell."""
        return f"{cell[0]} {self.names[cell[1:]]}"


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
    over = {} if to is None else ratios(folder, taken, to)
    noted = _noted(folder)
    limited = _generator_limited(taken, _closed(folder.runs), yardstick)
    by = {}
    for (cell, metric), sample in taken.items():
        ratio = over.get((cell, metric))
        if ratio is not None and wording(Code.RATE_MISSED).concerns(metric):
            pair = (cell, (ratio.to, *cell[1:]))
            missed = tuple(
                compared_cell[0] for compared_cell in pair if _overloaded(noted[compared_cell])
            )
            ratio = replace(ratio, overloaded=missed)
        warnings = [warning for warning in noted[cell] if warning.wording.concerns(metric)]
        warnings += [
            warning
            for warning in _read_together(sample, folder.plan, cell in limited)
            if warning.wording.concerns(metric)
        ]
        by[cell, metric] = _summary(sample, ratio, tuple(warnings))
    cells = {
        cell: _of_cell(cell, noted.get(cell, ()), by, folder.plan) for cell in _every_cell(folder)
    }
    return Summaries(
        to,
        MappingProxyType(by),
        MappingProxyType(cells),
        yardstick,
        facts,
        names_of(facts),
        cache(lambda stack, metric: ratios(folder, taken, stack, (metric,))),
    )


def summarise_part(whole: Folder, part: Folder, reference: str | None = None) -> Summaries:
    """Summaries of some scenarios of a folder, each as the whole folder shows it: what Rounds and
    the CPU's speed do to a ratio is learned from all of them.

    part: the folder with these alone. Raises UnknownName for a reference that it does not have.
    """
    measured = sorted({run.stack for run in part.runs})
    to = choose_reference(measured, part.yardstick, reference)
    summaries = summarise(whole, to)
    wheres = facts_by_load(part.runs)
    by = {key: summary for key, summary in summaries.by.items() if key[0][1:] in wheres}
    cells = {cell: noted for cell, noted in summaries.cells.items() if cell[1:] in wheres}
    return replace(
        summaries,
        reference=to,
        by=MappingProxyType(by),
        cells=MappingProxyType(cells),
        yardstick=part.yardstick,
        facts=wheres,
        names=names_of(wheres),
    )


def _overloaded(noted: Iterable[Warning]) -> bool:
    """Whether the offered rate was missed."""
    return any(warning.code == Code.RATE_MISSED and warning.voids() for warning in noted)


def _summary(sample: Sample, ratio: Ratio | None, warnings: tuple[Warning, ...]) -> Summary:
    values = sample.values.values()
    located = locate(values)
    interval = located.interval
    least = METRICS[sample.metric].minimum
    if interval is not None and least is not None:
        interval = replace(interval, low=max(interval.low, min(least, interval.high)))
    return Summary(
        sample, located.n, located.centre, interval, min(values), max(values), ratio, warnings
    )


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
    warnings = []
    if n < MIN_ROUNDS:
        warnings.append(Warning(ReadingCode.TOO_FEW_ROUNDS, n, n))
    if plan.rounds is not None and n < plan.rounds:
        warnings.append(Warning(ReadingCode.ROUNDS_MISSING, n, plan.rounds))
    if limited:
        warnings.append(Warning(ReadingCode.GENERATOR_LIMIT, n, n))
    return warnings


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
    facts = facts_by_load(folder.runs)

    def place(key: tuple[str, str]) -> tuple[int, str, bool, str]:
        scenario, load = key
        return places.get(scenario, len(places)), scenario, not facts[key].measured, load

    return tuple(sorted(facts, key=place))


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
