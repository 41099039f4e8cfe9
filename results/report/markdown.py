"""The report as Markdown, for a pull request: the same sections, with tables for pictures."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from loopbench.results.report.blocks import (
    Bullets,
    Code,
    Drawing,
    Heading,
    Link,
    Part,
    Plot,
    Span,
    Table,
    Text,
    Words,
)
from loopbench.results.report.document import Document

_SPECIAL = re.compile(r"([\\`*_\[\]#|~$]|:(?=//))")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_NAME = re.compile(r"\w[\w .,:;()=+*/'\"-]*")
"""What may stay Code inside text from rows: nothing that a table or a link is made of."""

_BEGINS_A_BLOCK = re.compile(r"^(\d*)([-+=]|[.)](?=\s|$))")


def render(document: Document) -> str:
    """The whole page. Text from rows stays text: no markup, no line of its own."""
    lines = [f"# Report of {escaped(document.title)}", ""]
    lines += [f"{escaped(fact)}\n" for fact in document.facts]
    for place, section in enumerate(document.sections):
        lines += [f'<a id="{section.anchor}"></a>', "", f"## {section.title}", ""]
        for part in section.parts:
            lines += [*_part(part), ""]
        if place == 0 and document.questions:
            lines += [*_questions(document), ""]
    if document.missing:
        lines += ["## Not in this run", ""]
        lines += [f"- {_words(needed)}" for needed in document.missing]
    return "\n".join(lines).rstrip() + "\n"


def _questions(document: Document) -> Iterator[str]:
    yield f"## {document.asked}"
    yield ""
    for number, question in enumerate(document.questions, start=1):
        more = f" ([more](#{question.anchor}))" if question.anchor else ""
        answer = " ".join(_words(part) for part in (question.line, question.source) if part)
        yield f"{number}. **{question.text}** {answer}{more}"
        if question.table is not None or question.details:
            yield ""
            details = (f"- {_words(detail)}" for detail in question.details)
            below = (
                _folded("Details", details) if question.table is None else _table(question.table)
            )
            yield from (f"   {line}".rstrip() for line in below)
            yield ""


def _folded(summary: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (f"<details><summary>{summary}</summary>", "", *lines, "", "</details>")


def _part(part: Part) -> Iterator[str]:
    match part:
        case Text(spans, strong):
            yield f"**{_words(spans)}**" if strong else _words(spans)
        case Bullets(items, numbered):
            for number, item in enumerate(items, start=1):
                yield f"{f'{number}.' if numbered else '-'} {_words(item)}"
        case Heading(text):
            yield f"### {escaped(text)}"
        case Table():
            yield from _table(part)
        case Plot() | Drawing():
            yield f"*{escaped(part.title)}.* {escaped(part.caption)}"
            yield ""
            yield from _table(part.table)


MOST_FOLDED = 40
"""Rows of a folded table: a comment on a pull request has 65,536 characters."""


def _table(table: Table) -> Iterator[str]:
    if table.folded and len(table.rows) > MOST_FOLDED:
        yield f"{escaped(table.title)}: {len(table.rows)} rows, in report.html."
        return
    rule = ("---|" if place < table.names else "--:|" for place in range(len(table.header)))
    lines = (_row(table.header), f"|{''.join(rule)}", *map(_row, table.rows))
    if table.folded:
        yield from _folded(one_line(table.title).translate(_ENTITIES), lines)
    else:
        yield from (f"{escaped(table.title)}:", "", *lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _words(spans: Words) -> str:
    """Spans as the beginning of a block, which nothing in them may turn into another kind."""
    return _BEGINS_A_BLOCK.sub(r"\1\\\2", "".join(map(_span, spans)).strip())


def _span(span: Span) -> str:
    match span:
        case Code(text):
            return code(text)
        case Link(text, anchor):
            return f"[{escaped(text)}](#{anchor})"
        case _:
            return escaped(span)


def code(text: str) -> str:
    """As Code: between more backticks than stand in a row inside it."""
    text = one_line(text)
    runs = [len(run) for run in re.findall("`+", text)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def escaped(text: str) -> str:
    """Text as Markdown shows it again: every sign that could mean something is escaped.

    What stands between a pair of backticks, and is a name or a piece of code of one line, stays
    Code.
    """
    pieces = one_line(text).split("`")
    if len(pieces) % 2 == 0 or not all(map(_NAME.fullmatch, pieces[1::2])):
        return _escaped("`".join(pieces))
    return "".join(
        f"`{piece}`" if place % 2 else _escaped(piece) for place, piece in enumerate(pieces)
    )


def literal(text: str) -> str:
    """Text from rows that nobody of this project wrote: not even a name in it becomes Code."""
    return _escaped(one_line(text))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text.translate(_ENTITIES))


def one_line(text: str) -> str:
    """Without line breaks and other control characters, which begin new blocks."""
    return "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in str(text))
