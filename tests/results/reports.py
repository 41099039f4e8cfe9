"""What the tests of the report share: making it, and taking its tables and pictures apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from loopbench.results.folder.folder import load
from loopbench.results.report.blocks import Panel, Plot, Table
from loopbench.results.report.document import Document, document
from loopbench.results.stats.summary import summarise


def made(folder: Path) -> Document:
    """The report of a folder, as values."""
    loaded = load(folder)
    return document(loaded, summarise(loaded))


def tables(report: Document) -> Iterator[Table]:
    """Every table, those under plots too, in order."""
    for section in report.sections:
        for part in section.parts:
            if isinstance(part, Table):
                yield part
            elif isinstance(part, Plot):
                yield part.table


def table(report: Document, title: str) -> Table:
    """The table of that title."""
    (found,) = (one for one in tables(report) if one.title == title)
    return found


def panels(report: Document) -> dict[str, Panel]:
    """Every picture by its title."""
    return {
        panel.title: panel
        for section in report.sections
        for part in section.parts
        if isinstance(part, Plot)
        for panel in part.panels
    }


def drawn(panel: Panel) -> Any:
    """The axes of a picture after it was drawn."""
    axes = Figure().add_axes((0.0, 0.0, 1.0, 1.0))
    panel.draw(axes)
    return axes


def marks(panel: Panel, colour: str, size: float) -> list[tuple[float, float]]:
    """Places of the markers of that colour and size, as the axes have them."""
    return [
        (float(x), float(y))
        for line in drawn(panel).lines
        if line.get_color() == colour
        and line.get_markersize() == size
        and line.get_marker() not in ("", "None", None)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
        if not math.isnan(x)
    ]


class Page(HTMLParser):
    """An HTML page taken apart: tags with their attributes, tables as cells, all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._cell = False
        self._style = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        self._cell = tag in ("th", "td") or (tag == "wbr" and self._cell)
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False
        if tag == "style":
            self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data
        if self._cell:
            self.tables[-1][-1][-1] += data
