"""The short table as it is printed: which columns, and how they fit a narrow terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopbench.results.stats import formatting
from loopbench.results.terminal import stalls
from loopbench.results.terminal.brief import INSTRUCTIONS, Brief, Line
from loopbench.results.terminal.table import section, shown_path

_GAP = 2
MOST_STALLED = 3


def render(page: Brief, path: Path, console: Console) -> None:
    """Print a Brief."""
    for number, line in enumerate(page.heading):
        console.print(Text(line, style="bold" if number == 0 else "dim"))
    several = len({line.stack for line in page.lines}) > 1
    for measure, lines in groupby(page.lines, lambda line: line.measure):
        console.print()
        console.print(_grid(page, measure, list(lines), console.width, several=several))
    console.print()
    for note in page.notes:
        console.print(Text(note, style="yellow"))
    for line in page.legend:
        console.print(Text(line, style="dim"))
    stalls.show(console, page.stalled, MOST_STALLED, "show --wide")
    section(console, "What is missing, or could not be read", page.closing)
    console.print()
    made = "Rows and report" if (path / "report.html").is_file() else "Rows"
    console.print(Text(formatting.plain(f"{made}: {shown_path(path)}")))


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of one measure.

    title: in lines. spared: in which order columns are left out where the terminal is too narrow,
    1 first; 0: never. named: it holds names, which may be shortened.
    """

    title: tuple[str, ...]
    cells: tuple[str, ...]
    justify: Literal["left", "right"] = "left"
    spared: int = 0
    named: bool = False

    @property
    def width(self) -> int:
        """Of its widest cell, and the gap behind it."""
        return max(map(len, (*self.title, *self.cells))) + _GAP


def _broken(title: str, cells: tuple[str, ...]) -> tuple[str, ...]:
    """A title in lines, broken after its hyphens and blanks, that need little more room than the
    cells below it."""
    pieces = re.findall(r"[^-\s]+-?", title)
    width = max(map(len, (*pieces, *cells)), default=1)
    return tuple(textwrap.wrap(title, width)) or (title,)


def _columns(
    page: Brief, measure: str, lines: list[Line], *, several: bool, narrow: bool
) -> list[_Column]:
    """several: contenders, each with a line of its own. narrow: scenarios stand in lines of their
    own above their stacks, and long titles in several lines."""
    rows = list(_with_reference(page, lines, titled=narrow) if several else lines)
    figures = tuple(line.figure for line in rows)
    references = tuple(line.reference for line in rows)

    def titled(title: str, cells: tuple[str, ...]) -> tuple[str, ...]:
        return _broken(title, cells) if narrow else (title,)

    columns = [
        *_names(measure, rows, several=several, narrow=narrow),
        *(
            [_Column(titled(measure, figures), figures, "right")]
            if several
            else [
                _Column(titled(page.reference, references), references, "right"),
                _Column(titled(rows[0].stack, figures), figures, "right"),
            ]
        ),
        _Column(("ratio",), tuple(line.ratio for line in rows)),
        _Column(("CPU a request",), tuple(line.cpu for line in rows), spared=1),
        _Column(("",), tuple(line.verdict for line in rows), spared=2),
        _Column(("",), tuple(line.marks for line in rows)),
    ]
    return [column for column in columns if any(column.cells)]


def _names(measure: str, rows: list[Line], *, several: bool, narrow: bool) -> Iterator[_Column]:
    """What each line is about: scenario, and stack where there are several."""
    title = (_subject(measure) if several else measure,)
    stacks = tuple(line.stack for line in rows)
    if several and narrow:
        places = tuple(f"  {line.stack}" if line.stack else line.title for line in rows)
        yield _Column(title, places, named=True)
        return
    titles = [line.title for line in rows]
    firsts = (
        "" if current == before else current
        for current, before in zip(titles, ["", *titles], strict=False)
    )
    yield _Column(title, tuple(firsts), named=True)
    if several:
        yield _Column(("stack",), stacks, named=True)


def _subject(measure: str) -> str:
    """What the first column names."""
    return "request" if measure == INSTRUCTIONS else "scenario"


def _with_reference(page: Brief, lines: list[Line], *, titled: bool) -> Iterator[Line]:
    """Before the contenders of each scenario a line with the reference's own figure. titled:
    before these a line with the scenario alone."""
    for title, some in groupby(lines, lambda line: line.title):
        contenders = list(some)
        first, to = contenders[0], page.reference
        if titled:
            yield Line(first.measure, title, "", "", "", "", "", "")
        if to:
            yield Line(first.measure, title, to, "", first.reference, "", "", "")
        yield from contenders


LEAST_NAME = 12
"""A name is not shortened further than to this."""


def _shortened(name: str, width: int) -> str:
    """A name of no more characters than that: its beginning, an ellipsis and its end."""
    if len(name) <= width:
        return name
    end = (width - 1) // 2
    return f"{name[: width - 1 - end]}…{name[len(name) - end :]}"


def _excess(columns: list[_Column], width: int) -> int:
    return sum(column.width for column in columns) - _GAP - width


def _fitted(columns: list[_Column], width: int) -> list[_Column]:
    """As many of them as the terminal has room for; then names are shortened, figures never."""
    kept = list(columns)
    while _excess(kept, width) > 0 and any(column.spared for column in kept):
        spare = [column for column in kept if column.spared]
        kept.remove(min(spare, key=lambda column: column.spared))
    for place, column in enumerate(kept):
        excess = _excess(kept, width)
        if column.named and excess > 0:
            most = max(LEAST_NAME, column.width - _GAP - excess)
            kept[place] = replace(
                column, cells=tuple(_shortened(cell, most) for cell in column.cells)
            )
    return kept


def _worth(columns: list[_Column], width: int) -> tuple[int, int, bool]:
    """By what one form is better than another: that it fits, then how many of the columns that
    can be spared it has, then that its names are whole."""
    whole = not any("…" in cell for column in columns for cell in column.cells)
    return -max(0, _excess(columns, width)), sum(bool(column.spared) for column in columns), whole


def _grid(page: Brief, measure: str, lines: list[Line], width: int, *, several: bool) -> Table:
    """One measure's lines, in a form that the terminal has room for."""
    forms = [
        _fitted(_columns(page, measure, lines, several=several, narrow=narrow), width)
        for narrow in (False, True)
    ]
    columns = max(forms, key=lambda form: _worth(form, width))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=True)
    for column in columns:
        title = Text("\n".join(map(formatting.plain, column.title)), style="bold")
        table.add_column(title, overflow="fold", justify=column.justify, vertical="bottom")
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*(Text(formatting.plain(cell)) for cell in cells))
    return table
