"""What the tests of the report share: making it, and taking its tables and pictures apart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from loopbench.results.folder.folder import load
from loopbench.results.report.blocks import Panel, Plot, Table
from loopbench.results.report.charts import svg
from loopbench.results.report.document import Document, document
from loopbench.results.stats.summaries.summary import summarise


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


def picture(panel: Panel) -> ET.Element:
    """The <svg> element of a picture, taken apart."""
    return ET.fromstring(svg.svg(panel))


def along(group: ET.Element) -> list[tuple[float, float]]:
    """The places that the paths of an element begin at: of a mark, a stroke or a bar its left."""
    found = []
    for path in group.iter("path"):
        first = _FIRST.match(path.get("d", ""))
        assert first is not None
        found.append((float(first[1]), float(first[2])))
    return found


_FIRST = re.compile(r"M(-?[\d.]+) (-?[\d.]+)")


def points(path: ET.Element) -> list[tuple[float, float]]:
    """The points that a line goes through."""
    data = path.get("d", "")
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", data)]


def of_class(root: ET.Element, css: str) -> list[ET.Element]:
    """Elements with that class, in the order of the document."""
    return [element for element in root.iter() if css in element.get("class", "").split()]


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
        self._style = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self._cell = False
        if tag in ("style", "script"):
            self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data
        if self._cell:
            self.tables[-1][-1][-1] += data
