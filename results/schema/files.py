"""CSV files of a results folder: written a batch at a time, and read back."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Self

from loopbench.results.schema.columns import (
    Column,
    Row,
    SchemaError,
    Table,
    format_value,
    parse_value,
)
from loopbench.results.schema.value import Value

MOST_COLUMNS = 1_000
"""A table with more is none of this suite's; comparing its names one by one would take minutes."""


def open_text(file: Path, errors: str = "strict") -> IO[str]:
    """A CSV or JSON file to be read, compressed or not, in UTF-8 with or without a byte order mark.

    Raises OSError, also for what is no regular file: reading from a pipe could wait for ever.
    """
    if not (stat.S_ISREG(mode := file.stat().st_mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "is no regular file", str(file))
    opener = gzip.open if file.suffix == ".gz" else open
    return opener(file, "rt", encoding="utf-8-sig", errors=errors, newline="")


def numbered(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file with their numbers from 1 on, blank ones passed over.

    Raises csv.Error for what is no CSV, as a cell without an end.
    """
    for number, cells in enumerate(csv.reader(lines), start=1):
        if cells:
            yield number, cells


def _encode(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all; it is on the disk on return. What UTF-8 cannot hold is a
    question mark in it. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


class TableWriter:
    """Appends rows to one table of a results folder, each batch whole or not at all.

    A batch is on the disk before `append` returns. One that the disk does not take (full, gone) is
    cut off again before OSError is raised, so that the file never ends in half a row.
    """

    def __init__(self, folder: Path, table: Table) -> None:
        self._table = table
        self._path = folder / table.filename
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(self._fd).st_size == 0:
                self._write(_encode(table.names))
        except OSError:
            os.close(self._fd)
            raise

    def append(self, rows: Iterable[Row]) -> None:
        """Write rows; raises SchemaError on a column that the table lacks or a required blank."""
        self._write(b"".join(_encode(self._cells(row)) for row in rows))

    def _cells(self, row: Row) -> list[str]:
        unknown = row.keys() - set(self._table.names)
        if unknown:
            raise SchemaError(f"{self._table.filename} has no column {', '.join(sorted(unknown))}")
        cells = []
        for column in self._table.columns:
            value = row.get(column.name)
            if value is None and column.required:
                raise SchemaError(f"{self._table.filename}: {column.name} must not be blank")
            cells.append(format_value(value))
        return cells

    def _write(self, data: bytes) -> None:
        before = os.fstat(self._fd).st_size
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._fd, rest) :]
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def read_table(folder: Path, table: Table) -> Iterator[dict[str, Value]]:
    """Rows of one table, typed. Raises SchemaError naming file, row and column.

    Columns that this version does not know are an error too: their meaning is
    not known, so nothing may be computed from them. Those that older files lack
    have what is true of these.
    """
    path = folder / table.filename
    try:
        handle = open_text(path)
    except FileNotFoundError:
        raise SchemaError(f"{path}: the file is missing") from None
    except OSError as error:
        raise SchemaError(f"cannot read {path}: {error.strerror}") from error
    with handle:
        try:
            yield from _typed(path, table, numbered(handle))
        except csv.Error as error:
            raise SchemaError(f"{path} is not a CSV file: {error}") from error
        except UnicodeDecodeError as error:
            raise SchemaError(f"{path} is not a CSV file in UTF-8: {error.reason}") from error


def _typed(
    path: Path, table: Table, rows: Iterator[tuple[int, list[str]]]
) -> Iterator[dict[str, Value]]:
    _, header = next(rows, (0, None))
    if header is None:
        raise SchemaError(f"{path}: the file is empty")
    _check_header(path, table, header)
    by_name = {column.name: column for column in table.columns}
    columns = [by_name[name] for name in header]
    before = {column.name: column.before for column in _later(table, header)}
    for number, cells in rows:
        if len(cells) != len(columns):
            raise SchemaError(f"{path}, row {number}: {len(cells)} cells instead of {len(columns)}")
        row: dict[str, Value] = dict(before)
        for column, cell in zip(columns, cells, strict=True):
            try:
                row[column.name] = parse_value(column, cell)
            except ValueError as error:
                raise SchemaError(f"{path}, row {number}, column {column.name}: {error}") from None
        yield row


def shown_names(names: Iterable[str], most: int = 3) -> str:
    """Names from a file for a message: a few, each on one line, cut, without control characters."""
    every = list(names)
    first = ", ".join(name[:40] if name.isprintable() else repr(name[:40]) for name in every[:most])
    return first + (f" and {len(every) - most} more" if len(every) > most else "")


def foreign_columns(table: Table, header: list[str]) -> str | None:
    """What makes a header that of another version: a column too many, or one that is missing."""
    unknown = [name for name in header if name not in table.names]
    if unknown:
        return f"unknown column {shown_names(unknown)} (a newer version's file?)"
    missing = [name for name in table.names if name not in header]
    if missing:
        names = shown_names(missing, len(table.names))
        return f"column {names} is missing (an older version's file?)"
    return None


def _later(table: Table, header: list[str]) -> list[Column]:
    """The columns that a file from before them lacks."""
    return [column for column in table.columns if column.later and column.name not in header]


def _check_header(path: Path, table: Table, header: list[str]) -> None:
    if len(header) > MOST_COLUMNS:
        raise SchemaError(f"{path}: has {len(header):,} columns, and is none of the suite's tables")
    later = [column.name for column in _later(table, header)]
    if fault := foreign_columns(table, [*header, *later]):
        raise SchemaError(f"{path}: {fault}")
    if len(set(header)) != len(header):
        raise SchemaError(f"{path}: a column appears twice")
