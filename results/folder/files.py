"""The CSV files of a results folder, compressed or not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO

from loopbench.results import schema


def file_of(folder: Path, table: schema.Table) -> Path:
    """The file that holds a table: the CSV, or its compressed form where only that is there."""
    plain = folder / table.filename
    packed = folder / table.packed_filename
    return packed if packed.is_file() and not plain.exists() else plain


def open_text(file: Path, encoding: str = "utf-8", errors: str = "strict") -> IO[str]:
    """A CSV file to be read, compressed or not. Raises OSError."""
    opener = gzip.open if file.suffix == ".gz" else open
    return opener(file, "rt", encoding=encoding, errors=errors, newline="")
