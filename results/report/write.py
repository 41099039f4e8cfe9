"""Writing the report into its folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from loopbench.results.folder.folder import Folder
from loopbench.results.folder.writing import written
from loopbench.results.report import markdown
from loopbench.results.report.document import Document, document
from loopbench.results.report.page import html
from loopbench.results.stats.summaries.summary import Summaries

FORMATS: Mapping[str, Callable[[Document], str]] = {"html": html.render, "md": markdown.render}


def write(
    folder: Folder, summaries: Summaries, formats: Iterable[str] = tuple(FORMATS)
) -> tuple[Path, ...]:
    """Write report.html, report.md or both, each whole or not at all; returns their paths.

    Raises ResultsError where the folder cannot be written to.
    """
    made = document(folder, summaries)
    return tuple(written(folder.path / f"report.{name}", FORMATS[name](made)) for name in formats)
