"""From a Panel to SVG inside a page: small, the same for the same rows, coloured by the page.

Text stays text, in the page's colour; nothing in a picture is interpreted, so
that a name from a row stays what it is.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.style import INK, Look

WIDTH_PT = 270.0
"""Of every panel. On a page it is about 360 px wide: what fits a phone."""

_POINTS_AN_INCH = 72.0
_SWATCH_PT = (26.0, 10.0)
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_FONT = re.compile(r"font-family: [^;\"]*;? ?")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_TAG = re.compile(r"<[^>]+>")
_ID = re.compile(r' id="[^"]*"')
_BEFORE = re.compile(r"^.*?<svg [^>]*>", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>\s*", re.DOTALL)
_SPACE = re.compile(r"\s*\n\s*")


def svg(panel: Panel, salt: str) -> str:
    """The panel as an <svg> element. salt: unlike that of any other panel of the page, so that
    ids inside are its own."""
    with _settings(salt):
        figure, axes = _figure(WIDTH_PT, panel.height_pt)
        panel.draw(axes)
        size = f'viewBox="0 0 {WIDTH_PT:g} {panel.height_pt:g}"'
        return f'<svg {size} role="img" aria-label="{escape(panel.title)}">{_inside(figure)}</svg>'


def swatch(look: Look) -> str:
    """The look as a <symbol>, for legends: its line and marker, or its filling."""
    width, height = _SWATCH_PT
    with _settings(look.id):
        figure, axes = _figure(width, height)
        axes.axis("off")
        axes.set(xlim=(0, width), ylim=(0, height))
        if look.marker:
            axes.plot([1, width - 1], [5, 5], color=look.colour, linestyle=look.dash, lw=1.4)
            axes.plot([width / 2], [5], color=look.colour, marker=look.marker, ms=5, mew=1.2)
        else:
            axes.add_patch(Rectangle((1, 1), width - 2, height - 2, **filling(look)))
        size = f'viewBox="0 0 {width:g} {height:g}"'
        return f'<symbol id="{look.id}" {size}>{_inside(figure)}</symbol>'


def filling(look: Look) -> dict[str, Any]:
    """How an area of that look is filled, as matplotlib's patches want it."""
    return {
        "facecolor": (look.colour, look.opacity),
        "edgecolor": INK,
        "hatch": look.hatch or None,
        "linewidth": 0.7,
    }


def _figure(width_pt: float, height_pt: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width_pt / _POINTS_AN_INCH, height_pt / _POINTS_AN_INCH))
    figure.patch.set_visible(False)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.patch.set_visible(False)
    return figure, axes


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    settings: Any = {**_SETTINGS, "svg.hashsalt": salt}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name may have letters that the measuring font lacks; the reader's font has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _inside(figure: Figure) -> str:
    """What stands between <svg> and </svg>, without what a page has no use for."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = _STYLE.sub("", _BEFORE.sub("", buffer.getvalue(), count=1), count=1)
    text = text.rpartition("</svg>")[0]
    return _SPACE.sub(" ", _TAG.sub(_shorter, text)).strip()


def _shorter(match: re.Match[str]) -> str:
    """A tag with two decimals, without the id of a group, in the colour of the page."""
    tag = match[0]
    if tag.startswith("<g "):
        tag = _ID.sub("", tag)
    tag = _LONG_NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), tag)
    return _FONT.sub("", tag).replace(INK, "currentColor")
