"""One picture that stands by itself, for a README: throughput and CPU per request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder.folder import Folder
from loopbench.results.folder.scenarios import Where
from loopbench.results.report import data
from loopbench.results.report.blocks import Key, Panel
from loopbench.results.report.charts import style, svg
from loopbench.results.report.data import Material
from loopbench.results.report.sections import throughput
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats.summaries.summary import Summaries

_TITLE = 20.0
_LEGEND = 24.0
_SWATCH = (26.0, 12.0)
_THEMES = (
    "color:#1f2328;--ink:#1f2328;--soft:#57606a;--rule:#d0d7de;--panel:#fff;",
    "color:#e6edf3;--ink:#e6edf3;--soft:#a0a8b2;--rule:#3a414a;--panel:#0d1117;",
)
_STYLE = (
    f"{style.SHEET}svg{{{_THEMES[0]}{style.colours(0)}}}"
    f"@media (prefers-color-scheme:dark){{svg{{{_THEMES[1]}{style.colours(1)}}}}}"
    f"{style.RULES}.swatch,.panel{{overflow:hidden}}"
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
    width = svg.WIDTH * len(panels)
    height = _LEGEND + _TITLE + max(panel.height for panel in panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {width:g} {height:g}" width="{1.2 * width:g}" '
        f'role="img" aria-label="Throughput and CPU per request">'
        f"<style>{_STYLE}</style>{body}</svg>\n"
    )


def _chosen(held: Material, scenarios: Sequence[str]) -> list[Where]:
    closed = {where[0]: where for where in held.models(LoadKind.CLOSED)}
    unknown = [name for name in scenarios if name not in closed]
    if unknown:
        raise UnknownName(f"no closed loop {unknown[0]!r} here; there are: {', '.join(closed)}")
    return [closed[name] for name in scenarios or closed]


def _legend(keys: Sequence[Key]) -> str:
    width, height = _SWATCH
    drawn, left = [], 2.0
    for key in keys:
        place = f'<svg x="{left:g}" y="3" width="{width:g}" height="{height:g}" '
        drawn.append(svg.swatch(key.look).replace("<svg ", place, 1))
        drawn.append(svg.text(left + width + 5, 13, key.text))
        left += width + 20 + svg.LETTER * len(key.text)
    return "".join(drawn)


def _placed(panels: Iterable[Panel]) -> Iterable[str]:
    """Side by side, each under its title."""
    for number, panel in enumerate(panels):
        left, top = svg.WIDTH * number, _LEGEND + _TITLE - 4
        yield svg.text(left + 4, _LEGEND + 11, panel.title, css="head")
        place = f'<svg x="{left:g}" y="{top:g}" width="{svg.WIDTH:g}" height="{panel.height:g}" '
        yield svg.svg(panel).replace("<svg ", place, 1)
