"""One CSV file of a results folder, as far as it can be read.

`schema.read_table` refuses a file with a fault in it, which is right for a
program that goes on writing it. A reader wants to see the rest: here each
fault becomes a Problem that names file, row and column.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.schema import Column, Kind, Row, Table, Value
from loopbench.results.schema.files import MOST_COLUMNS, numbered, open_text, shown_names

MOST_PROBLEMS = 20
"""So many are told of one file; then only how many more there are."""

_LONGEST_CELL = 10_000_000
_LARGEST = 1e18


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a folder that could not be used. `row` counts the header as 1."""

    file: str
    text: str
    row: int | None = None
    column: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.text}"


class Damaged(ResultsError):
    """Compressed data that is cut off or altered: rows before that place may have been read."""


class _Noted:
    """Adds to a list of problems, up to a bound for each file."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file, self._problems, self._count = file, problems, 0

    def __call__(self, text: str, row: int | None = None, column: str | None = None) -> None:
        self._count += 1
        if self._count <= MOST_PROBLEMS:
            self._problems.append(Problem(self._file, text, row, column))

    def close(self) -> None:
        more = self._count - MOST_PROBLEMS
        if more > 0:
            self._problems.append(Problem(self._file, f"{more} more like these"))


def optional_rows(path: Path, table: Table, problems: list[Problem]) -> tuple[Row, ...]:
    """The rows of a table that no bench writes: nothing is wrong where it is not there."""
    if not (path / table.filename).exists():
        return ()
    return tuple(rows(path, table, problems))


def rows(path: Path, table: Table, problems: list[Problem]) -> Iterator[dict[str, Value]]:
    """The rows of one table that can be used, typed, one at a time.

    A cell that cannot be read becomes None, which is "not measured"; a row
    whose required cells cannot be read is left out. Each is told in
    `problems`. Columns that this version does not know are ignored, told too.
    Raises ResultsError where the file is there and cannot be opened, Damaged where its compressed
    data ends early.
    """
    note = _Noted(table.filename, problems)
    file = table.file_in(path)
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with open_text(file, "replace") as handle:
            yield from _read(numbered(_whole(handle, note)), table, note)
    except FileNotFoundError:
        note("the file is missing")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Damaged(f"cannot read {file}: {error}") from error
    except OSError as error:
        raise ResultsError(f"cannot read {file}: {error.strerror}") from error
    note.close()


def _whole(lines: Iterable[str], note: Callable[..., None]) -> Iterator[str]:
    """Lines that have their end: of one without it nobody knows how much is missing."""
    for line in lines:
        if line.endswith(("\n", "\r")):
            yield line.replace("\0", "\ufffd")
        else:
            note("the last line has no end, so it may be cut off; it is left out")


def _read(
    reader: Iterator[tuple[int, list[str]]], table: Table, note: Callable[..., None]
) -> Iterator[dict[str, Value]]:
    lines = _lines(reader, note)
    header = next(lines, None)
    if header is None:
        note("the file is empty")
        return
    columns = _columns(table, header[1], note)
    if columns is None:
        return
    blank: dict[str, Value] = {column.name: column.before for column in table.columns}
    quickly = _quick([column for column in columns if column is not None])
    whole = header[1] if set(header[1]) == blank.keys() else None
    for number, cells in lines:
        if len(cells) != len(columns):
            cut = "is cut off" if len(cells) < len(columns) else "is too long"
            note(f"{cut}, {len(cells)} cells instead of {len(columns)}; it is left out", number)
            continue
        row = quickly(whole, cells) if whole is not None and "" not in cells else None
        row = row or _row(columns, cells, blank, number, note)
        if row is not None:
            yield row


def _quick(columns: list[Column]) -> Callable[[list[str], list[str]], dict[str, Value] | None]:
    """A reader for rows of full cells without a fault, which most of half a million buckets are;
    None for any other row, about which `_row` has more to say."""
    numbers = [
        (
            column.name,
            int if column.kind is Kind.INTEGER else float,
            -_LARGEST if column.minimum is None else column.minimum,
        )
        for column in columns
        if column.kind in (Kind.INTEGER, Kind.NUMBER)
    ]
    truths = [column for column in columns if column.kind is Kind.BOOLEAN]

    def read(names: list[str], cells: list[str]) -> dict[str, Value] | None:
        row: dict[str, Value] = dict(zip(names, cells, strict=True))
        try:
            for name, number, least in numbers:
                value = number(str(row[name]))
                if not least <= value <= _LARGEST:  # nan is not either
                    return None
                row[name] = value
            for column in truths:
                row[column.name] = schema.parse_value(column, str(row[column.name]))
        except ValueError:
            return None
        return row

    return read


def _lines(
    reader: Iterator[tuple[int, list[str]]], note: Callable[..., None]
) -> Iterator[tuple[int, list[str]]]:
    """Rows with their number; ends where the CSV itself is broken."""
    number = 0
    try:
        for number, cells in reader:
            yield number, cells
    except csv.Error as error:
        note(f"{error}; nothing after it was read", number + 1)


def _columns(
    table: Table, header: list[str], note: Callable[..., None]
) -> list[Column | None] | None:
    """The column of each place, None for one to ignore; None where the table is of no use."""
    if len(header) > MOST_COLUMNS:
        note(f"has {len(header):,} columns, and is none of the suite's tables; it is not used")
        return None
    by_name = {column.name: column for column in table.columns}
    columns = [by_name.get(name) for name in header]
    twice = sorted(name for name, times in Counter(header).items() if times > 1)
    if twice:
        note("stands there twice; the table is not used", column=shown_names(twice))
    unknown = [name for name in header if name not in by_name]
    if unknown:
        note(f"{_columns_named(unknown)} not known to this version (a newer one's file?); ignored")
    missing = [column for column in table.columns if column.name not in header]
    required = [column.name for column in missing if column.required]
    if required:
        note("is missing; the table is not used without it", column=shown_names(required))
    blank = [column.name for column in missing if not column.required and not column.later]
    if blank:
        note(f"{_columns_named(blank)} missing (an older version's file?); not measured")
    if twice or required:
        return None
    return columns


def _columns_named(names: list[str]) -> str:
    several = len(names) > 1
    return f"column{'s' if several else ''} {shown_names(names)} {'are' if several else 'is'}"


def _row(
    columns: list[Column | None],
    cells: list[str],
    blank: dict[str, Value],
    number: int,
    note: Callable[..., None],
) -> dict[str, Value] | None:
    row, usable = blank.copy(), True
    for column, cell in zip(columns, cells, strict=True):
        if column is None:
            continue
        try:
            row[column.name] = _bounded(schema.parse_value(column, cell))
        except ValueError as error:
            so = "the row is left out" if column.required else "it counts as not measured"
            note(f"{_cell_problem(column, cell, error)}; {so}", number, column.name)
            usable = usable and not column.required
    return row if usable else None


def _bounded(value: Value) -> Value:
    """The value; raises ValueError for a number that is none of a machine on earth."""
    if isinstance(value, int | float) and abs(value) > _LARGEST:
        raise ValueError(f"is beyond {_LARGEST:g}")
    return value


def _cell_problem(column: Column, cell: str, error: ValueError) -> str:
    """What is wrong with a cell, without the wording of Python's own conversions."""
    try:
        int(cell) if column.kind is schema.Kind.INTEGER else float(cell)
    except ValueError:
        if column.kind in (schema.Kind.INTEGER, schema.Kind.NUMBER) and cell:
            a = {"integer": "an integer", "number": "a number"}[column.kind.value]
            return f"{cell[:40]!r} is not {a}"
    return str(error)
