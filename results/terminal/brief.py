"""The short table: a line a scenario and contender, which one reads in half a minute.

Each line has a figure that answers the scenario, of the reference and of the contender, their ratio
with its 95 % interval, the ratio of CPU time a request, and a verdict in words.
Everything else that was measured is in the long table (`show --wide`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from loopbench.results.folder.folder import Folder, planned
from loopbench.results.schema import Row
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import ReadingCode
from loopbench.results.schema.warnings import wording
from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons.compare import word_for
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries, Summary, load_models
from loopbench.results.terminal import stalls, steadiness
from loopbench.results.terminal.notes import Note, marks, notes
from loopbench.results.terminal.stalls import Stalled
from loopbench.results.terminal.table import heading, in_order

CPU = "cpu_us_per_request"
INSTRUCTIONS = "instructions a request"
ALIKE = 0.1
"""An interval that contains 1 says "no difference" only where it reaches no further than that share
from 1; a wider one leaves room for what a reader would call a difference."""

COUNTED_ALIKE = 0.003
"""Counts of equal code differ by up to so much of a request, by the order of routes."""

MANY = 0.5
"""A Warning that no Cell carries a mark of is said once where it is about so large a share."""

_SAID = frozenset({ReadingCode.TOO_FEW_ROUNDS})
"""Codes that the verdict of each line says."""

_NOTHING = "–"
WIDTH = 100
"""A note takes no more columns."""

ANSWERS: Mapping[str, tuple[str, ...]] = {
    LoadKind.OPEN: ("response_time_p50_ms", "response_time_p99_ms"),
    LoadKind.PUSHED: ("service_time_p99_ms",),
    LoadKind.BROADCAST: ("service_time_p99_ms",),
    LoadKind.IDLE: ("rss_peak_bytes",),
    LoadKind.SLOW: ("rss_peak_bytes",),
}
"""The figures that a load of a kind is asked for; of all others it is the throughput. In an open
loop the median is known several times as well as the 99th percentile, after as many Rounds."""


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
    stalled: tuple[Stalled, ...]
    closing: tuple[str, ...]


def brief(folder: Folder, summaries: Summaries, counts: tuple[Row, ...]) -> Brief:
    """What `show` prints of a folder. counts: rows of counts.csv."""
    all_notes = notes(summaries)
    lines = (*_measured(folder, summaries, all_notes), *_counted(folder, summaries, counts))
    return Brief(
        heading=tuple(heading(folder)),
        reference=summaries.reference or "",
        lines=lines,
        notes=tuple(_note(note) for note in all_notes if _shown(note, lines)),
        legend=(*_legend(lines, summaries), *steadiness.lines(folder, summaries)),
        stalled=stalls.of_folder(folder),
        closing=tuple(str(problem) for problem in folder.problems),
    )


def compares(folder: Folder, summaries: Summaries) -> bool:
    """Whether there is anything to compare: stacks of the suite, and more than one.

    Of a person's own application, and of one stack alone, be it the yardstick, the long table is
    the answer.
    """
    own = "application" in folder.environment
    to = summaries.reference
    return not own and to is not None and to not in _contenders(folder, summaries)


def _contenders(folder: Folder, summaries: Summaries) -> tuple[str, ...]:
    """The stacks to compare; the reference itself where there is no other."""
    known = [stack for stack in in_order(folder.stacks, summaries) if stack != summaries.yardstick]
    return tuple(stack for stack in known if stack != summaries.reference) or tuple(known)


def _measured(folder: Folder, summaries: Summaries, all_notes: tuple[Note, ...]) -> Iterator[Line]:
    contenders = _contenders(folder, summaries)
    lines = []
    for where, models in load_models(folder).items():
        if not summaries.facts[where].measured:
            continue
        first, *others = ANSWERS.get(models[-1], ("throughput_rps",))
        title = summaries.names[where]
        for stack in contenders:
            cells = [(name, *where) for name in (summaries.reference or stack, stack)]
            expected = planned(folder.plan, stack, where[0])
            line = _line(first, models[-1], title, cells, summaries, all_notes, expected=expected)
            if line is None:
                continue
            lines.append(line)
            for metric in others:  # without CPU time, which the first line has
                about = tuple(note for note in all_notes if wording(note.code).concerns(metric))
                more = _line(metric, models[-1], title, cells, summaries, about, expected=False)
                lines += [] if more is None else [replace(more, cpu="")]
    order = {line.measure: None for line in lines}
    for measure in order:
        yield from (line for line in lines if line.measure == measure)


def _line(
    metric: str,
    kind: str,
    title: str,
    cells: list[Cell],
    summaries: Summaries,
    all_notes: tuple[Note, ...],
    *,
    expected: bool,
) -> Line | None:
    measure = formatting.label_of_kind(metric, kind)
    base, summary = (summaries.get(cell, metric) for cell in cells)
    if summary is None and (base is None or cells[0] == cells[1] or not expected):
        return None
    cpu = summaries.get(cells[1], CPU)
    return Line(
        measure,
        title,
        cells[1][0],
        _figure(metric, base),
        _figure(metric, summary),
        "" if summary is None or summary.ratio is None else formatting.ratio(summary.ratio),
        "" if cpu is None or cpu.ratio is None else formatting.ratio(cpu.ratio),
        _verdict(metric, summary, base),
        marks(all_notes, *cells),
    )


def _figure(metric: str, summary: Summary | None) -> str:
    return _NOTHING if summary is None else formatting.figure(metric, summary.centre)


def _verdict(metric: str, summary: Summary | None, base: Summary | None) -> str:
    if summary is None:
        return "not measured"
    ratio = summary.ratio
    if ratio is not None and ratio.overloaded:
        return ""  # the ratio's own cell says so
    doubtful = any(side is not None and side.disqualifying for side in (summary, base))
    if ratio is not None and ratio.interval is not None and doubtful:
        return "not comparable"
    # A figure of 0 has none, and neither has one whose counterpart was not measured.
    return "no ratio" if ratio is None else verdict(metric, ratio)


def verdict(metric: str, ratio: Ratio) -> str:
    """A ratio in a word or two."""
    if ratio.overloaded:
        return "overloaded"
    if ratio.interval is None:
        return "too few Rounds"
    if not ratio.significant:
        near = ratio.interval.low >= 1 / (1 + ALIKE) and ratio.interval.high <= 1 + ALIKE
        return "no difference" if near else "cannot tell"
    return word_for(metric, ratio.centre)


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
            count = values.get((case, stack))
            if base is None or count is None or stack == to:
                continue
            ratio = count / base
            alike = abs(ratio - 1) <= COUNTED_ALIKE
            yield Line(
                INSTRUCTIONS,
                case,
                stack,
                formatting.digits(base),
                formatting.digits(count),
                f"{formatting.digits(ratio)}x",
                "",
                "no difference" if alike else word_for(INSTRUCTIONS, ratio),
            )


def _shown(note: Note, lines: tuple[Line, ...]) -> bool:
    """Whether a line has its mark, or no line has since it is about them all."""
    if note.marked:
        return any(note.stands_in(line.marks) for line in lines)
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
        few = "; ?: too few Rounds to tell" if any("?" in line.ratio for line in lines) else ""
        yield f"x: ratio to {to}, ± its 95 % interval; ~: it may as well be 1{few}."
    voided = re.search(r"\[\d+!\]", "".join(line.marks for line in lines))
    forbids = f"{voided[0]}: not to be compared. " if voided else ""
    yield f"{forbids}All figures and the Warnings in words: show --wide."
