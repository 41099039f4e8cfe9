"""The CSV files of a results folder, compressed or not."""

from __future__ import annotations

from pathlib import Path

from loopbench.results import schema


def file_of(folder: Path, table: schema.Table) -> Path:
    """The file that holds a table: the CSV, or its compressed form where only that is there."""
    plain = folder / table.filename
    packed = folder / table.packed_filename
    return packed if packed.is_file() and not plain.exists() else plain
