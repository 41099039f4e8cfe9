"""Rows of slots.csv as pairs: one logarithm of a ratio a Round, cell and metric.

A side has one slot of each cell in a Round; where older folders hold two, they are averaged in log
space. Slots of one process are not independent, so the Round is the unit: n counts Rounds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import numpy as np

from loopbench.results.regression.layers.trimmed_t import Array
from loopbench.results.schema import WARNING_SEPARATOR, Row
from loopbench.results.schema.warnings import wording
from loopbench.results.stats.intervals.location import locate

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

    def number(self, metric: str) -> float | None:
        """None where it was not measured, or is zero, of which there is no logarithm."""
        value = self.values[metric]
        return float(value) if isinstance(value, int | float) and value > 0 else None


Rounds = Mapping[int, tuple[Slot, ...]]


def by_cell(rows: Iterable[Row]) -> dict[Cell, Rounds]:
    """The slots of one side, by cell and Round."""
    found: defaultdict[Cell, defaultdict[int, list[Slot]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        slot = _slot(row)
        found[slot.cell][slot.round].append(slot)
    return {
        cell: {number: tuple(slots) for number, slots in rounds.items()}
        for cell, rounds in found.items()
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
    """A metric of one cell on two sides. differences: one a Round, above zero where the candidate
    is slower."""

    rounds: tuple[int, ...]
    differences: Array


def paired(base: Rounds, candidate: Rounds, metric: str) -> Paired:
    """Of the Rounds in which both sides have the metric in as many slots as in any Round."""
    slots = max(map(len, chain(base.values(), candidate.values())), default=0)
    sign = SLOWER.get(metric, 1)
    kept, differences = [], []
    for number in sorted(base.keys() & candidate.keys()):
        one, other = (_logs(side[number], metric) for side in (base, candidate))
        if len(one) == len(other) == slots:
            kept.append(number)
            differences.append(sign * (math.fsum(other) - math.fsum(one)) / slots)
    return Paired(tuple(kept), np.array(differences))


def _logs(slots: Sequence[Slot], metric: str) -> list[float]:
    return [math.log(value) for slot in slots if (value := slot.number(metric)) is not None]


def typical(rounds: Rounds, metric: str) -> float | None:
    """The trimmed mean over a side's Rounds, each the geometric mean of its slots; for people."""
    means = [
        math.exp(math.fsum(logs) / len(logs))
        for slots in rounds.values()
        if (logs := _logs(slots, metric))
    ]
    return locate(means).centre if means else None


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
