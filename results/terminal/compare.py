"""What `compare` prints: first what was not the same, then a verdict a Cell and metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from loopbench.results.folder.folder import Folder
from loopbench.results.folder.scenarios import facts_by_load, names_of
from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons.compare import BY_CHANCE, Comparison, Difference, Verdict
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.terminal.table import hanging, section, shown_path

MOST_DIFFERENCES = 20
MOST_ROWS = 40
"""In a longer table only what is not `~` is listed."""

_NOTHING = "–"
_STYLES = {
    Verdict.FASTER: "green",
    Verdict.SLOWER: "red",
    Verdict.LESS: "green",
    Verdict.MORE: "red",
    Verdict.CANNOT_TELL: "yellow",
}


def render(
    first: Folder,
    second: Folder,
    compared: Sequence[Comparison],
    differ: Sequence[Difference],
    only: Mapping[str, Sequence[Cell]],
    otherwise: Sequence[Difference],
    console: Console,
    *,
    every: bool = False,
) -> None:
    """Print the Comparisons of two folders. only: Cells that one of them lacks. otherwise: what
    the stacks did in another way. every: list all rows, however many."""
    loads = names_of({**facts_by_load(second.runs), **facts_by_load(first.runs)})
    kinds = {run.where: run.load_model for run in (*second.runs, *first.runs)}

    def cell_name(cell: Cell) -> str:
        return formatting.plain(f"{cell[0]} {loads[cell[1:]]}")

    console.print(Text(f"first:  {shown_path(first.path)}", style="bold"))
    console.print(Text(f"second: {shown_path(second.path)}", style="bold"))
    if differ:
        console.print()
        title = "WARNING: the two were not measured under the same conditions."
        console.print(Text(f"{title} What differs:", style="bold red"))
        for line in difference_lines(differ):
            console.print(hanging("- ", line))
        console.print(Text("A verdict below may be about these as much as about the stacks."))
    console.print()
    listed = compared
    if len(compared) > MOST_ROWS and not every:
        listed = [row for row in compared if row.verdict is not Verdict.SAME]
    reasons = sorted({note for row in listed if (note := row.reason or row.remarks)})
    rows = [_row(row, reasons, kinds[row.cell[1:]]) for row in listed]
    for text in _lines(listed, rows, cell_name):
        console.print(text)
    console.print()
    if len(listed) < len(compared):
        rest = f"{len(compared) - len(listed)} of {len(compared)} figures are not listed: "
        console.print(Text(f"{rest}they may as well be the same. --all lists every figure."))
    for number, reason in enumerate(reasons, start=1):
        console.print(hanging(f"[{number}] ", formatting.plain(reason)))
    if otherwise:
        console.print(Text("Other differences between the stacks:", style="bold"))
        for line in difference_lines(otherwise):
            console.print(hanging("- ", line))
        console.print()
    for where, names in only.items():
        if names:
            console.print(
                Text(f"Only in the {where}: {formatting.listed(map(cell_name, names), 8)}.")
            )
    console.print(Text(_closing(compared), style="dim"))
    for folder in (first, second):
        problems = [str(problem) for problem in folder.problems]
        section(
            console, f"What is missing in {shown_path(folder.path)}, or could not be read", problems
        )


def difference_lines(differ: Sequence[Difference]) -> Iterator[str]:
    """A line a difference, up to a bound."""
    for difference in differ[:MOST_DIFFERENCES]:
        before, after = (
            "not known" if value is None else value
            for value in (difference.before, difference.after)
        )
        yield formatting.plain(f"{difference.what}: {before} in the first, {after} in the second")
    if len(differ) > MOST_DIFFERENCES:
        yield f"{len(differ) - MOST_DIFFERENCES} more"


def _lines(
    compared: Sequence[Comparison],
    rows: Sequence[tuple[str, ...]],
    cell_name: Callable[[Cell], str],
) -> Iterator[Text]:
    """A title a Cell, and under it a line a metric in columns of equal width."""
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    yield _line(_HEADINGS, widths, "bold")
    for cell, group in groupby(zip(compared, rows, strict=True), key=lambda pair: pair[0].cell):
        yield Text(cell_name(cell), style="bold")
        for row, cells in group:
            yield _line(cells, widths, _STYLES.get(row.verdict, ""))


_HEADINGS = ("", "first", "second", "ratio", "95 % interval", "verdict")


def _row(row: Comparison, reasons: Sequence[str], kind: str) -> tuple[str, ...]:
    """A cell for each of the headings. kind: of the load, which calls its figures its own names."""
    note = row.reason or row.remarks
    before, after = (
        _NOTHING if value is None else formatting.figure(row.metric, value)
        for value in (row.before, row.after)
    )
    return (
        f"  {formatting.label_of_kind(row.metric, kind)}",
        before,
        after,
        _NOTHING if row.ratio is None else f"{formatting.digits(row.ratio)}x",
        _NOTHING if row.interval is None else formatting.between(row.interval),
        f"{row.verdict} [{reasons.index(note) + 1}]" if note else row.verdict,
    )


def _line(row: Sequence[str], widths: Sequence[int], style: str) -> Text:
    label, *numbers, verdict = row
    cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True)]
    return Text("  ".join([f"{label:<{widths[0]}}", *cells])).append(f"  {verdict}", style)


def _closing(compared: Sequence[Comparison]) -> str:
    counts = Counter(row.verdict for row in compared)
    tally = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    if set(counts) == {Verdict.CANNOT_TELL}:
        return f"Verdicts: {tally}. Ratio: second over first."
    return (
        f"Verdicts: {tally}. Ratio: second over first. ~: the interval contains 1, or all are "
        f"zero. One in {BY_CHANCE} differs by chance alone, and the intervals hold the differences "
        "between Rounds only, not those between two occasions: confirm a small difference by "
        "measuring both sides in one run."
    )
