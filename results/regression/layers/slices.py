"""Rows of slots.csv as pairs: the logarithm of a ratio a Turn of each Round, cell and metric.

A slot is a Slice, and a side has one of each cell in every Turn of a Round. Slots of one process
are not independent, so the Round is the unit: n counts Rounds. What disturbs, disturbs single
Slices, so that the differences of all Turns are trimmed together
(`results.regression.layers.trimmed_t`) and cut back together (`sign_flips`). The standard error of
a figure so is 10 to 21 % less, in the mean of three folders of equal sides on an Intel Xeon, than
where each Round is estimated by itself, as a Block of a bench is, before a fifth of the Rounds is
trimmed at either end; in sets of 16 Blocks of twins on an AMD EPYC, without the short work, it is
10 to 14 % less on aiohttp, and between 2 % less and 5 % more on Quart. Older folders have one or
two slots a Round, which were made of several Slices each.

The Slices are first freed from what the servers' CPU did meanwhile
(`results.stats.intervals.covariates`), with the same slopes for all cells of a stack. Exchanging
the sides of a Round leaves the slopes as they are, so that a test by flipped signs stays exact. On
an Intel Xeon, equal sides, the ratio of neighbouring Slices had a standard deviation of 15 % on
both core stacks; with the work before and after the Slice 13 to 14 % are left, with the work within
it 6 and 9 %.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import numpy as np

from loopbench.results.regression.layers.trimmed_t import Array
from loopbench.results.schema import WARNING_SEPARATOR, Row
from loopbench.results.schema.warnings import wording
from loopbench.results.stats.intervals import covariates
from loopbench.results.stats.intervals.location import locate
from loopbench.results.stats.intervals.slices import (
    LEAST_TURNS,
    MIDDLE,
    quantile_of,
    undisturbed,
)

Cell = tuple[str, str]
"""Stack, and case with its users, as `async-32`."""

SLOWER: Mapping[str, int] = MappingProxyType(
    {"cpu_us_per_request": 1, "throughput_rps": -1, "service_time_p50_ms": 1}
)
"""The gated metrics, and the sign of the logarithm that means slower."""

SHOWN = "service_time_p99_ms"
"""Shown and not gated: the 99th percentile of half a second is set by a few requests."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One row, of one side."""

    round: int
    slot: int
    cell: Cell
    requests: int
    failures: int
    codes: tuple[str, ...]
    values: Row


Rounds = Mapping[int, tuple[Slot, ...]]


