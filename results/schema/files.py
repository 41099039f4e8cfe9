"""CSV files of a results folder: written a batch at a time, and read back."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from loopbench.results.schema.columns import (
    Row,
    SchemaError,
    Table,
    Value,
    format_value,
    parse_value,
)


def _encode(cells: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()


class TableWriter:
    """Appends rows to one table of a results folder, each batch whole or not at all.

    A batch that the disk does not take (full, gone) is cut off again before
    OSError is raised, so that the file never ends in half a row.
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
        except OSError:
            os.ftruncate(self._fd, before)
            raise

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_table(folder: Path, table: Table) -> Iterator[dict[str, Value]]:
    """Rows of one table, typed. Raises SchemaError naming file, row and column.

    Columns that this version does not know are an error too: their meaning is
    not known, so nothing may be computed from them.
    """
    path = folder / table.filename
    try:
        handle = path.open(newline="", encoding="utf-8")
    except FileNotFoundError:
        raise SchemaError(f"{path}: the file is missing") from None
    with handle:
        reader = csv.reader(handle)
        header = next(reader, None)
        if header is None:
            raise SchemaError(f"{path}: the file is empty")
        _check_header(path, table, header)
        by_name = {column.name: column for column in table.columns}
        columns = [by_name[name] for name in header]
        for number, cells in enumerate(reader, start=2):
            if len(cells) != len(columns):
                raise SchemaError(
                    f"{path}, row {number}: {len(cells)} cells instead of {len(columns)}"
                )
            row: dict[str, Value] = {}
            for column, cell in zip(columns, cells, strict=True):
                try:
                    row[column.name] = parse_value(column, cell)
                except ValueError as error:
                    raise SchemaError(
                        f"{path}, row {number}, column {column.name}: {error}"
                    ) from None
            yield row


def _check_header(path: Path, table: Table, header: list[str]) -> None:
    unknown = [name for name in header if name not in table.names]
    if unknown:
        raise SchemaError(f"{path}: unknown column {', '.join(unknown)} (a newer version's file?)")
    missing = [name for name in table.names if name not in header]
    if missing:
        raise SchemaError(
            f"{path}: column {', '.join(missing)} is missing (an older version's file?)"
        )
    if len(set(header)) != len(header):
        raise SchemaError(f"{path}: a column appears twice")
