"""Section: who held the loop: the longest stalls, and the sum by cause."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from loopbench.results.report.blocks import Part, paragraph, table
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting, stalls

MOST = 10


def parts(material: Material) -> Iterator[Part]:
    """Nothing where no stall was told, and no loop was away for a whole window."""
    held = stalls.held(material.folder)
    whole = stalls.all_the_time(material.folder)
    if whole:
        away = formatting.listed(
            formatting.plain(f"{stack} in {scenario} ({formatting.digits(ms)} ms)")
            for (stack, scenario), ms in whole.items()
        )
        yield paragraph(
            "For as long as the window, or longer, a loop returned to no other request on "
            f"{away}. Such a stretch has no row in `stalls.csv`, and its cause was not read.",
        )
    if not held:
        return
    yield paragraph(
        "A stall is a stretch in which a server's loop returned to no other request for longer "
        "than the threshold, 5 ms unless set otherwise. A thread beside the loop looked at it "
        "meanwhile: the place is the innermost line outside Python's standard library, and the "
        "cause is told by CPU time, the interpreter's lock, system calls and the collector. All of "
        "them are in `stalls.csv`.",
    )
    yield table(
        f"The longest {min(MOST, len(held))} of {len(held):,} stalls",
        ("scenario", "stack", "cause", "place", "route", "task", "told by", "ms"),
        (
            (
                stall.scenario,
                stall.stack,
                stalls.label(stall.cause),
                stall.place or "–",
                str(stall.row["route"] or "–"),
                str(stall.row["task"] or "–"),
                str(stall.row["detail"]),
                formatting.digits(stall.ms),
            )
            for stall in stalls.longest(held, MOST)
        ),
        names=7,
    )
    yield table(
        "All stalls by cause",
        ("cause", "told most often by", "stalls", "ms in all", "longest ms"),
        (
            (
                stalls.words(cause),
                _usual(some),
                f"{len(some):,}",
                formatting.digits(sum(stall.ms for stall in some)),
                formatting.digits(max(stall.ms for stall in some)),
            )
            for cause, some in stalls.by_cause(held).items()
        ),
        names=2,
    )


_NUMBER = re.compile(r"\d[\d.,]*")


def _usual(held: Sequence[stalls.Held]) -> str:
    """The detail that most of them have, without its figures, and how many have it."""
    details = Counter(_NUMBER.sub("…", str(stall.row["detail"])) for stall in held)
    detail, count = details.most_common(1)[0]
    return detail if count == len(held) else f"{detail} ({count:,} of {len(held):,})"