def by_cell(rows: Iterable[Row]) -> dict[Cell, Rounds]:
    """The slots of one side, by cell and Round."""
    cells: defaultdict[Cell, defaultdict[int, list[Slot]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        slot = _slot(row)
        cells[slot.cell][slot.round].append(slot)
    return {
        cell: {number: tuple(slots) for number, slots in rounds.items()}
        for cell, rounds in cells.items()
    }


def _slot(row: Row) -> Slot:
    written = str(row["warnings"] or "").split(WARNING_SEPARATOR)
    return Slot(
        whole(row, "round"),
        whole(row, "slot"),
        (str(row["stack"]), f"{row['case']}-{row['users']}"),
        whole(row, "requests"),
        whole(row, "failures"),
        tuple(dict.fromkeys(code.strip() for code in written if code.strip())),
        row,
    )


def whole(row: Row, column: str) -> int:
    """A cell of a required column of whole numbers."""
    value = row[column]
    assert isinstance(value, int)  # required, so parsed
    return value


@dataclass(frozen=True, slots=True)
class Paired:
    """A metric of one cell on two sides. differences: a row a Round and a column a Turn, above zero
    where the candidate is slower."""

    rounds: tuple[int, ...]
    differences: Array


def paired(
    base: Rounds, candidate: Rounds, metric: str, follows: covariates.Slopes | None = None
) -> Paired:
    """Of the Rounds in which both sides have the metric in as many slots as in any Round.

    follows: how the metric follows what the servers' CPU did, see `slopes`.
    """
    slots = max(map(len, chain(base.values(), candidate.values())), default=0)
    sign = SLOWER.get(metric, 1)
    kept, differences = [], []
    for number in sorted(base.keys() & candidate.keys()):
        sides = base[number], candidate[number]
        names = (
            covariates.available((slot.values for slot in chain(*sides)), metric) if follows else ()
        )
        one, other = (_logs(of, follows or covariates.Slopes(metric), names) for of in sides)
        if len(one) == len(other) == slots and one.keys() == other.keys():
            kept.append(number)
            differences.append([sign * (other[slot] - log) for slot, log in one.items()])
    return Paired(tuple(kept), np.array(differences).reshape(len(kept), slots))


def slopes(cells: Iterable[tuple[Rounds, Rounds]]) -> dict[str, covariates.Slopes]:
    """By metric, how the sides' differences within a Turn follow what the servers' CPU did; cells:
    base and candidate of each cell of a stack."""
    blocks = [
        tuple(_by_turn(base[number], candidate[number]))
        for base, candidate in cells
        for number in base.keys() & candidate.keys()
    ]
    return {metric: covariates.slopes(blocks, metric) for metric in (*SLOWER, SHOWN)}


def _by_turn(base: Sequence[Slot], candidate: Sequence[Slot]) -> Iterator[tuple[Row, Row]]:
    others = {slot.slot: slot.values for slot in candidate}
    return ((slot.values, others[slot.slot]) for slot in base if slot.slot in others)


def read_at(metric: str) -> float:
    """Below which share of its Slices a side is read: at the undisturbed end, and in the middle for
    the 99th percentile, which is made of what is disturbed."""
    return MIDDLE if metric == SHOWN else undisturbed(metric)


def _logs(
    slots: Sequence[Slot], follows: covariates.Slopes, names: covariates.Names = ()
) -> dict[int, float]:
    """By slot; without those that lack the metric, or what others of the Round tell."""
    logs = {slot.slot: follows.freed(slot.values, names) for slot in slots}
    return {slot: log for slot, log in logs.items() if log is not None}


def level(slots: Sequence[Slot], metric: str) -> float | None:
    """The logarithm of a side's reading in a Round; None without any. It keeps the machine's
    speed."""
    logs = _logs(slots, covariates.Slopes(metric)).values()
    if not logs:
        return None
    return statistics.fmean(logs) if len(logs) < LEAST_TURNS else quantile_of(logs, read_at(metric))


def typical(rounds: Rounds, metric: str) -> float | None:
    """The trimmed mean over a side's Rounds, see `level`; for people."""
    logarithms = (level(slots, metric) for slots in rounds.values())
    levels = [math.exp(logarithm) for logarithm in logarithms if logarithm is not None]
    return locate(levels).centre if levels else None


def doubted(base: Rounds, candidate: Rounds, metric: str) -> dict[str, int]:
    """In how many Rounds each Warning stands that makes this metric none to compare."""
    counts: defaultdict[str, int] = defaultdict(int)
    for number in base.keys() | candidate.keys():
        codes = {
            code for side in (base, candidate) for s in side.get(number, ()) for code in s.codes
        }
        for code in codes:
            words = wording(code)
            if words.disqualifies and words.concerns(metric):
                counts[code] += 1
    return dict(counts)


def warned(rounds: Rounds) -> dict[str, int]:
    """In how many slots of a side each Warning stands."""
    counts: defaultdict[str, int] = defaultdict(int)
    for slot in chain.from_iterable(rounds.values()):
        for code in slot.codes:
            counts[code] += 1
    return dict(counts)


def failed(rounds: Rounds) -> tuple[int, int]:
    """Failed requests of a side, and all its requests."""
    slots = tuple(chain.from_iterable(rounds.values()))
    return sum(slot.failures for slot in slots), sum(slot.requests for slot in slots)
