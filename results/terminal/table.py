"""The terminal's table: scenarios downwards, stacks side by side, Warnings in words under it.

A ratio that cannot be told from 1 is printed as `~`, as benchstat does
(https://pkg.go.dev/golang.org/x/perf/cmd/benchstat).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopbench.results.folder.folder import Folder, RunRow
from loopbench.results.grouping import grouped
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.reading_warnings import MIN_ROUNDS
from loopbench.results.stats import bottleneck, formatting
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries, Summary, load_models
from loopbench.results.terminal import stalls
from loopbench.results.terminal.notes import Note, failure_lines, marks, notes
from loopbench.results.terminal.stalls import Stalled

_GAP = 2
_NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of one stack: value, its 95 % interval and ratio, as they are printed."""

    value: str
    precision: str = ""
    ratio: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One metric of one scenario and load: a label, and an Entry a stack."""

    label: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One scenario and load. marks: the numbers of its notes, a stack."""

    title: str
    marks: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is printed, as values. own: whether it is about a person's application."""

    own: bool
    heading: tuple[str, ...]
    stacks: tuple[str, ...]
    blocks: tuple[Block, ...]
    legend: str
    notes: tuple[Note, ...]
    failures: tuple[str, ...]
    problems: tuple[str, ...]
    limits: tuple[str, ...]
    stalled: tuple[Stalled, ...]
    files: tuple[str, ...]


def page(folder: Folder, summaries: Summaries, *, intervals: bool = False) -> Page:
    """What `show` prints of a folder. intervals: with both ends of each, not ± in per cent."""
    stacks = in_order(folder.stacks, summaries)
    all_notes = notes(summaries)
    return Page(
        own="application" in folder.environment,
        heading=tuple(heading(folder)),
        stacks=stacks,
        blocks=tuple(_blocks(folder, summaries, stacks, all_notes, intervals)),
        legend=_legend(summaries, all_notes),
        notes=all_notes,
        failures=tuple(failure_lines(folder)),
        problems=tuple(str(problem) for problem in folder.problems),
        limits=tuple(
            formatting.plain(bottleneck.line(limit))
            for limit in bottleneck.limits(folder, summaries)
        ),
        stalled=stalls.of_folder(folder),
        files=_files(folder.path),
    )


def in_order(stacks: Sequence[str], summaries: Summaries) -> tuple[str, ...]:
    """The reference first, the yardstick last, the others by name."""
    first, last = summaries.reference, summaries.yardstick
    return tuple(sorted(stacks, key=lambda name: (name != first, name == last, name)))


def _users(row: RunRow) -> str:
    return formatting.counted(row.number("users") or 0, "user")


def _blocks(
    folder: Folder,
    summaries: Summaries,
    stacks: tuple[str, ...],
    all_notes: tuple[Note, ...],
    intervals: bool,
) -> Iterator[Block]:
    first = {run.where: run for run in reversed(folder.runs)}
    for (scenario, load), models in load_models(folder).items():
        row = first[scenario, load]
        offered: dict[str, str] = {
            LoadKind.CLOSED: f"{_users(row)}{_thinking(row)}",
            LoadKind.OPEN: f"{formatting.rate(row.number('arrival_rate_rps') or 0)}/s",
            LoadKind.IDLE: f"{row.number('users') or 0:,.0f} idle",
            LoadKind.SLOW: f"{row.number('users') or 0:,.0f} slow",
            LoadKind.LOCUSTFILE: f"{row.number('users') or 0:,.0f} users of a locustfile",
            LoadKind.STREAM: f"{row.number('users') or 0:,.0f} streams",
            LoadKind.ECHO: _users(row),
            LoadKind.PUSHED: f"{row.number('users') or 0:,.0f} receivers",
            LoadKind.BROADCAST: f"{row.number('users') or 0:,.0f} connections",
        }
        measured = summaries.facts[scenario, load].measured
        name = summaries.names[scenario, load] if measured else f"+ {load}"
        cells = [(stack, scenario, load) for stack in stacks]
        yield Block(
            ", ".join(filter(None, (name, offered.get(row.load_model)))),
            tuple(marks(all_notes, cell) for cell in cells),
            tuple(_lines(models, summaries, cells, intervals)),
        )


def _thinking(row: RunRow) -> str:
    think_s = row.number("think_s")
    return "" if think_s is None else f", thinking {think_s:g} s"


