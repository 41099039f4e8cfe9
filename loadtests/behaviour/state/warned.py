"""What is warned of during an experiment."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def warned() -> Iterator[list[str]]:
    """Names of the categories of all warnings meanwhile, of every thread, as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        names: list[str] = []

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            names.append(category.__name__)

        warnings.showwarning = note
        yield names
