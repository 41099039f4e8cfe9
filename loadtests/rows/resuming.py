"""What a results folder holds that is taken up again: looked through before anything is changed.

A bench that was killed leaves at most half a line at the end of a table, and rows of one Run that
runs.csv does not know. Everything else that is not as it was written is somebody's edit: it is
named in one line, and the folder stays as it is.
"""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loopbench.loadtests.errors import HarnessError
from loopbench.results.schema import RUNS, WARNING_SEPARATOR, Code, Row, Table, Value, parse_value
from loopbench.results.schema.files import foreign_columns
from loopbench.servers.supervision.messages import Json

_AGAIN = frozenset(
    {
        Code.NOT_VERIFIED,
        Code.SERVER_NOT_READY,
        Code.SERVER_DIED,
        Code.GENERATOR_DIED,
        Code.WORKER_LOST,
    }
)
"""Runs without figures, or with those of half a load: there is nothing to keep of them."""

LONGEST_CELL = 131_072
"""Characters of a cell; the longest that a bench writes have some hundred."""

_LONGEST = 200
"""Characters of a foreign text that are shown."""


@dataclass(frozen=True, slots=True)
class Held:
    """The Runs of a folder, by run_id.

    finished: need not run again. again: came to no figures, and are measured again.
    faulty: have figures, but did not keep their saves; they are finished, since a
    second measurement would hide what the first one found.
    """

    finished: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    faulty: tuple[str, ...] = ()


def expect_plain(folder: Path) -> None:
    """Raise HarnessError where a pipe, a device or a socket lies in a folder: who opens one waits,
    perhaps for ever."""
    for path in sorted(folder.iterdir()):
        if not (path.is_file() or path.is_dir()):
            raise HarnessError(f"{path} is no regular file; remove it, or name another --out")


def document(path: Path) -> Json:
    """A JSON object from a file. Raises HarnessError, in one line, for anything else."""
    _expect_file(path)
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise HarnessError(f"{path} holds no JSON object; this folder cannot be resumed")
    return read


def look_through(
    folder: Path,
    tables: Sequence[Table],
    per_scenario: Mapping[str, int],
    side_by_side: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> Held:
    """Which Runs are whole. Changes nothing; raises HarnessError for what was edited.

    per_scenario: how many rows in runs.csv make a Run of it complete. side_by_side: the stacks of
    each scenario whose Runs of one Round are kept, or measured again, all together.
    """
    runs, header = _runs(folder / RUNS.filename, per_scenario)
    complete = {
        run_id
        for run_id, rows in runs.items()
        if len(rows) == per_scenario[str(rows[0]["scenario"])]
    }
    again = {run_id for run_id in complete if _codes(runs[run_id]) & _AGAIN}
    again |= _of_broken_blocks({key: runs[key][0] for key in complete - again}, side_by_side)
    held = Held(
        frozenset(complete - again),
        frozenset(again),
        tuple(run for run in runs if Code.SAVES_DIFFER in _codes(runs[run]) and run in complete),
    )
    for table in tables:
        if table is not RUNS:
            _look(folder / table.filename, table, held, header=header, runs=bool(runs))
    return held


def _of_broken_blocks(
    whole: Mapping[str, Row], side_by_side: Mapping[str, frozenset[str]]
) -> set[str]:
    """The whole Runs of Blocks of which another Run is missing."""
    present: dict[tuple[object, object], set[object]] = {}
    for row in whole.values():
        present.setdefault((row["round"], row["scenario"]), set()).add(row["stack"])
    return {
        run_id
        for run_id, row in whole.items()
        if not side_by_side.get(str(row["scenario"]), frozenset())
        <= present[row["round"], row["scenario"]]
    }


def printable(text: str) -> str:
    """A foreign text as a terminal may get it: without control characters, and cut."""
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _runs(path: Path, per_scenario: Mapping[str, int]) -> tuple[dict[str, list[Row]], bool]:
    """The rows of runs.csv by Run, and whether it has a header."""
    runs: dict[str, list[Row]] = {}
    records = _records(path, RUNS)
    header = next(records, None)
    for number, cells in enumerate(records, start=2):
        row: dict[str, Value] = {}
        if len(cells) != len(RUNS.columns):
            raise _edited(path, f"row {number}: {len(cells)} cells instead of {len(RUNS.columns)}")
        for column, cell in zip(RUNS.columns, cells, strict=True):
            try:
                row[column.name] = parse_value(column, cell)
            except ValueError as error:
                raise _edited(path, f"row {number}, column {column.name}: {error}") from None
        rows = runs.setdefault(str(row["run_id"]), [])
        rows.append(row)
        wanted = per_scenario.get(str(row["scenario"]))
        if wanted is None or len(rows) > wanted or row["scenario"] != rows[0]["scenario"]:
            raise _edited(path, f"row {number}: no row of this plan, or one too many")
    return runs, header is not None


def _look(path: Path, table: Table, held: Held, *, header: bool, runs: bool) -> None:
    """Raise where a table beside runs.csv is not as a bench left it."""
    records = _records(path, table)
    if next(records, None) is None:
        if runs:
            raise _edited(path, f"it has no header, while {RUNS.filename} holds Runs")
        return
    torn: int | None = None
    for number, cells in enumerate(records, start=2):
        if not header:
            raise _edited(path, f"it holds rows, while {RUNS.filename} has no header")
        whole = len(cells) == len(table.columns)
        # Half a row of a Run that stays is somebody's edit.
        if torn is not None or not cells or (not whole and cells[0] in held.finished):
            raise _edited(path, f"row {torn or number}: cells are missing, or too many")
        if not whole:
            torn = number


def _records(path: Path, table: Table) -> Iterator[list[str]]:
    """The records of a table without half a line at its end, the header first and checked."""
    if not path.exists() and not path.is_symlink():
        return
    _expect_file(path)
    try:
        with path.open(newline="\n", encoding="utf-8") as handle:
            records = csv.reader(line for line in handle if line.endswith("\n"))
            header = next(records, None)
            if header is None:
                return
            _expect_header(path, table, header)
            yield header
            for cells in records:
                # The csv module has a limit of its own, which whoever shares the process may raise.
                if max(map(len, cells), default=0) > LONGEST_CELL:
                    raise _edited(path, f"a cell has more than {LONGEST_CELL:,} characters")
                yield cells
    except UnicodeDecodeError:
        raise _edited(path, "it is not UTF-8") from None
    except csv.Error as error:
        raise _edited(path, str(error)) from None


def _expect_header(path: Path, table: Table, header: list[str]) -> None:
    if header != list(table.names):
        fault = foreign_columns(table, header) or "its columns are in another order, or twice there"
        raise _edited(path, fault)


def _expect_file(path: Path) -> None:
    """Raise for a pipe, a folder or a device, which would be read for ever or not at all."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise HarnessError(f"cannot resume: {path} is no regular file; nothing was changed")


def _codes(rows: Sequence[Row]) -> frozenset[str]:
    return frozenset(
        code for row in rows for code in str(row["warnings"] or "").split(WARNING_SEPARATOR)
    )


def _edited(path: Path, what: str) -> HarnessError:
    return HarnessError(
        f"cannot resume: {path}: {printable(what)}; nothing was changed. Put the file back as it "
        "was written, or begin anew with another --out"
    )
