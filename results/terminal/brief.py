"""The short table: a line a scenario and contender, which one reads in half a minute.

Each line has the one figure that answers the scenario, of the reference and of the contender,
their ratio with its 95 % interval, the ratio of CPU time a request, and a verdict in words.
Everything else that was measured is in the long table (`show --wide`).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopbench.results.folder.folder import Folder, planned
from loopbench.results.schema import Row
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.warnings import ReadingCode, wording
from loopbench.results.stats import formatting, stalls
from loopbench.results.stats.compare import word_for
from loopbench.results.stats.summary import (
    METRICS,
    Cell,
    Ratio,
    Summaries,
    Summary,
    load_models,
)
from loopbench.results.terminal.notes import Note, marks, notes
from loopbench.results.terminal.table import HELD, heading, in_order, section, shown_path

CPU = "cpu_us_per_request"
INSTRUCTIONS = "instructions a request"
ALIKE = 0.1
"""An interval that contains 1 says "no difference" only where it reaches no further than that share
from 1; a wider one leaves room for what a reader would call a difference."""

MANY = 0.5
"""A Warning that no Cell carries a mark of is said once where it is about so large a share."""

_SAID = frozenset({ReadingCode.TOO_FEW_ROUNDS})
"""Codes that the verdict of each line says."""

_NOTHING = "–"
_GAP = 2
WIDTH = 100
"""A note takes no more columns."""

MOST_STALLED = 3

ANSWERS: Mapping[str, str] = {
    LoadKind.OPEN: "response_time_p99_ms",
    LoadKind.PUSHED: "service_time_p99_ms",
    LoadKind.BROADCAST: "service_time_p99_ms",
    LoadKind.IDLE: "rss_peak_bytes",
    LoadKind.SLOW: "rss_peak_bytes",
}
"""The figure that a load of a kind is asked for; of all others it is the throughput."""


@dataclass(frozen=True, slots=True)
class Line:
    """A contender in one scenario and load, all as it is printed."""

    measure: str
    title: str
    stack: str
    reference: str
    figure: str
    ratio: str
    cpu: str
    verdict: str
    marks: str = ""


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything that is printed, as values. reference: blank where one stack was measured."""

    heading: tuple[str, ...]
    reference: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    legend: tuple[str, ...]
    stalls: tuple[str, ...]
    closing: tuple[str, ...]


def brief(folder: Folder, summaries: Summaries, counts: tuple[Row, ...]) -> Brief:
    """What `show` prints of a folder. counts: rows of counts.csv."""
    found = notes(summaries)
    lines = (*_measured(folder, summaries, found), *_counted(folder, summaries, counts))
    return Brief(
        heading=tuple(heading(folder)),
        reference=summaries.reference or "",
        lines=lines,
        notes=tuple(_note(note) for note in found if _shown(note, lines)),
        legend=tuple(_legend(lines, summaries)),
        stalls=_held(stalls.lines(folder)),
        closing=tuple(str(problem) for problem in folder.problems),
    )