def _lines(
    models: tuple[str, ...], summaries: Summaries, cells: list[Cell], intervals: bool
) -> Iterator[Line]:
    for shown in formatting.shown_for(models):
        row = [summaries.get(cell, shown.metric) for cell in cells]
        if any(row):
            yield Line(
                formatting.label(shown.metric, shown.label),
                tuple(_entry(summary, intervals) for summary in row),
            )


def _entry(summary: Summary | None, intervals: bool) -> Entry:
    if summary is None:
        return Entry(_NOTHING)
    value = formatting.figure(summary.sample.metric, summary.centre)
    ratio = formatting.ratio(summary.ratio, interval=intervals) if summary.ratio else ""
    return Entry(value, formatting.precision(summary, ends=intervals), ratio)


def heading(folder: Folder) -> Iterator[str]:
    """What run this is, and where it was measured, a line each."""
    begun = _minute(min((str(run.values["started_at"]) for run in folder.runs), default=""))
    yield formatting.plain(f"{folder.path.resolve().name}: {_rounds(folder)}, {begun}")
    several = {run.number("processes") for run in folder.runs} - {None, 1.0}
    counts = " or ".join(f"{count:g}" for count in sorted(filter(None, several))) or "1"
    if folder.plan.own_manager:
        yield (
            f"each server as {counts} worker{'s' if several else ''} of its own manager; CPU and "
            "memory are sums over the workers and the manager"
        )
    elif several:
        yield f"each server as {counts} processes on one port; CPU and memory are their sums"
    environment = folder.environment
    application = environment.get("application")
    if isinstance(application, dict):
        own = f"{application.get('target')} ({application.get('framework')})"
        yield formatting.plain(f"a person's own application: {own}")
        for note in application.get("notes", ()):
            yield formatting.plain(f"note: {note}")
    machine, python = environment.get("machine"), environment.get("python")
    facts = []
    if isinstance(machine, dict):
        cpus = machine.get("cpus")
        awake = " kept awake" if machine.get("kept_awake") is True else ""
        facts += [machine.get("cpu_model"), f"{cpus} CPUs{awake}" if cpus else None]
        facts += [f"{machine.get('system') or ''} {machine.get('release') or ''}".strip()]
    if isinstance(python, dict) and python.get("version"):
        facts.append(f"Python {python['version']}")
    if any(facts):
        yield formatting.plain(", ".join(str(fact) for fact in facts if fact))


def rounds_of(folder: Folder) -> Mapping[str, int]:
    """By scenario, in how many Rounds it was measured: with a budget not all in as many."""
    rounds = grouped((run.scenario, run.round) for run in folder.runs)
    return {scenario: len(set(numbers)) for scenario, numbers in rounds.items()}


def _rounds(folder: Folder) -> str:
    """Of how many there are; the fewest and the most where scenarios differ."""
    counts = rounds_of(folder).values()
    least, most = min(counts, default=0), max(counts, default=0)
    every = max(most, folder.plan.rounds or 0)
    of = f" of {every}" if every > most else ""
    if least == most:
        return f"{most}{of} Round{'s' if every != 1 else ''}"
    return f"{least} to {most}{of} Rounds a scenario"


def _legend(summaries: Summaries, all_notes: tuple[Note, ...]) -> str:
    sentences = []
    if any(summary.interval for summary in summaries.by.values()):
        sentences.append("± and [low–high]: the 95 % interval over Rounds.")
    ratios = [summary.ratio for summary in summaries.by.values() if summary.ratio]
    if ratios:
        sentences.append(
            f"x: ratio to {formatting.plain(summaries.reference or '')} within a Round."
        )
        sentences.append("~: that may as well be 1 (its interval contains it).")
        if any(ratio.overloaded for ratio in ratios):
            sentences.append("overloaded: it or the reference did not hold the rate.")
        if any(ratio.interval is None for ratio in ratios):
            sentences.append(f"?: fewer than {MIN_ROUNDS} Rounds, so chance cannot be ruled out.")
    if summaries.yardstick is not None:
        yardstick = formatting.plain(summaries.yardstick)
        sentences.append(f"{yardstick} is the yardstick: the most that this generator can see.")
    if any(note.marked and note.voids for note in all_notes):
        sentences.append("[1!]: what note 1 says forbids comparing a figure of that Cell.")
    return " ".join(sentences)


