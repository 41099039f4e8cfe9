"""Stalls of a folder: the longest, and those of each Cell and cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.grouping import grouped
from loopbench.results.schema import CAUSE_WORDS, Row
from loopbench.results.stats import formatting


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
    return CAUSE_WORDS.get(cause, ("", cause))[1]


def label(cause: str) -> str:
    """The same in few words."""
    return CAUSE_WORDS.get(cause, (cause,))[0]


def held(folder: Folder) -> tuple[Held, ...]:
    """Every stall of a Run that has a row in runs.csv."""
    runs = {run.run_id: run for run in folder.runs}
    return tuple(
        Held(runs[run_id].stack, runs[run_id].scenario, row)
        for row in folder.stalls
        if (run_id := str(row["run_id"])) in runs
    )


def all_the_time(folder: Folder) -> dict[tuple[str, str], float]:
    """In ms, of each stack and scenario, the longest stretch that a loop was away from its
    selector, where it was as long as the window. Such a stretch has no row in stalls.csv, which
    has those that begin and end in the window."""
    stretches_ms: dict[tuple[str, str], float] = {}
    for run in folder.runs:
        ms = run.number("loop_longest_stretch_ms")
        window_s = run.number("watched_s") or run.number("measured_s")
        if ms is not None and window_s is not None and ms >= window_s * 1000:
            where = run.stack, run.scenario
            stretches_ms[where] = max(ms, stretches_ms.get(where, 0.0))
    return dict(sorted(stretches_ms.items(), key=lambda item: -item[1]))


def longest(stalls: Iterable[Held], most: int) -> list[Held]:
    """The longest, the longest first."""
    return sorted(stalls, key=_length)[:most]


def _length(stall: Held) -> tuple[float, str, str]:
    """Sorts the longest to the front, and stalls of equal length by their Cells."""
    return -stall.ms, stall.stack, stall.scenario


def by_cell(stalls: Iterable[Held]) -> dict[tuple[str, str], list[Held]]:
    """The stalls of each stack and scenario, the longest first; the Cell with the longest first."""
    return grouped(((stall.stack, stall.scenario), stall) for stall in sorted(stalls, key=_length))


def by_cause(stalls: Iterable[Held]) -> dict[str, list[Held]]:
    """The stalls of each cause; the cause with the most time first."""
    causes = grouped((stall.cause, stall) for stall in stalls)
    return dict(sorted(causes.items(), key=lambda item: (-sum(s.ms for s in item[1]), item[0])))
