"""A kind of picture: bars of parts on one scale, so that wholes can be compared too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.kinds import Whole, row_text
from loopbench.results.report.charts.svg import WIDTH_PT, filling
from loopbench.results.stats import formatting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _TOP, _BOTTOM, _LEFT, _RIGHT = 24.0, 6.0, 18.0, 10.0, 14.0


def stacked(title: str, bars: Sequence[Whole]) -> Panel:
    """A bar a Whole, as long as its parts together, from 0."""
    total = _ROW * len(bars) + _TOP + _BOTTOM
    return Panel(title, total, lambda axes: _draw(axes, bars, total))


def _draw(axes: Axes, bars: Sequence[Whole], total: float) -> None:
    axes.set_position(
        (
            _LEFT / WIDTH_PT,
            _BOTTOM / total,
            1 - (_LEFT + _RIGHT) / WIDTH_PT,
            1 - (_TOP + _BOTTOM) / total,
        )
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_linewidth(0.6)
    axes.tick_params(width=0.6, length=2.5, pad=2)
    axes.set_ylim(_ROW * len(bars), 0)
    most = max(sum(value for _, value in bar.parts) for bar in bars)
    axes.set_xlim(0, most)
    at = [most * share for share in (0.0, 0.5, 1.0)]
    axes.set_xticks(at, [formatting.digits(value) for value in at])
    axes.set_yticks([])
    for place, bar in enumerate(bars):
        top, begin = _ROW * place, 0.0
        row_text(axes, bar.name, top + 8.5, 0, "left")
        row_text(axes, bar.text, top + 8.5, 1, "right")
        for look, value in bar.parts:
            axes.barh(top + 15.5, value, 9.0, begin, **filling(look))
            begin += value
