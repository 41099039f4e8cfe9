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

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from results.report.looks import INK, Look
from results.report.parts import Panel

WIDTH_PT = 270.0
"""Of every panel. On a page it is 360 px wide: what fits a phone."""

_POINTS_AN_INCH = 72.0
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "hatch.linewidth": 0.6,
    "hatch.color": INK,
    "path.simplify": True,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_LONG_NUMBER = re.compile(r"-?\d+\.\d{2,}")
_GEOMETRY = re.compile(r'(?<= )(?:d|x|y|x1|x2|y1|y2|width|height|transform|points)="[^"]*"')
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_OPENING = re.compile(r"<svg [^>]*?>", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def svg(panel: Panel, salt: str) -> str:
    """The panel as an <svg> element. salt: unlike that of any other panel of the page, so that
    ids inside are its own."""
    with _settings(salt):
        figure = Figure(figsize=(WIDTH_PT / _POINTS_AN_INCH, panel.height_pt / _POINTS_AN_INCH))
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.patch.set_visible(False)
        figure.patch.set_visible(False)
        panel.draw(axes)
        return _written(figure, panel.title)


def swatch(look: Look) -> str:
    """The look in a legend: its line and marker, as an <svg> element."""
    with _settings(look.id):
        figure = Figure(figsize=(26 / _POINTS_AN_INCH, 10 / _POINTS_AN_INCH))
        figure.patch.set_visible(False)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        axes.set(xlim=(0, 26), ylim=(0, 10))
        axes.plot([1, 13, 25], [5, 5, 5], color=look.colour, dashes_or_solid=None)
        return _written(figure, "")


@contextmanager
def _settings(salt: str) -> Iterator[None]:
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": salt}), warnings.catch_warnings():
        # A name may have letters that the measuring font lacks; the reader's font has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _written(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    return _inlined(buffer.getvalue(), title)