def _files(path: Path) -> tuple[str, ...]:
    try:
        files = [file.name for file in path.iterdir() if file.is_file()]
    except OSError:
        return ()
    return tuple(sorted(name for name in files if not name.endswith(".part")))


def render(page: Page, path: Path, console: Console) -> None:
    """Print a Page, as wide as the console is."""
    for number, line in enumerate(page.heading):
        console.print(Text(line, style="bold" if number == 0 else "dim"))
    if page.own:  # what a person measures their own application for
        stalls.show(console, page.stalled, more="stalls.csv")
    for stacks in _fitting(page, console.width):
        console.print()
        console.print(_grid(page, stacks))
    console.print()
    if page.legend:
        console.print(Text(page.legend, style="dim"))
    for note in page.notes:
        console.print(hanging(f"[{note.number}] ", note.text()))
    if not page.own:
        stalls.show(console, page.stalled, more="stalls.csv")
    section(console, "What was the limit", page.limits)
    section(console, "Failed requests", page.failures)
    section(console, "What is missing, or could not be read", page.problems)
    console.print()
    console.print(Text(formatting.plain(f"Files in {shown_path(path)}: {', '.join(page.files)}")))


def shown_path(path: Path) -> str:
    """Relative where it is below the working directory, else whole."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path.resolve())


def section(console: Console, title: str, lines: Sequence[str]) -> None:
    """A title and its lines; nothing where there are none."""
    if lines:
        console.print()
        console.print(Text(f"{title}:", style="bold"))
        for line in lines:
            console.print(hanging("- ", formatting.plain(line)))


def _minute(begun: str) -> str:
    """As a person writes it; what is no time, or has no time zone, as it stands there."""
    try:
        at = datetime.fromisoformat(begun)
    except ValueError:
        return begun
    return begun if at.tzinfo is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def hanging(begin: str, text: str) -> Table:
    """Text whose further lines stand under its first word."""
    grid = Table.grid(padding=0)
    grid.add_column(width=len(begin), no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(begin), Text(text))
    return grid


def _label_width(page: Page) -> int:
    titles = [len(block.title) for block in page.blocks]
    labels = [len(line.label) + 2 for block in page.blocks for line in block.lines]
    return max([*titles, *labels], default=0)


def _entries(page: Page, place: int) -> list[str]:
    """One stack's figures, each part of them in a column of its own, in reading order."""
    entries = [line.entries[place] for block in page.blocks for line in block.lines]
    value = max((len(entry.value) for entry in entries), default=0)
    precision = max((len(entry.precision) for entry in entries), default=0)
    return [
        f"{entry.value:>{value}} {entry.precision:<{precision}} {entry.ratio}".rstrip()
        for entry in entries
    ]


def _fitting(page: Page, width: int) -> Iterator[list[int]]:
    """Places of the stacks that fit side by side, at least one at a time."""
    left = width - _label_width(page)
    chosen: list[int] = []
    used = 0
    for place, stack in enumerate(page.stacks):
        cells = [*_entries(page, place), stack, *(block.marks[place] for block in page.blocks)]
        needed = _GAP + max(map(len, cells))
        if chosen and used + needed > left:
            yield chosen
            chosen, used = [], 0
        chosen.append(place)
        used += needed
    if chosen:
        yield chosen


def _grid(page: Page, places: list[int]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=True)
    table.add_column("", no_wrap=True, overflow="fold")
    for place in places:
        name = Text(formatting.plain(page.stacks[place]), style="bold")
        table.add_column(name, no_wrap=True, overflow="fold")
    columns = {place: iter(_entries(page, place)) for place in places}
    for block in page.blocks:
        empty = not any(
            block.marks[place] or any(line.entries[place].value != _NOTHING for line in block.lines)
            for place in places
        )
        if empty:  # what was not offered to these stacks
            for place in places:
                next(islice(columns[place], len(block.lines), len(block.lines)), None)
            continue
        table.add_row(
            Text(formatting.plain(block.title), style="bold"),
            *(Text(block.marks[place], style="yellow") for place in places),
        )
        for line in block.lines:
            table.add_row(
                Text(f"  {line.label}"), *(Text(next(columns[place])) for place in places)
            )
    return table
