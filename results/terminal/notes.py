"""Numbered notes: each Warning of a folder once, in words, with the Cells that it is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.folder.scenarios import facts_by_load, names_of
from loopbench.results.grouping import grouped
from loopbench.results.schema.warnings import WORDING, wording
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries
from loopbench.results.stats.summaries.warned import Warning  # noqa: A004  the project's noun

MOST_CELLS = 6
MOST_FAILURES = 8
NEARLY_ALL = 0.8
"""A mark that so large a share of the Cells carries tells none of them from the others."""


@dataclass(frozen=True, slots=True)
class Note:
    """One code. cells: where, with in how many Rounds. names: what the Cells are called.

    of: how many Cells there are.
    """

    number: int
    code: str
    cells: tuple[tuple[Cell, Warning], ...]
    names: tuple[str, ...]
    of: int

    @property
    def everywhere(self) -> bool:
        """Whether it is about every Cell of several."""
        return len(self.cells) == self.of > 1

    @property
    def voids(self) -> bool:
        """Whether it forbids comparing the figures of any Cell."""
        return any(warning.voids() for _, warning in self.cells)

    @property
    def marked(self) -> bool:
        """Whether Cells carry its number. A note about nearly all of them, or one that hardly
        changes a figure, says once for all where it applies; not where it forbids comparing the
        figures of some of them alone."""
        alike = len({warning.voids() for _, warning in self.cells}) == 1
        if (self.everywhere and alike) or wording(self.code).minor:
            return False
        return wording(self.code).disqualifies or len(self.cells) < NEARLY_ALL * self.of

    @property
    def mark(self) -> str:
        """How it is referred to."""
        return self._mark(self.voids)

    def mark_at(self, *cells: Cell) -> str:
        """What stands at these Cells: nothing where it is about none of them, and `!` where it
        forbids comparing one's figures."""
        about = [warning for cell, warning in self.cells if cell in cells]
        if not self.marked or not about:
            return ""
        return self._mark(any(warning.voids() for warning in about))

    def stands_in(self, marks: str) -> bool:
        """Whether these marks have its number."""
        return any(self._mark(voids) in marks for voids in (True, False))

    def _mark(self, voids: bool) -> str:
        return f"[{self.number}{'!' if voids else ''}]"

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
        if self.everywhere and not self.marked:
            return "every Cell, in some of the Rounds"
        if not self.marked and len(self.cells) >= NEARLY_ALL * self.of > NEARLY_ALL:
            return f"nearly every Cell ({len(self.cells)} of {self.of})"
        places = zip(self.names, self.cells, strict=True)
        return formatting.listed(
            (formatting.plain(name) + _rounds(warning) for name, (_, warning) in places), MOST_CELLS
        )


def _rounds(warning: Warning) -> str:
    """In how many Rounds, where it is not all of them."""
    if warning.rounds == warning.of:
        return ""
    return f" ({warning.rounds} of {warning.of} Rounds)"


def notes(summaries: Summaries) -> tuple[Note, ...]:
    """One Note a code, in the order of the wording's table, unknown codes last."""
    by_code = grouped(
        (warning.code, (cell, warning))
        for cell, listed in summaries.cells.items()
        for warning in listed
    )
    places = {str(code): place for place, code in enumerate(WORDING)}
    codes = sorted(by_code, key=lambda code: (places.get(code, len(places)), code))
    return tuple(
        Note(
            number,
            code,
            tuple(by_code[code]),
            tuple(summaries.name(cell) for cell, _ in by_code[code]),
            len(summaries.cells),
        )
        for number, code in enumerate(codes, start=1)
    )


def marks(all_notes: tuple[Note, ...], *cells: Cell) -> str:
    """The numbers to print at a Cell, or at several, with `!` where the note forbids comparing a
    figure of them."""
    return "".join(note.mark_at(*cells) for note in all_notes)


def failure_lines(folder: Folder) -> Iterator[str]:
    """Why requests failed, the most frequent reasons first."""
    names = names_of(facts_by_load(folder.runs))
    cells = {(run.run_id, run.load): run.cell for run in folder.runs}
    requests: defaultdict[Cell, float] = defaultdict(float)
    for run in folder.runs:
        requests[run.cell] += run.number("requests") or 0
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