def _held(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The Cells with the longest stalls, and how many more there are."""
    rest = len(lines) - MOST_STALLED
    return (*lines[:MOST_STALLED], *((f"and {rest} more Cells: show --wide",) if rest > 0 else ()))


def compares(folder: Folder, summaries: Summaries) -> bool:
    """Whether there is anything to compare: stacks of the suite, and more than one.

    Of a person's own application, and of one stack alone, the long table is the answer.
    """
    own = "application" in folder.environment
    return not own and summaries.reference not in _contenders(folder, summaries)


def _contenders(folder: Folder, summaries: Summaries) -> tuple[str, ...]:
    """The stacks to compare; the reference itself where there is no other."""
    known = [one for one in in_order(folder.stacks, summaries) if one != summaries.yardstick]
    return tuple(one for one in known if one != summaries.reference) or tuple(known)


def _measured(folder: Folder, summaries: Summaries, found: tuple[Note, ...]) -> Iterator[Line]:
    contenders = _contenders(folder, summaries)
    lines = []
    for where, models in load_models(folder).items():
        if not summaries.facts[where].measured:
            continue
        metric = ANSWERS.get(models[-1], "throughput_rps")
        shown = next((one for one in formatting.SHOWN if _is_shown(one, metric, models[-1])), None)
        measure = formatting.label(metric, shown.label if shown else None)
        title = summaries.names[where]
        for stack in contenders:
            cells = [(one, *where) for one in (summaries.reference or stack, stack)]
            line = _line(
                metric,
                measure,
                title,
                cells,
                summaries,
                found,
                expected=planned(folder.plan, stack, where[0]),
            )
            if line is not None:
                lines.append(line)
    order = {line.measure: None for line in lines}
    for measure in order:
        yield from (line for line in lines if line.measure == measure)


def _is_shown(shown: formatting.Shown, metric: str, model: str) -> bool:
    return shown.metric == metric and model in shown.models


def _line(
    metric: str,
    measure: str,
    title: str,
    cells: list[Cell],
    summaries: Summaries,
    found: tuple[Note, ...],
    *,
    expected: bool,
) -> Line | None:
    base, one = (summaries.get(cell, metric) for cell in cells)
    if one is None and (base is None or cells[0] == cells[1] or not expected):
        return None
    cpu = summaries.get(cells[1], CPU)
    return Line(
        measure,
        title,
        cells[1][0],
        _figure(metric, base),
        _figure(metric, one),
        "" if one is None or one.ratio is None else formatting.ratio(one.ratio),
        "" if cpu is None or cpu.ratio is None else formatting.ratio(cpu.ratio),
        _verdict(metric, one),
        _marks(found, cells),
    )


def _marks(found: tuple[Note, ...], cells: list[Cell]) -> str:
    """The marks of both Cells, each once, in the order of the notes."""
    of_each = [marks(found, cell) for cell in cells]
    return "".join(
        note.mark for note in found if note.marked and any(note.mark in some for some in of_each)
    )


def _figure(metric: str, summary: Summary | None) -> str:
    return _NOTHING if summary is None else formatting.figure(metric, summary.centre)


def _verdict(metric: str, summary: Summary | None) -> str:
    if summary is None:
        return "not measured"
    ratio = summary.ratio
    return formatting.precision(summary) if ratio is None else verdict(metric, ratio)


def verdict(metric: str, ratio: Ratio) -> str:
    """A ratio in a word or two."""
    if ratio.overloaded:
        return "overloaded"
    if ratio.interval is None:
        return "too few Rounds"
    if not ratio.significant:
        near = ratio.interval.low >= 1 / (1 + ALIKE) and ratio.interval.high <= 1 + ALIKE
        return "no difference" if near else "cannot tell"
    return word_for(METRICS[metric].unit, ratio.centre)


def _counted(folder: Folder, summaries: Summaries, counts: tuple[Row, ...]) -> Iterator[Line]:
    """Instructions a request of the cases shown: exact, so that there is no interval."""
    shown = {run.values["case"] for run in folder.runs}
    values = {
        (str(row["case"]), str(row["stack"])): value
        for row in counts
        if isinstance(value := row["instructions"], float) and row["case"] in shown
    }
    to = summaries.reference
    for case in dict.fromkeys(case for case, _ in values):
        base = values.get((case, to or ""))
        for stack in _contenders(folder, summaries):
            one = values.get((case, stack))
            if base is None or one is None or stack == to:
                continue
            times = f"{formatting.digits(one / base)}x"
            yield Line(
                INSTRUCTIONS,
                case,
                stack,
                formatting.digits(base),
                formatting.digits(one),
                times,
                "",
                word_for("instructions", one / base),
            )


def _shown(note: Note, lines: tuple[Line, ...]) -> bool:
    """Whether a line has its mark, or no line has since it is about them all."""
    if note.marked:
        return any(note.mark in line.marks for line in lines)
    return note.code not in _SAID and len(note.cells) >= MANY * note.of


def _note(note: Note) -> str:
    """A Warning in a line: its mark, its code, what it means, and of whom where there is room."""
    if not note.marked:
        share = "All" if len(note.cells) == note.of else f"{len(note.cells)} of {note.of} Cells"
        forbids = " (not to be compared)" if note.voids else ""
        return formatting.plain(f"{share}{forbids}: {note.code}: {wording(note.code).in_a_line}")
    text = formatting.plain(f"{note.mark} {note.code}: {wording(note.code).in_a_line}")
    stacks = dict.fromkeys(cell[0] for cell, _ in note.cells)
    where = formatting.plain(f" ({', '.join(stacks)})")
    return text + where if len(text + where) <= WIDTH else text


def _legend(lines: tuple[Line, ...], summaries: Summaries) -> Iterator[str]:
    if any(line.ratio for line in lines):
        to = formatting.plain(summaries.reference or "")
        yield f"x: ratio to {to}, ± its 95 % interval; ~: it may as well be 1."
    voided = re.search(r"\[\d+!\]", "".join(line.marks for line in lines))
    forbids = f"{voided[0]}: not to be compared. " if voided else ""
    yield f"{forbids}All figures and the Warnings in words: show --wide."


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
    section(console, HELD, page.stalls)
    section(console, "What could not be read", page.closing)
    console.print(Text(formatting.plain(f"Rows and report: {shown_path(path)}")))


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
        "" if one == before else one for one, before in zip(titles, ["", *titles], strict=False)
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
    return -max(0, _excess(columns, width)), sum(bool(one.spared) for one in columns), whole


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
