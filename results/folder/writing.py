"""Files that commands write for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loopbench.results.errors import ResultsError
from loopbench.results.schema.files import write_whole


def written(path: Path, text: str) -> Path:
    """Write a file of a results folder, whole or not at all; its path. Raises ResultsError."""
    with _named(path):
        write_whole(path, text)
    return path


def written_to(path: Path, text: str) -> Path:
    """Write into what a person names, which may be a link or a device; the path. Raises
    ResultsError."""
    with _named(path):
        path.write_text(text, encoding="utf-8", errors="replace")
    return path


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from error
