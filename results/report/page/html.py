"""The report as one HTML page that needs nothing beside itself.

Everything can be read without the page's script, which sorts, filters and chooses. A content
security policy names style and script by their hashes, so that nothing else can run or be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loopbench.results.report.blocks import Code, Drawing, Key, Link, Panel, Span, Table, Words
from loopbench.results.report.charts import style, svg
from loopbench.results.report.document import Document

_TEMPLATES = Path(__file__).resolve().parent


def render(document: Document) -> str:
    """The whole page. All text is escaped; only what `charts` makes goes in as it is."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.tests |= {
        "code": lambda span: isinstance(span, Code),
        "link": lambda span: isinstance(span, Link),
    }
    numbers = count(1)
    environment.globals |= {
        "kind": lambda part: type(part).__name__,
        "drawn": _drawn,
        "sketched": _sketched,
        "swatch": _swatch,
        "columns": _columns,
        "next_number": lambda: next(numbers),
        "about": _about(document),
    }
    rules, script = _styles(), _text("page.js")
    return environment.get_template("page.html").render(
        document=document,
        policy=policy(rules, script),
        style=Markup(rules),
        script=Markup(script),
        hatches=Markup(svg.HATCHES),
    )


def _about(document: Document) -> Callable[[Words], Markup]:
    """What gives a sentence its attribute: which stacks (s) and scenarios (k) of the page it names,
    by their places, so that it is hidden with them. A name inside a longer one does not count."""
    stacks = {key.text: f"s{place}" for place, key in enumerate(document.stacks)}
    places = {name: f"k{place}" for place, name in enumerate(document.scenarios)} | stacks
    longest_first = sorted(filter(None, places), key=len, reverse=True)
    names = "|".join(map(re.escape, longest_first))
    pattern = re.compile(rf"(?<![\w./-])(?:{names})(?![\w-]|\.\w)")

    def about(words: Words) -> Markup:
        texts = (span if isinstance(span, str) else span.text for span in words if _speaks(span))
        text = " ".join(texts)
        named = dict.fromkeys(places[name] for name in pattern.findall(text)) if names else {}
        return Markup(f' data-about="{" ".join(named)}"') if named else Markup("")

    return about


def _speaks(span: Span) -> bool:
    """Whether a name in it is what the sentence is about: a command may name any."""
    return not isinstance(span, Code) or " " not in span.text


def policy(rules: str, script: str) -> str:
    """The content security policy of a page with this style and this script."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(rules)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _styles() -> str:
    """The style sheet with the colours of stacks, which pictures outside of pages have too."""
    light, dark = (f":root{{{style.colours(theme)}}}" for theme in (0, 1))
    screen = f"@media screen and (prefers-color-scheme:dark){{{dark}}}"
    return f"{_text('page.css')}{style.SHEET}{light}{screen}{style.RULES}\n"


_LONG = 32
_BREAKABLE = 24
_ONE_WORD = 12


def _breakable(text: str) -> Markup:
    """A long name may go on in the next line after a dot, a slash or an underscore; a number with
    decimals may not."""
    safe = escape(text)
    if len(text) < _BREAKABLE:
        return safe
    return Markup(re.sub(r"(?<=\w)([_/]|(?<!\d)\.|\.(?!\d))(?=\w)", r"\1<wbr>", str(safe)))


def _columns(table: Table) -> str:
    """Classes of a table: from which column on there are figures, and which of the columns of
    text are short enough to stay on one line. Where all are, a first one with names of several
    words gives way, if need be: something must, where a table is too wide."""
    figures = [f"n{table.names}"] if table.names < len(table.header) else []
    short = [
        f"s{place + 1}"
        for place in range(min(table.names, len(table.header)))
        if all(len(row[place]) < _LONG for row in table.rows)
    ]
    longest = max((len(row[0]) for row in table.rows), default=0)
    if len(short) == table.names > 1 and longest > _ONE_WORD:
        short = short[1:]
    return " ".join((*figures, *short))


def _drawn(panels: Iterable[Panel], table: Table) -> list[tuple[Panel, Markup]]:
    """Panels with their pictures, each of which names the table that holds its figures."""
    return [(panel, Markup(svg.svg(panel, table.title))) for panel in panels]


def _swatch(key: Key) -> Markup:
    return Markup(svg.swatch(key.look))


def _sketched(drawing: Drawing, anchor: str, number: int) -> Markup:
    """The picture, whose ids are its own on the page."""
    return Markup(drawing.draw(f"{anchor}-{number}"))
