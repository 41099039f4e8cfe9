"""The folder of a check as values: what was measured of each side.

Everything here is strict: a table that is missing, of another version or edited by hand cannot be
judged, and the error names file, row and column.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.grouping import grouped
from loopbench.results.regression import sides as sides_file
from loopbench.results.regression.finding import EVERY, Finding, Verdict
from loopbench.results.regression.sides import (
    BASE,
    BASELINE,
    CANDIDATE,
    YARDSTICK,
    LayerState,
    Side,
)
from loopbench.results.schema import Row, SchemaError, Table
from loopbench.results.schema.regression import SIDES_FILE, TABLE_OF, Layer

_KEYS: Mapping[str, tuple[str, ...]] = {
    schema.INSTRUCTIONS.name: ("side", "stack", "route", "repeat"),
    schema.MEMORY.name: ("side", "stack", "subject", "repeat"),
    schema.TAILS.name: ("side", "stack", "case", "batch"),
    schema.SLOTS.name: ("side", "round", "slot", "stack", "case", "users"),
}
"""What may not stand in a table twice. A fact and an answer may: they are asked for again."""

SEEN_ONCE = "the check was broken off before the difference was asked for again"
"""Why a difference of facts or answers decides nothing that was seen at a single asking: in a check
that is whole it was asked for again."""

BASELINE_FOLDER = schema.REGRESSIONS_FOLDER.parent / BASELINE


@dataclass(frozen=True, slots=True)
class Measured:
    """One side, and the rows that are its own; yardstick: slots of the same occasion.

    uncounted: routes without a count of instructions. functions: instructions by function, of
    routes that grew.
    """

    side: Side
    folder: Path
    rows: Mapping[Layer, tuple[Row, ...]]
    yardstick: tuple[Row, ...]
    layers: Mapping[Layer, LayerState]
    uncounted: tuple[Row, ...] = ()
    functions: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two sides. apart: the base is from another occasion, so times are no pairs."""

    folder: Path
    base: Measured
    candidate: Measured
    apart: bool

    @property
    def layers(self) -> Mapping[Layer, LayerState]:
        """Of this check."""
        return self.candidate.layers

    def rows(self, layer: Layer) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
        """Those of the base and those of the candidate."""
        return self.base.rows[layer], self.candidate.rows[layer]


def read(folder: Path, baseline: Path | None = None) -> Evidence:
    """Both sides of a folder; where it has one side only, or its base is named baseline, the
    base is the one in `baseline`, by default a folder of that name in it, else results/baseline.

    Raises ResultsError.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder} is not there, or no folder")
    sides = sides_of(folder)
    own = {side: measured for side, measured in sides.items() if measured.side.name != BASELINE}
    if len(own) == 2:
        for layer, state in sides[CANDIDATE].layers.items():
            if state.run:
                _complete(layer, folder, own)
        return Evidence(folder, own[BASE], own[CANDIDATE], False)
    candidate = sides.get(CANDIDATE) or sides[BASE]
    inside = folder / BASELINE
    kept = baseline or (inside if inside.is_dir() else BASELINE_FOLDER)
    if not (kept / SIDES_FILE).is_file():
        raise ResultsError(f"there is no baseline in {kept}; `make baseline` writes one")
    base = sides_of(kept).get(BASE)
    if base is None:
        raise ResultsError(f"{kept} is no baseline: it has no side {BASE!r}")
    for layer, state in candidate.layers.items():
        if state.run:
            _complete(layer, folder, {"candidate": candidate})
            if base.layers[layer].run:
                _complete(layer, kept, {"base": base})
    return Evidence(folder, base, candidate, True)


def sides_of(folder: Path) -> dict[str, Measured]:
    """The sides of one folder, and the rows of the layers that ran. Raises ResultsError."""
    file = sides_file.read(folder)
    allowed = {*file.sides, YARDSTICK}
    tables = {
        layer: _rows(folder, TABLE_OF[layer], allowed) if state.run else ()
        for layer, state in file.layers.items()
    }
    yardstick = tuple(_of(YARDSTICK, tables[Layer.TIME]))
    uncounted, functions = (
        _rows(folder, table, allowed) if (folder / table.filename).exists() else ()
        for table in (schema.UNCOUNTED, schema.FUNCTIONS)
    )
    return {
        name: Measured(
            side,
            folder,
            {layer: tuple(_of(name, rows)) for layer, rows in tables.items()},
            yardstick,
            file.layers,
            tuple(_of(name, uncounted)),
            tuple(_of(name, functions)),
        )
        for name, side in file.sides.items()
    }


def _of(side: str, rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if row["side"] == side)


def _rows(folder: Path, table: Table, allowed: set[str]) -> tuple[Row, ...]:
    path = folder / table.filename
    try:
        rows = tuple(schema.read_table(folder, table))
    except SchemaError as error:
        raise ResultsError(str(error)) from error
    _check(path, rows, allowed, _KEYS.get(table.name, ()))
    return rows


def _check(path: Path, rows: Sequence[Row], allowed: set[str], key: tuple[str, ...]) -> None:
    row_numbers: dict[tuple[object, ...], int] = {}
    for number, row in enumerate(rows, start=2):
        if row["side"] not in allowed:
            raise ResultsError(
                f"{path}, row {number}, column side: {row['side']!r} is none of those in "
                f"{SIDES_FILE}"
            )
        values = tuple(row[name] for name in key)
        if key and values in row_numbers:
            raise ResultsError(f"{path}, row {number}: the same as row {row_numbers[values]}")
        row_numbers[values] = number


def _complete(layer: Layer, folder: Path, sides: Mapping[str, Measured]) -> None:
    for name, measured in sides.items():
        if not measured.rows[layer]:
            file = TABLE_OF[layer].filename
            raise ResultsError(f"{folder / file} holds no row of the {name}")


def by_subject(rows: Iterable[Row], column: str) -> dict[tuple[str, str], list[Row]]:
    """Rows of one side by stack and by what stands in a column, in the order of the first ones."""
    return grouped(((str(row["stack"]), str(row[column])), row) for row in rows)


def unmeasured(evidence: Evidence, layer: Layer) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """Stacks that a baseline has and this check did not look at, which is no loss of theirs; and
    what is to be said of it: nothing where sides.json names the stacks that were asked for."""
    if not evidence.apart:
        return frozenset(), ()
    base, candidate = ({str(row["stack"]) for row in rows} for rows in evidence.rows(layer))
    wanted = evidence.layers[layer].stacks
    absent = base - candidate - (wanted or frozenset())
    if wanted is not None:
        return frozenset(absent), ()
    meaning = "the baseline has this stack, and it was not measured now"
    return frozenset(absent), tuple(
        Finding(layer, stack, EVERY, EVERY, Verdict.CANNOT_TELL, meaning)
        for stack in sorted(absent)
    )
