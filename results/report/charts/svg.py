"""SVG inside a page: small, the same for the same rows, coloured by the page.

Text stays text, in the page's colour; nothing in a picture is interpreted, so that a name from a
row stays what it is. What the page's script needs to know stands in attributes: `data-s` is the
place of a stack among the page's stacks, `data-k` the scenario, `data-v` what to say at the
pointer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import escape

from loopbench.results.report.blocks import Panel
from loopbench.results.report.looks import Look
from loopbench.results.stats.plain_text import plain

WIDTH = 360.0
"""Of every panel, in units of its picture: what fits a phone."""

LETTER = 5.9
"""About what a letter of a picture's text takes."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def svg(panel: Panel, table: str = "") -> str:
    """The panel as an <svg> element. table: the title of what says the same in figures."""
    label = f"{plain(panel.title)}; figures in the table: {plain(table)}" if table else panel.title
    more = "".join(f' {name}="{escape(value)}"' for name, value in panel.attributes.items())
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {number(panel.height)}" role="img" '
        f'aria-label="{escape(plain(label))}"{more}>{panel.draw()}</svg>'
    )


def swatch(look: Look) -> str:
    """The look for a legend: its line and marker, or its filling."""
    if not look.marker:
        inside = area(look, 1, 1, 24, 10)
    else:
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        inside = f'<path class="line" d="M0 6H26"{dash}/>{mark(look, 13, 6, 4)}'
    return f'<svg class="swatch {look.css}" viewBox="0 0 26 12" aria-hidden="true">{inside}</svg>'


def number(value: float, places: int = 1) -> str:
    """A place in the picture: short."""
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def text(x: float, y: float, content: str, *, end: bool = False, css: str = "") -> str:
    """A piece of text, escaped. end: it ends at x."""
    anchor = ' text-anchor="end"' if end else ""
    named = f' class="{css}"' if css else ""
    safe = escape(_CONTROL.sub(" ", plain(content)), quote=False)
    return f'<text x="{number(x)}" y="{number(y)}"{anchor}{named}>{safe}</text>'


def labels(places: Iterable[tuple[float, str]], y: float, css: str) -> str:
    """Texts under their places along a line, but for those that have no room beside the last."""
    drawn, free = [], 0.0
    for x, label in places:
        half = len(label) * LETTER / 2
        begin = min(max(x - half, 0.0), WIDTH - 2 * half)
        if begin >= free:
            drawn.append(text(begin, y, label, css=css))
            free = begin + 2 * half + 6
    return "".join(drawn)


def fitted(name: str, room: float) -> str:
    """A name that is too long for its room, cut off with an ellipsis."""
    name, most = plain(name), max(4, int(room / LETTER))
    return name if len(name) <= most else f"{name[: most - 1]}…"


def path(d: str, css: str, more: str = "") -> str:
    """A <path>."""
    return f'<path class="{css}" d="{d}"{more}/>'


def line(points: Iterable[tuple[float, float]]) -> str:
    """Points joined by straight lines, as the data of a path."""
    return "M" + "L".join(f"{number(x, 2)} {number(y, 2)}" for x, y in points)


def area(look: Look, x: float, y: float, width: float, height: float) -> str:
    """A rectangle that is filled as the look has it, with its hatching over it."""
    place = (
        f'x="{number(x, 2)}" y="{number(y)}" width="{number(width, 2)}" height="{number(height)}"'
    )
    over = f'<rect class="hatch" fill="url(#hatch-{look.hatch})" {place}/>' if look.hatch else ""
    return f'<rect class="area {look.css}" {place}/>{over}'


HATCHES = (
    '<pattern id="hatch-1" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path d="M0 5L5 0" stroke="currentColor"/></pattern>'
    '<pattern id="hatch-2" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<path d="M0 2.5H5M2.5 0V5" stroke="currentColor" stroke-width=".6"/></pattern>'
    '<pattern id="hatch-3" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<path d="M1 1h1v1h-1z" fill="currentColor"/></pattern>'
)
"""Definitions that `area` needs once on the page."""


def _polygon(*points: tuple[float, float]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "z"


MARKERS: Mapping[str, Callable[[float, float, float], str]] = {
    "circle": lambda x, y, r: (
        f"M{number(x - r)} {number(y)}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0"
    ),
    "square": lambda x, y, r: f"M{number(x - r)} {number(y - r)}h{2 * r:g}v{2 * r:g}h{-2 * r:g}z",
    "triangle": lambda x, y, r: _polygon((x - r, y + r), (x, y - r), (x + r, y + r)),
    "diamond": lambda x, y, r: _polygon((x - r, y), (x, y - r), (x + r, y), (x, y + r)),
    "down": lambda x, y, r: _polygon((x - r, y - r), (x, y + r), (x + r, y - r)),
    "plus": lambda x, y, r: (
        f"M{number(x - r)} {number(y)}h{2 * r:g}M{number(x)} {number(y - r)}v{2 * r:g}"
    ),
    "cross": lambda x, y, r: (
        f"M{number(x - r)} {number(y - r)}l{2 * r:g} {2 * r:g}m0 {-2 * r:g}l{-2 * r:g} {2 * r:g}"
    ),
    "bar": lambda x, y, r: f"M{number(x)} {number(y - r)}v{2 * r:g}",
}
"""The data of a path for each marker: around a place, reaching so far to each side."""


def mark(look: Look, x: float, y: float, reach: float, *, hollow: bool = False) -> str:
    """A look's marker. hollow: of what cannot be told from nothing."""
    return path(MARKERS[look.marker](x, y, reach), "mark hollow" if hollow else "mark")
