"""Stalls of a folder: by Cell, the longest, and sums by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from loopbench.results.folder.folder import Folder
from loopbench.results.schema import CAUSE_WORDS, Row
from loopbench.results.stats import formatting

MOST_LINES = 12
WIDTH = 98
"""A terminal's 100 columns, without the bullet."""


@dataclass(frozen=True, slots=True)
class Held:
    """One stall, with the Cell that it belongs to. row: as in stalls.csv."""

    stack: str
    scenario: str
    row: Row

    @property
    def ms(self) -> float:
        """How long it lasted."""
        return float(self.row["duration_ms"] or 0.0)

    @property
    def cause(self) -> str:
        """A code of Cause, or of a newer version."""
        return str(self.row["cause"])

    @property
    def place(self) -> str:
        """File, line and function; blank where no frame was seen."""
        row = self.row
        if row["file"] is None:
            return ""
        return formatting.plain(f"{row['file']}:{row['line']} {row['function']}")


def words(cause: str) -> str:
    """A cause for a reader; its code where this version does not know it."""
    known = {one.value: text for one, text in CAUSE_WORDS.items()}
    return known.get(cause, cause)


def held(folder: Folder) -> tuple[Held, ...]:
    """Every stall of a Run that has a row in runs.csv."""
    runs = {run.run_id: run for run in folder.runs}
    return tuple(
        Held(runs[run_id].stack, runs[run_id].scenario, row)
        for row in folder.stalls
        if (run_id := str(row["run_id"])) in runs
    )


def longest(stalls: Iterable[Held], most: int) -> list[Held]:
    """The longest, the longest first."""
    return sorted(stalls, key=lambda one: (-one.ms, one.stack, one.scenario))[:most]


def by_cause(stalls: Iterable[Held]) -> dict[str, list[Held]]:
    """The stalls of each cause; the cause with the most time first."""
    found: defaultdict[str, list[Held]] = defaultdict(list)
    for one in stalls:
        found[one.cause].append(one)
    return dict(sorted(found.items(), key=lambda item: (-sum(s.ms for s in item[1]), item[0])))


def lines(folder: Folder) -> tuple[str, ...]:
    """One or two lines of a terminal a Cell that has any stall, the one with the longest first."""
    cells: defaultdict[tuple[str, str], list[Held]] = defaultdict(list)
    for one in longest(held(folder), len(folder.stalls)):
        cells[one.stack, one.scenario].append(one)
    told = list(islice(_told(cells), MOST_LINES))
    rest = len(cells) - len(told)
    return (*told, *((f"and {rest} more Cells: see stalls.csv",) if rest else ()))


def _told(cells: dict[tuple[str, str], list[Held]]) -> Iterator[str]:
    for (stack, scenario), stalls in cells.items():
        first = stalls[0]
        count = f"{len(stalls)} stall{'s' if len(stalls) != 1 else ''}"
        total = sum(one.ms for one in stalls)
        said = (
            f"{stack} in {scenario}: {count}, {formatting.digits(total)} ms in all; the longest "
            f"{formatting.digits(first.ms)} ms"
        )
        cause, _, _ = words(first.cause).partition(";")
        if not first.place:
            yield f"{said}: {cause}"
            continue
        where = f"at {_end(first.place, WIDTH - len(f'at : {cause}'))}: {cause}"
        between = " " if len(said) + len(where) < WIDTH else "\n"
        yield f"{said}{between}{where}"


def _end(place: str, most: int) -> str:
    """The end of a path says more than its beginning."""
    return place if len(place) <= most else f"…{place[1 - most :]}"
