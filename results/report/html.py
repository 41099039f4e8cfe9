"""The report as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from loopbench.results.report.blocks import Code, Drawing, Link, Plot
from loopbench.results.report.charts import svg
from loopbench.results.report.document import Document

_TEMPLATES = Path(__file__).resolve().parent


def render(document: Document) -> str:
    """The whole page. All text is escaped; only what `drawing` makes goes in as it is."""
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
    environment.globals |= {
        "kind": lambda part: type(part).__name__,
        "drawn": _drawn,
        "sketched": _sketched,
    }
    return environment.get_template("page.html").render(
        document=document,
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        swatches=[Markup(svg.swatch(look)) for look in document.looks],
    )


_LONG = 32


def _breakable(text: str) -> Markup:
    """A long name may go on in the next line after a dot, a slash or an underscore."""
    safe = escape(text)
    if len(text) < _LONG:
        return safe
    return Markup(re.sub(r"(?<=\w)([._/])(?=\w)", r"\1<wbr>", str(safe)))


def _drawn(plot: Plot, anchor: str, number: int) -> list[Any]:
    """Panels with their pictures."""
    return [
        (panel, Markup(svg.svg(panel, f"{anchor}-{number}-{place}")))
        for place, panel in enumerate(plot.panels)
    ]


def _sketched(drawing: Drawing, anchor: str, number: int) -> Markup:
    """The picture, whose ids are its own on the page."""
    return Markup(drawing.draw(f"{anchor}-{number}"))
