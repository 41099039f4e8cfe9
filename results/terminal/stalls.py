"""Who held the loop, as the terminal says it: a line a Cell that has any stall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopbench.results.folder.folder import Folder
from loopbench.results.schema import CAUSES_OF_A_LINE, Cause
from loopbench.results.stats import formatting, stalls

TITLE = "Who held the loop"
MOST = 12
WHOLE = "longer than the window, so its cause was not read"
_GAP = 2


@dataclass(frozen=True, slots=True)
class Stalled:
    """A Cell's stalls. cause: of the longest; where nobody saw that one, also of the longest
    that has a line. place: the line, blank where that tells nothing."""

    cell: str
    longest: str
    count: str
    cause: str
    place: str

    def by(self, room: int) -> str:
        """The cause, and the line in so many characters: of a long path the end is kept."""
        if not self.place:
            return self.cause
        path, _, name = self.place.rpartition("/")
        whole = f"{self.cause}: {self.place}"
        return whole if not path or len(whole) <= room else f"{self.cause}: {name}"


def of_folder(folder: Folder) -> tuple[Stalled, ...]:
    """The Cell with the longest stall first; before them those whose loop was away all the time."""
    whole = [
        Stalled(f"{stack} {scenario}", f"{formatting.digits(ms)} ms", "–", WHOLE, "")
        for (stack, scenario), ms in stalls.all_the_time(folder).items()
    ]
    return (
        *whole,
        *(
            _stalled(stack, scenario, some)
            for (stack, scenario), some in stalls.by_cell(stalls.held(folder)).items()
        ),
    )


def _has_told_line(stall: stalls.Held) -> bool:
    told = stall.cause in CAUSES_OF_A_LINE and stall.cause != Cause.UNKNOWN
    return told and bool(stall.place)


def _stalled(stack: str, scenario: str, some: Sequence[stalls.Held]) -> Stalled:
    longest = some[0]
    told = next((stall for stall in some if _has_told_line(stall)), longest)
    if longest.cause != Cause.UNKNOWN or longest.place:
        told = longest
    cause = stalls.label(told.cause)
    if told is not longest:
        cause = f"{stalls.label(longest.cause)}; of one of {formatting.digits(told.ms)} ms: {cause}"
    return Stalled(
        f"{stack} {scenario}",
        f"{formatting.digits(longest.ms)} ms",
        f"{len(some):,}",
        cause,
        told.place if told.cause in CAUSES_OF_A_LINE else "",
    )


def show(console: Console, cells: Sequence[Stalled], most: int = MOST, more: str = "") -> None:
    """Print the first `most` of them, and how many others there are; nothing where there is none.
    more: where those are."""
    if not cells:
        return
    listed = cells[:most]
    titles = (TITLE, "stalls", "longest")
    columns = [titles, *((stalled.cell, stalled.count, stalled.longest) for stalled in listed)]
    used = sum(max(map(len, column)) + _GAP for column in zip(*columns, strict=True))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_header=True)
    table.add_column(Text(TITLE, style="bold"), overflow="fold")
    for title in titles[1:]:
        table.add_column(Text(title, style="bold"), justify="right", no_wrap=True)
    # Beside the longest, which it is of: the others are mostly by something else.
    table.add_column(Text("its cause", style="bold"), overflow="fold")
    for stalled in listed:
        words = (stalled.cell, stalled.count, stalled.longest, stalled.by(console.width - used))
        table.add_row(*(Text(formatting.plain(text)) for text in words))
    console.print()
    console.print(table)
    rest = len(cells) - len(listed)
    if rest:
        line = f"and {formatting.counted(rest, 'more Cell')}: {more}"
        console.print(Text(line, style="dim"))
