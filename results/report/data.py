"""Everything that the sections are made from: a folder and its summaries, read once."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from loopbench.results import schema
from loopbench.results.folder.behaviour_answers import Question, questions
from loopbench.results.folder.counts import counts_of
from loopbench.results.folder.distributions import (
    MAX_COLUMN,
    PERCENT_COLUMNS,
    RESPONSE_TIME,
    distributions,
)
from loopbench.results.folder.folder import Folder, RunRow, facts_of
from loopbench.results.folder.scenarios import LoadFacts, Where
from loopbench.results.folder.tables import Problem, optional_rows, rows
from loopbench.results.folder.timelines import Track, tracks
from loopbench.results.report.blocks import Key
from loopbench.results.report.looks import Look, looks
from loopbench.results.schema import Family, Row
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import (
    Summaries,
    Summary,
    load_models,
    loads,
)
from loopbench.results.terminal.notes import Note, notes
from loopbench.results.terminal.table import in_order

CURVE_PERCENTS = (
    *(50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.0, 94.0, 95.0),
    *(96.0, 97.0, 98.0, 98.5, 99.0, 99.2, 99.4, 99.5, 99.6, 99.7, 99.8, 99.85, 99.9),
)
"""Where a curve of percentiles is drawn through."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Percentiles of one Run in ms, and its maximum. percents: ascending."""

    percents: tuple[float, ...]
    values: tuple[float, ...]
    maximum: float

    def at(self, percent: float) -> float | None:
        """The percentile, where the curve goes through it."""
        return dict(zip(self.percents, self.values, strict=True)).get(percent)


@dataclass(frozen=True, slots=True)
class Material:
    """A folder as the sections see it. stacks: the reference first, the yardstick last.

    facts: what each server said of itself, from environment.json. coarse: of
    so many rows of runs.csv the histogram is missing. problems: those of the
    folder and of the tables that only the report reads.
    """

    folder: Folder
    summaries: Summaries
    stacks: tuple[str, ...]
    looks: Mapping[str, Look]
    notes: tuple[Note, ...]
    facts: Mapping[str, Mapping[str, object]]
    curves: Mapping[Cell, tuple[Curve, ...]]
    tracks: Mapping[Cell, Mapping[int, Track]]
    observations: tuple[Row, ...]
    threads: tuple[Row, ...]
    probe_cost: tuple[Row, ...]
    counts: tuple[Row, ...]
    behaviour: tuple[Question, ...]
    coarse: int
    problems: tuple[Problem, ...]

    @property
    def runs(self) -> tuple[RunRow, ...]:
        """The rows of runs.csv."""
        return self.folder.runs

    @property
    def loads(self) -> tuple[tuple[str, str], ...]:
        """Scenario and load of what was measured, in the order to show them in."""
        return loads(self.folder)

    def models(self, *wanted: str) -> tuple[tuple[str, str], ...]:
        """Those of `loads` that have one of these load models."""
        models = load_models(self.folder)
        return tuple(key for key in self.loads if models[key][-1] in wanted)

    def place(self, stack: str) -> int:
        """Of a stack among those of the page: by it the reader chooses."""
        return self.stacks.index(stack)

    def name(self, where: Where) -> str:
        """Of a scenario and load: the scenario alone where that tells the load."""
        return self.summaries.names[where]

    def fact(self, where: Where) -> LoadFacts:
        """What the rows say of a scenario and load."""
        return self.summaries.facts[where]

    def family(self, *families: Family) -> tuple[Where, ...]:
        """The loads that scenarios of these families ask about, in the order to show them in."""
        return tuple(
            where
            for where in self.loads
            if (facts := self.fact(where)).measured and facts.family in families
        )

    def burdens(self, scenario: str) -> tuple[Where, ...]:
        """What a scenario offers beside the load that it asks about."""
        return tuple(
            where for where in self.loads if where[0] == scenario and not self.fact(where).measured
        )

    def baseline(self, where: Where) -> Where | None:
        """The load that a scenario's measured load is to be read against: in its baseline
        scenario; None where it has none or that was not measured."""
        scenario = self.fact(where).baseline
        return next(
            (other for other in self.loads if other[0] == scenario and self.fact(other).measured),
            None,
        )

    def get(self, stack: str, where: tuple[str, str], metric: str) -> Summary | None:
        """The Summary of one metric of a Cell; None where it was not measured."""
        return self.summaries.get((stack, *where), metric)

    def has(self, where: tuple[str, str], metric: str) -> bool:
        """Whether any stack has it there."""
        return any(self.get(stack, where, metric) for stack in self.stacks)

    def contenders(self) -> tuple[str, ...]:
        """The stacks to choose between: all but the yardstick, the reference first."""
        return tuple(stack for stack in self.stacks if stack != self.summaries.yardstick)

    def against(self, cell: Cell, other: Cell, metric: str) -> Ratio | None:
        """One Cell over another within a Round; marked where a rate was not held."""
        return self.summaries.between(cell, other, metric)

    def instructions(self, where: Where) -> dict[str, float]:
        """Instructions of the request that a load sends, by stack, as far as they were counted."""
        cases = {run.values["case"] for run in self.runs if run.where == where}
        return {
            str(row["stack"]): value
            for row in self.counts
            if row["case"] in cases and isinstance(value := row["instructions"], float)
        }

    def rows_of(self, cell: Cell) -> Iterator[RunRow]:
        """The rows of one Cell and load."""
        return (run for run in self.runs if run.cell == cell)

    def keys(self, stacks: Iterable[str]) -> tuple[Key, ...]:
        """Legend of some stacks."""
        return tuple(Key(self.looks[stack], stack) for stack in self.stacks if stack in stacks)


