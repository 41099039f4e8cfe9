"""What `compare` prints: first what was not the same, then a verdict a Cell and metric."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table
from rich.text import Text

from results import figures
from results.compare import BY_CHANCE, Comparison, Difference, Verdict
from results.folder import Folder
from results.notes import cell_name
from results.table import hanging, section, shown_path

MOST_DIFFERENCES = 20
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
    console: Console,
) -> None:
    """Print the Comparisons of two folders."""
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
    console.print(_grid(compared))
    console.print()
    console.print(Text(_closing(compared), style="dim"))
    for folder in (first, second):
        problems = [str(problem) for problem in folder.problems]
        section(console, f"What could not be read in {shown_path(folder.path)}", problems)


def difference_lines(differ: Sequence[Difference]) -> Iterator[str]:
    """A line a difference, up to a bound."""
    for difference in differ[:MOST_DIFFERENCES]:
        before, after = (
            "not known" if value is None else value
            for value in (difference.before, difference.after)
        )
        yield figures.plain(f"{difference.what}: {before} in the first, {after} in the second")
    if len(differ) > MOST_DIFFERENCES:
        yield f"{len(differ) - MOST_DIFFERENCES} more"


def _grid(compared: Sequence[Comparison]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True, overflow="fold")
    for heading in ("first", "second", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("95 % interval", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for cell, rows in groupby(compared, key=lambda row: row.cell):
        table.add_row(Text(cell_name(cell), style="bold"))
        for row in rows:
            table.add_row(*_cells(row))
    return table


def _cells(row: Comparison) -> Iterator[Text]:
    yield Text(f"  {figures.label(row.metric)}")
    for value in (row.before, row.after):
        yield Text(_NOTHING if value is None else figures.figure(row.metric, value))
    yield Text(_NOTHING if row.ratio is None else f"{figures.digits(row.ratio)}x")
    yield Text(_NOTHING if row.interval is None else figures.between(row.interval))
    said = f"{row.verdict}: {row.reason}" if row.reason else str(row.verdict)
    yield Text(figures.plain(said), style=_STYLES.get(row.verdict, ""))


def _closing(compared: Sequence[Comparison]) -> str:
    counts = Counter(row.verdict for row in compared)
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return (
        f"{said}. Ratio: second over first. ~: the interval contains 1. One verdict in "
        f"{BY_CHANCE} differs by chance alone, and the intervals hold the differences between "
        "Rounds only, not those between two occasions: confirm a small difference by measuring "
        "both sides in one run."
    )
