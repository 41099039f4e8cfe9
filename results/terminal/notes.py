"""Numbered notes: each Warning of a folder once, in words, with the Cells that it is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.folder.scenarios import facts_by_load, names_of
from loopbench.results.schema.warnings import WORDING, Warning, wording  # noqa: A004  the project's noun
from loopbench.results.stats import formatting
from loopbench.results.stats.summary import Cell, Summaries

MOST_CELLS = 6
MOST_FAILURES = 8


@dataclass(frozen=True, slots=True)
class Note:
    """One code. cells: where, with in how many Rounds; everywhere: that is every Cell.

    names: what the Cells are called.
    """

    number: int
    code: str
    cells: tuple[tuple[Cell, Warning], ...]
    everywhere: bool
    names: tuple[str, ...]

    def text(self) -> str:
        """What happened, what it means, what to do, and where."""
        words = wording(self.code)
        return (
            f"{formatting.plain(self.code)}: {words.happened}. It means: {words.means}. "
            f"What to do: {words.do}. Where: {self.where()}."
        )

    def where(self) -> str:
        """The Cells, with the number of Rounds where it is not all of them."""
        rounds = {_rounds(warning) for _, warning in self.cells}
        if self.everywhere and len(rounds) == 1:
            return f"every Cell{rounds.pop()}"
        places = zip(self.names, self.cells, strict=True)
        return formatting.listed(
            (formatting.plain(name) + _rounds(warning) for name, (_, warning) in places),
            MOST_CELLS,
        )


def _rounds(warning: Warning) -> str:
    """In how many Rounds, where it is not all of them."""
    if warning.rounds == warning.of:
        return ""
    return f" ({warning.rounds} of {warning.of} Rounds)"


def notes(summaries: Summaries) -> tuple[Note, ...]:
    """One Note a code, in the order of the wording's table, unknown codes last."""
    found: defaultdict[str, list[tuple[Cell, Warning]]] = defaultdict(list)
    for cell, listed in summaries.cells.items():
        for warning in listed:
            found[warning.code].append((cell, warning))
    places = {str(code): place for place, code in enumerate(WORDING)}
    codes = sorted(found, key=lambda code: (places.get(code, len(places)), code))
    return tuple(
        Note(
            number,
            code,
            tuple(found[code]),
            len(found[code]) == len(summaries.cells) > 1,
            tuple(summaries.name(cell) for cell, _ in found[code]),
        )
        for number, code in enumerate(codes, start=1)
    )


def marks(found: tuple[Note, ...], cell: Cell) -> str:
    """The numbers to print at a Cell. A note about every Cell needs none."""
    return "".join(
        f"[{note.number}]"
        for note in found
        if not note.everywhere and any(cell == about for about, _ in note.cells)
    )


def failure_lines(folder: Folder) -> Iterator[str]:
    """Why requests failed, the most frequent reasons first."""
    names = names_of(facts_by_load(folder.runs))
    cells = {(run.run_id, run.load): (run.stack, run.scenario, run.load) for run in folder.runs}
    requests: defaultdict[Cell, float] = defaultdict(float)
    for run in folder.runs:
        requests[run.stack, run.scenario, run.load] += run.number("requests") or 0
    counts: defaultdict[tuple[Cell, str], int] = defaultdict(int)
    for row in folder.failures:
        cell = cells.get((str(row["run_id"]), str(row["load"])))
        count = row["count"]
        if cell is not None and isinstance(count, int):
            counts[cell, str(row["reason"])] += count
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for (cell, reason), count in most[:MOST_FAILURES]:
        place = formatting.plain(f"{cell[0]} {names[cell[1:]]}")
        yield f"{place}: {reason}, {count:,} of {requests[cell]:,.0f} requests"
    if len(most) > MOST_FAILURES:
        yield f"{len(most) - MOST_FAILURES} more reasons are in failures.csv"
