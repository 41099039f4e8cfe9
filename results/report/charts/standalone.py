"""One picture that stands by itself, for a README: throughput and CPU per request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder.folder import Folder
from loopbench.results.report import data
from loopbench.results.report.blocks import Key, Panel
from loopbench.results.report.charts import svg
from loopbench.results.report.data import Material
from loopbench.results.report.sections import throughput
from loopbench.results.report.series.readings import Where
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats.summary import Summaries

_GAP_PT = 14.0
_LEGEND_PT = 24.0
_SWATCH_PT = (26.0, 10.0)
_LETTER_PT = 4.8
"""About what a letter of the legend takes."""
_STYLE = (
    "svg{color:#1f2328;font-family:system-ui,sans-serif}"
    "@media (prefers-color-scheme:dark){svg{color:#e6edf3}}"
    ".title{font-size:9px;font-weight:600}.legend{font-size:9px}"
)


def render(folder: Folder, summaries: Summaries, scenarios: Sequence[str]) -> str:
    """Throughput and CPU per request of closed loops, as an SVG document.

    scenarios: names of closed loops, in their order; none: all of them.
    Raises UnknownName for a scenario that the folder has not as a closed loop,
    and ResultsError where there is nothing to draw.
    """
    held = data.gather(folder, summaries)
    wheres = _chosen(held, scenarios)
    panels = [
        panel
        for panel in (
            throughput.throughput_panel(held, wheres),
            throughput.cost_panel(held, wheres),
        )
        if panel is not None
    ]
    if not panels:
        raise ResultsError("the folder has no closed loop to draw")
    keys = held.keys(held.stacks)
    body = _legend(keys) + "".join(_placed(panels))
    height = _LEGEND_PT + sum(panel.height_pt + _GAP_PT for panel in panels)
    symbols = "".join(svg.swatch(look) for look in held.looks.values())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {svg.WIDTH_PT:g} {height:g}" width="{2 * svg.WIDTH_PT:g}" '
        f'role="img" aria-label="Throughput and CPU per request">'
        f"<style>{_STYLE}</style><defs>{symbols}</defs>{body}</svg>\n"
    )


def _chosen(held: Material, scenarios: Sequence[str]) -> list[Where]:
    closed = {where[0]: where for where in held.models(LoadKind.CLOSED)}
    unknown = [name for name in scenarios if name not in closed]
    if unknown:
        raise UnknownName(f"no closed loop {unknown[0]!r} here; there are: {', '.join(closed)}")
    return [closed[name] for name in scenarios or closed]


def _legend(keys: Sequence[Key]) -> str:
    width, height = _SWATCH_PT
    drawn, left = [], 2.0
    for key in keys:
        drawn.append(
            f'<use href="#{key.look}" x="{left:g}" y="4" width="{width:g}" height="{height:g}"/>'
            f'<text class="legend" x="{left + width + 4:g}" y="12">{escape(key.text)}</text>'
        )
        left += width + 16 + _LETTER_PT * len(key.text)
    return "".join(drawn)


def _placed(panels: Iterable[Panel]) -> Iterable[str]:
    """Each panel below the one before, under its title."""
    top = _LEGEND_PT
    for place, panel in enumerate(panels):
        picture = svg.svg(panel, f"picture-{place}")
        yield f'<text class="title" x="2" y="{top + 8:g}">{escape(panel.title)}</text>'
        yield picture.replace(
            "<svg ",
            f'<svg x="0" y="{top + _GAP_PT:g}" width="{svg.WIDTH_PT:g}" '
            f'height="{panel.height_pt:g}" ',
            1,
        )
        top += panel.height_pt + _GAP_PT