def gather(folder: Folder, summaries: Summaries) -> Material:
    """Read what the report needs beside runs.csv. Raises ResultsError where a table that is
    there cannot be opened."""
    problems = list(folder.problems)
    stacks = in_order(folder.stacks, summaries)
    curves, coarse = _curves(folder, problems)
    return Material(
        folder=folder,
        summaries=summaries,
        stacks=stacks,
        looks=looks(stacks, summaries.yardstick),
        notes=notes(summaries),
        facts=facts_of(folder),
        curves=curves,
        tracks=_tracks(folder, problems),
        observations=tuple(rows(folder.path, schema.OBSERVATIONS, problems)),
        threads=tuple(rows(folder.path, schema.THREADS, problems)),
        probe_cost=optional_rows(folder.path, schema.PROBE_COST, problems),
        counts=counts_of(folder.path, problems),
        behaviour=questions(optional_rows(folder.path, schema.BEHAVIOUR, problems)),
        coarse=coarse,
        problems=tuple(problems),
    )


def _curves(folder: Folder, problems: list[Problem]) -> tuple[dict[Cell, tuple[Curve, ...]], int]:
    """A curve a Run; through the percentiles of runs.csv where the histogram is missing, and of
    how many it is."""
    known = distributions(folder.path, problems)
    curves: defaultdict[Cell, list[Curve]] = defaultdict(list)
    coarse = 0
    for run in folder.runs:
        distribution = known.get((run.run_id, run.load, RESPONSE_TIME))
        if distribution is None:
            curve = _coarse(run)
            coarse += curve is not None
        else:
            values = tuple(distribution.at(percent) for percent in CURVE_PERCENTS)
            curve = Curve(CURVE_PERCENTS, values, distribution.maximum)
        if curve is not None:
            curves[run.cell].append(curve)
    return {cell: tuple(of_cell) for cell, of_cell in curves.items()}, coarse


def _coarse(run: RunRow) -> Curve | None:
    maximum = run.number(MAX_COLUMN)
    known = {
        percent: value
        for percent, column in PERCENT_COLUMNS.items()
        if (value := run.number(column)) is not None
    }
    if maximum is None or not known:
        return None
    return Curve(tuple(known), tuple(known.values()), maximum)


def median_curve(curves: Iterable[Curve]) -> Curve:
    """At each percentile the median over the Runs that have it; one curve at least."""
    every = list(curves)
    percents = sorted({percent for curve in every for percent in curve.percents})
    values = [
        statistics.median(value for curve in every if (value := curve.at(percent)) is not None)
        for percent in percents
    ]
    return Curve(
        tuple(percents), tuple(values), statistics.median(curve.maximum for curve in every)
    )


def _tracks(folder: Folder, problems: list[Problem]) -> dict[Cell, dict[int, Track]]:
    by_run = tracks(folder.path, problems)
    by: defaultdict[Cell, dict[int, Track]] = defaultdict(dict)
    for run in folder.runs:
        track = by_run.get((run.run_id, run.load))
        if track is not None:
            by[run.cell][run.round] = track
    return dict(by)
