"""Splits in words and figures, the same on the terminal and in the report."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopbench.results.stats import formatting
from loopbench.results.stats.comparisons.framework_split import (
    FRAMEWORK,
    LOOP,
    PARSER,
    Counted,
    Split,
)


@dataclass(frozen=True, slots=True)
class PairWords:
    """A kind of Pair in words. base, other: what the two sides are called in a table."""

    title: str
    base: str
    other: str
    difference: str
    share: str = ""


PAIR_WORDS: dict[str, PairWords] = {
    FRAMEWORK: PairWords(
        "Server and framework",
        "bare ASGI on the server",
        "with the framework",
        "the framework's",
        "of the whole",
    ),
    LOOP: PairWords("Another event loop", "asyncio's loop", "the other loop", "difference"),
    PARSER: PairWords("Another HTTP parser", "h11", "the other parser", "difference"),
}

Cells = tuple[str, ...]


def header(kind: str) -> Cells:
    """Of a table of `row`s."""
    wording = PAIR_WORDS[kind]
    return (
        "scenario", "stack", "less", f"{wording.base}, µs", f"{wording.other}, µs",
        f"{wording.difference}, µs", wording.share and f"{wording.share} [95 %]", "ratio [95 %]",
        "n",
    )  # fmt: skip


def row(split: Split) -> Cells:
    """CPU time a request, both sides and the difference."""
    return (
        split.name,
        split.pair.other,
        split.pair.base,
        formatting.digits(split.base),
        formatting.digits(split.other),
        difference(split),
        "" if split.pair.kind != FRAMEWORK else share(split),
        formatting.ratio(split.ratio, interval=True),
        str(split.ratio.n),
    )


def share(split: Split) -> str:
    """The framework's part of the whole, with its interval; `?` where there is none."""
    ends = split.interval
    between = "?" if ends is None else f"[{100 * ends.low:.1f} to {100 * ends.high:.1f}]"
    return f"{split.share:.1%} {between}"


def difference(split: Split) -> str:
    """`~` before it where it may be chance, `?` behind it where nobody can say."""
    centre = formatting.digits(split.difference)
    marks = {True: centre, False: f"~ {centre}", None: f"{centre} ?"}
    return marks[split.ratio.significant]


def counted_header(kind: str) -> Cells:
    """Of a table of `counted_row`s."""
    wording = PAIR_WORDS[kind]
    return (
        "case", "stack", "less", wording.base, wording.other, wording.difference, "±", wording.share
    )  # fmt: skip


def counted_row(counted: Counted) -> Cells:
    """Instructions a request, both sides and the difference."""
    return (
        counted.case,
        counted.pair.other,
        counted.pair.base,
        formatting.digits(counted.base),
        formatting.digits(counted.other),
        formatting.digits(counted.difference),
        "?" if counted.reach is None else formatting.digits(counted.reach),
        _share(counted),
    )


def _share(counted: Counted) -> str:
    """The framework's part of the whole; of other pairs there is no whole."""
    if counted.pair.kind != FRAMEWORK or not counted.other:
        return ""
    return f"{counted.difference / counted.other:.0%}"


MEANING = (
    "CPU time is the stack's own figure and its ratio to the other one, taken within a Round; the "
    "other side is that figure over the ratio, and the difference what is left. `~`: the ratio's "
    "95 % interval contains 1, so that the difference may be chance; `?`: too few Rounds for an "
    "interval. Of instructions, ± is the range of both sides' counts together; `?`: one of them "
    "was counted once."
)


def lines(splits: Sequence[Split], counts: Sequence[Counted]) -> Iterator[str]:
    """The tables of a terminal."""
    for kind, wording in PAIR_WORDS.items():
        timed = [split for split in splits if split.pair.kind == kind]
        if timed:
            yield from _timed(kind, timed)
            yield ""
        counted = [count for count in counts if count.pair.kind == kind]
        if counted:
            yield f"{wording.title}: instructions a request"
            yield from _aligned((counted_header(kind), *map(counted_row, counted)))
            yield ""
    yield from textwrap.wrap(MEANING.replace("`", ""), WIDTH)
    codes = dict.fromkeys(code for split in splits for code in split.codes)
    if codes:
        yield f"Warnings on either side: {', '.join(codes)}; `python -m results show` explains them"


def _timed(kind: str, splits: Sequence[Split]) -> Iterator[str]:
    """What is the same in every row, scenario and Rounds, stands in the title."""
    names, rounds = {split.name for split in splits}, {split.ratio.n for split in splits}
    title = f"{PAIR_WORDS[kind].title}: CPU time a request"
    title += f" in {splits[0].name}" if len(names) == 1 else ""
    title += f", {splits[0].ratio.n} Rounds" if len(rounds) == 1 else ""
    yield title
    first = 1 if len(names) == 1 else 0
    last = -1 if len(rounds) == 1 else None
    rows = (header(kind), *map(row, splits))
    yield from _aligned([cells[first:last] for cells in rows], _NAMES - first)


_NAMES = 3
WIDTH = 98


def _aligned(rows: Iterable[Cells], names: int = _NAMES) -> Iterator[str]:
    """The first row in lines, since titles are longer than what is below them."""
    header, *figures = rows
    columns = list(zip(*figures, strict=True))
    wrapped = [
        textwrap.wrap(title, max(1, *map(len, (*title.split(), *column))), break_on_hyphens=False)
        for title, column in zip(header, columns, strict=True)
    ]
    depth = max(map(len, wrapped))
    titles = zip(*([*[""] * (depth - len(some)), *some] for some in wrapped), strict=True)
    every = [*titles, *figures]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    for cells in every:
        padded = (
            cell.ljust(width) if place < names else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        yield f"  {'  '.join(padded)}".rstrip()
