"""What a report consists of: text, tables and plots as values, before any format.

Text from rows is held as plain `str` all the way; only the writers of a format
escape it, so that it never becomes markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from loopbench.results.report.looks import Look


@dataclass(frozen=True, slots=True)
class Code:
    """A piece of text to be typed, or a name from the rows."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of text that leads to a section of the same report."""

    text: str
    anchor: str


Span = str | Code | Link
Words = tuple[Span, ...]


def words(text: str) -> Words:
    """Our own wording: what stands between backticks is Code. Never for text from rows."""
    pieces = text.split("`")
    return tuple(Code(piece) if place % 2 else piece for place, piece in enumerate(pieces) if piece)


def joined(pieces: Iterable[Words], between: str = " ") -> Words:
    """Several pieces in one, with something between them."""
    spans: list[Span] = []
    for piece in pieces:
        if spans and piece:
            spans.append(between)
        spans += piece
    return tuple(spans)


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. strong: to be read first."""

    words: Words
    strong: bool = False


def paragraph(text: str) -> Text:
    """Our own wording, see `words`."""
    return Text(words(text))


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list; numbered where its numbers are referred to."""

    items: tuple[Words, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section; a Plot brings its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text. The first `names` columns are text, those after them figures.

    folded: shown only when asked for, since it is long.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a Plot: its title, its height, and what draws it.

    height: where the width is that of every panel (`charts.svg.WIDTH`). draw: makes what is inside
    its <svg> element, all text escaped. attributes: of that element, for the page's script.
    scenario: by which it can be chosen; blank where it shows several or none.
    """

    title: str
    height: float
    draw: Callable[[], str]
    attributes: Mapping[str, str] = field(default_factory=dict)
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: a look, and what it stands for."""

    look: Look
    text: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Panels that share a legend. caption: what to see. The numbers stand in `table`.

    abreast: how many panels are side by side where there is room.
    """

    title: str
    caption: str
    panels: tuple[Panel, ...]
    keys: tuple[Key, ...]
    table: Table
    abreast: int = 3


@dataclass(frozen=True, slots=True)
class Drawing:
    """A wide picture that is drawn as SVG itself. caption: what to see. The numbers stand in
    `table`.

    draw: makes the <svg> element, all of its text escaped, given what its ids begin with.
    folded: shown only when asked for.
    """

    title: str
    caption: str
    draw: Callable[[str], str]
    table: Table
    folded: bool = False


def pictured(
    title: str,
    caption: str,
    panels: Iterable[Panel],
    keys: tuple[Key, ...],
    table: Table,
    *,
    abreast: int = 3,
) -> Iterator[Plot | Table]:
    """A Plot; the table alone where there is nothing to draw, and nothing where it is empty."""
    every = tuple(panels)
    if every:
        yield Plot(title, caption, every, keys, table, abreast)
    elif table.rows:
        yield table


Part = Text | Bullets | Heading | Table | Plot | Drawing


@dataclass(frozen=True, slots=True)
class Made:
    """A section as it is written down."""

    anchor: str
    title: str
    parts: tuple[Part, ...]


def table(
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    names: int = 1,
    folded: bool = False,
) -> Table:
    """A Table without the columns of figures that are blank in every row."""
    every = [tuple(row) for row in rows]
    kept = [
        place
        for place in range(len(header))
        if place < names or any(row[place] not in ("", "–") for row in every)
    ]
    return Table(
        title,
        tuple(header[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in every),
        names,
        folded,
    )
