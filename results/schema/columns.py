"""Columns and tables, their types and units; one cell as text and back.

A blank cell means "not measured"; a zero means zero.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.results.schema.value import Value

Row = Mapping[str, Value]


class SchemaError(Exception):
    """A table that cannot be read or written as this version defines it.
    The message names file, row and column."""


class Kind(enum.Enum):
    """The type of a column's values."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `unit` is blank for text and pure counts; `required` cells are never blank.

    later: files from before the column are in use, which nobody needs to be told. before: what
    is true of those; None where it is not known. heading: how the report's table about loop and
    executor names it; blank where that table does not show it.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    required: bool = False
    minimum: float | None = None
    later: bool = False
    before: Value = None
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file of a results folder."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def filename(self) -> str:
        return f"{self.name}.csv"

    @property
    def packed_filename(self) -> str:
        """Of the compressed table, where `python -m results pack` made one."""
        return f"{self.filename}.gz"

    def file_in(self, folder: Path) -> Path:
        """The file that holds it: the CSV, or its compressed form where only that is there."""
        plain, packed = folder / self.filename, folder / self.packed_filename
        return packed if packed.is_file() and not plain.exists() else plain

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def row_of(self, *sources: object, **cells: Value) -> dict[str, Value]:
        """A row of these cells, and of what the sources call as columns are called."""
        named = (
            (name, getattr(source, name))
            for source in sources
            for name in self.names
            if name not in cells and hasattr(source, name)
        )
        return {**cells, **dict(named)}


def table(name: str, meaning: str, *columns: Column) -> Table:
    return Table(name, meaning, columns)


def text(name: str, meaning: str, *, later: bool = False) -> Column:
    return Column(name, Kind.TEXT, "", meaning, later=later)


def key(name: str, meaning: str) -> Column:
    """Text that is never blank."""
    return Column(name, Kind.TEXT, "", meaning, True)


def flag(name: str, meaning: str, *, required: bool = False, later: bool = False) -> Column:
    return Column(name, Kind.BOOLEAN, "", meaning, required, later=later)


def count(
    name: str,
    meaning: str,
    *,
    unit: str = "",
    required: bool = False,
    later: bool = False,
    heading: str = "",
) -> Column:
    return Column(name, Kind.INTEGER, unit, meaning, required, 0, later, heading=heading)


def ordinal(
    name: str, meaning: str, *, required: bool = True, later: bool = False, before: Value = None
) -> Column:
    """A whole number from 1 on."""
    return Column(name, Kind.INTEGER, "", meaning, required, 1, later, before)


def number(
    name: str, unit: str, meaning: str, *, required: bool = False, later: bool = False
) -> Column:
    return Column(name, Kind.NUMBER, unit, meaning, required, 0, later)


def later(*columns: Column) -> tuple[Column, ...]:
    """Columns that files from before are in use without."""
    return tuple(replace(column, later=True) for column in columns)


def signed(
    name: str, unit: str, meaning: str, *, required: bool = False, later: bool = False
) -> Column:
    """A number that may be below zero."""
    return Column(name, Kind.NUMBER, unit, meaning, required, later=later)


def reading(name: str, meaning: str, *, required: bool = False) -> Column:
    """A number whose unit stands in the row's own `unit`."""
    return signed(name, "as `unit` says", meaning, required=required)


def format_value(value: Value) -> str:
    """One cell: blank for None, `true` and `false`, numbers so that they read back equal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(round(value, 6))
    return str(value)


def parse_value(column: Column, cell: str) -> Value:
    """The inverse of `format_value`. Raises ValueError with what was expected."""
    if cell == "":
        if column.required:
            raise ValueError("is blank and must not be")
        return None
    value: Value = cell
    if column.kind is Kind.INTEGER:
        value = int(cell)
    elif column.kind is Kind.NUMBER:
        value = float(cell)
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{cell!r} is not a finite number")
    elif column.kind is Kind.BOOLEAN:
        if cell not in ("true", "false"):
            raise ValueError(f"{cell!r} is neither true nor false")
        value = cell == "true"
    if column.minimum is not None and isinstance(value, int | float) and value < column.minimum:
        raise ValueError(f"{cell} is below {column.minimum:g}")
    return value
