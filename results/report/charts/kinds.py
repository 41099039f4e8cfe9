"""The kinds of picture: readings by row, percentiles, lines over a quantity, parts of a whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.axes import GRID, Scale, round_steps, tick
from loopbench.results.report.charts.style import INK, Look
from loopbench.results.report.charts.svg import WIDTH_PT, filling
from loopbench.results.report.data import Curve, median_curve
from loopbench.results.stats import formatting
from loopbench.results.stats.location import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _BOTTOM = 32.0, 14.0, 6.0, 18.0
_FAINT = 0.5
_LONGEST_NAME = 52
_WIDEST = 2.5
"""An interval that reaches beyond the readings by more than this factor leaves the picture."""

_MOST_LINES = 12
"""So many Rounds are drawn as lines of their own; of more, only the reach of them."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading of one stack in one row: centre, interval and the Rounds."""

    look: Look
    centre: float
    interval: Interval | None = None
    rounds: tuple[float, ...] = ()

    def values(self) -> tuple[float, ...]:
        """Everything that should fit into the picture; of a wide interval its nearer part."""
        readings = (self.centre, *self.rounds)
        if self.interval is None or min(readings) <= 0:
            return readings
        low, high = min(readings) / _WIDEST, max(readings) * _WIDEST
        return (*readings, max(self.interval.low, low), min(self.interval.high, high))


@dataclass(frozen=True, slots=True)
class Line:
    """Dots of a row, under its name. bound: drawn as a mark across the row."""

    name: str
    dots: tuple[Dot, ...]
    bound: float | None = None


def dots(
    title: str,
    lines: Sequence[Line],
    *,
    at: float | None = None,
    logarithmic: bool | None = None,
) -> Panel:
    """A row a Line: faint the Rounds, strong the centre, a bar the interval.

    at: a value to draw a line at, such as a ratio of 1. logarithmic: left out,
    it is where the readings are far apart.
    """
    heights = [13.0 + 6.5 * len(line.dots) for line in lines]
    total = sum(heights) + _TOP + _BOTTOM
    seen = [value for line in lines for dot in line.dots for value in dot.values()]
    seen += [line.bound for line in lines if line.bound is not None]
    seen += [] if at is None else [at]
    scale = Scale.over(seen, logarithmic=logarithmic)
    return Panel(title, total, lambda axes: _draw_dots(axes, lines, heights, scale, at))


def _draw_dots(
    axes: Axes, lines: Sequence[Line], heights: Sequence[float], scale: Scale, at: float | None
) -> None:
    total = sum(heights) + _TOP + _BOTTOM
    _place(axes, total, left=10.0)
    axes.set_ylim(sum(heights), 0)
    scale.along_x(axes)
    if at is not None:
        axes.axvline(scale.at(at), color=INK, lw=0.9, alpha=0.5)
    begins = list(accumulate(heights, initial=0.0))[:-1]
    axes.hlines(begins, 0, 1, transform=axes.get_yaxis_transform(), **GRID)
    bounds = [(line.bound, y) for line, y in zip(lines, begins, strict=True) if line.bound]
    heads = [y + 10 for _, y in bounds]
    feet = [y + 11 + 6.5 * len(lines[begins.index(y)].dots) for _, y in bounds]
    axes.vlines([scale.at(bound) for bound, _ in bounds], heads, feet, color=INK, lw=2)
    placed: dict[Look, list[tuple[Dot, float]]] = {}
    for line, begin in zip(lines, begins, strict=True):
        row_text(axes, line.name, begin + 8.5, 0, "left")
        for place, dot in enumerate(line.dots):
            placed.setdefault(dot.look, []).append((dot, begin + 14.5 + 6.5 * place))
    for look, found in placed.items():
        _draw_look(axes, scale, look, found)


def _draw_look(axes: Axes, scale: Scale, look: Look, found: Sequence[tuple[Dot, float]]) -> None:
    """All dots of one stack: intervals, Rounds and centres."""
    bars = [(*scale.clipped(dot.interval), y) for dot, y in found if dot.interval is not None]
    axes.hlines(
        [y for *_, y in bars],
        [low for low, *_ in bars],
        [high for _, high, _ in bars],
        color=look.colour,
        lw=2.2,
        alpha=0.55,
    )
    rounds = [(value, y) for dot, y in found for value in dot.rounds]
    centres = [(dot.centre, y) for dot, y in found]
    faint: dict[str, Any] = {"ms": 3, "alpha": _FAINT}
    strong: dict[str, Any] = {"ms": 5.5, "mew": 1.3}
    for pairs, style in ((rounds, faint), (centres, strong)):
        shown = [(scale.at(value), y) for value, y in pairs if scale.shows(value)]
        axes.plot(
            [x for x, _ in shown],
            [y for _, y in shown],
            marker=look.marker,
            ls="",
            color=look.colour,
            **style,
        )


def _elided(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _place(axes: Axes, height_pt: float, *, left: float = _LEFT) -> None:
    """Inside the margins of its panel; the frame is left and below only."""
    axes.set_position(
        (
            left / WIDTH_PT,
            _BOTTOM / height_pt,
            1 - (left + _RIGHT) / WIDTH_PT,
            1 - (_TOP + _BOTTOM) / height_pt,
        )
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)
    axes.tick_params(width=0.6, length=2.5, pad=2)
    if left < _LEFT:
        axes.spines["left"].set_visible(False)
        axes.set_yticks([])


_MAX_AT = 3.45
_PERCENT_TICKS = {"0": 0.0, "50": 50.0, "90": 90.0, "99": 99.0, "99.9": 99.9}


def percentiles(title: str, curves: Mapping[str, Sequence[Curve]], by: Mapping[str, Look]) -> Panel:
    """Time by percentile, both logarithmic: faint a Round, strong the median of the Rounds."""
    return Panel(title, 165.0, lambda axes: _draw_percentiles(axes, curves, by))


def _draw_percentiles(
    axes: Axes, curves: Mapping[str, Sequence[Curve]], by: Mapping[str, Look]
) -> None:
    every = [curve for found in curves.values() for curve in found]
    seen = [value for curve in every for value in (*curve.values, curve.maximum) if value > 0]
    scale = Scale.over(seen, logarithmic=True)
    _place(axes, 165.0)
    for stack, found in curves.items():
        look = by[stack]
        strong = _points(median_curve(found), scale)
        if len(found) > _MOST_LINES:
            _draw_reach(axes, found, look, scale)
        elif len(found) > 1:
            xs, ys = _apart(_points(curve, scale) for curve in found)
            axes.plot(xs, ys, color=look.colour, lw=0.7, alpha=_FAINT)
        axes.plot(*strong, color=look.colour, linestyle=look.dash, lw=1.7)
        ends = [pair for pair in zip(*strong, strict=True) if pair[0] in _MARKED]
        axes.plot(
            [x for x, _ in ends], [y for _, y in ends], ls="", marker=look.marker, ms=4,
            color=look.colour, mew=1.2,
        )  # fmt: skip
    scale.along_y(axes)
    axes.set_xlim(-0.08, _MAX_AT + 0.12)
    ticks = [*(_nines(percent) for percent in _PERCENT_TICKS.values()), _MAX_AT]
    axes.set_xticks(ticks, [*_PERCENT_TICKS, "max"])
    axes.grid(axis="x", **GRID)


def _nines(percent: float) -> float:
    """Place of a percentile: 90 at 1, 99 at 2, 99.9 at 3."""
    return -math.log10(1 - percent / 100)


_MARKED = {_nines(50.0), _nines(90.0), _nines(99.0), _nines(99.9), _MAX_AT}


def _points(curve: Curve, scale: Scale) -> tuple[list[float], list[float]]:
    pairs = [
        (_nines(percent), value)
        for percent, value in zip(curve.percents, curve.values, strict=True)
    ]
    pairs = [(x, scale.at(value)) for x, value in (*pairs, (_MAX_AT, curve.maximum)) if value > 0]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _apart(lines: Iterable[tuple[list[float], list[float]]]) -> tuple[list[float], list[float]]:
    """Several lines as one, with gaps between them: drawn at a fraction of the time."""
    every = list(lines)
    gap = [math.nan]
    return [x for xs, _ in every for x in (*xs, *gap)], [y for _, ys in every for y in (*ys, *gap)]


def _draw_reach(axes: Axes, found: Sequence[Curve], look: Look, scale: Scale) -> None:
    """From the lowest to the highest Round at each percentile."""
    by: dict[float, list[float]] = {}
    for curve in found:
        for x, y in zip(*_points(curve, scale), strict=True):
            by.setdefault(x, []).append(y)
    xs = sorted(by)
    axes.fill_between(
        xs, [min(by[x]) for x in xs], [max(by[x]) for x in xs], color=look.colour, alpha=0.15, lw=0
    )


@dataclass(frozen=True, slots=True)
class Course:
    """A line over a quantity. strong: a centre, with markers; else one Round of several."""

    look: Look
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    strong: bool = True


@dataclass(frozen=True, slots=True)
class Bound:
    """A value to draw a line at, with its name."""

    value: float
    text: str


def courses(
    title: str,
    lines: Sequence[Course],
    x_name: str,
    *,
    bounds: Sequence[Bound] = (),
    doubling: bool = False,
    logarithmic: bool | None = None,
) -> Panel:
    """Lines over a quantity. doubling: the quantity is doubled from step to step."""
    return Panel(
        title,
        150.0,
        lambda axes: _draw_courses(axes, lines, x_name, bounds, doubling, logarithmic),
    )


def _draw_courses(
    axes: Axes,
    lines: Sequence[Course],
    x_name: str,
    bounds: Sequence[Bound],
    doubling: bool,
    logarithmic: bool | None,
) -> None:
    seen = [value for line in lines for value in line.ys]
    seen += [bound.value for bound in bounds]
    scale = Scale.over(seen, logarithmic=logarithmic)
    _place(axes, 150.0)
    xs = sorted({x for line in lines for x in line.xs})
    along = math.log2 if doubling else float
    for look, strong in dict.fromkeys((line.look, line.strong) for line in lines):
        mine = [line for line in lines if (line.look, line.strong) == (look, strong)]
        drawn = _apart(_course(line, scale, along) for line in mine)
        plain: dict[str, Any] = {"lw": 0.8, "alpha": 0.6}
        marked: dict[str, Any] = {"lw": 1.6, "marker": look.marker, "ms": 4.5}
        style = marked if strong else plain
        axes.plot(*drawn, color=look.colour, linestyle=look.dash, **style)
    scale.along_y(axes)
    if doubling:
        ticks = xs
        axes.margins(x=0.08)
    else:
        axes.set_xlim(0, max(xs, default=1.0) * 1.05)
        ticks = round_steps(0, max(xs, default=1.0))
    *labels, last = map(tick, ticks)
    axes.set_xticks([along(x) for x in ticks], [*labels, f"{last} {x_name}"])
    for bound in bounds:
        _draw_bound(axes, bound, scale)


def _course(
    line: Course, scale: Scale, along: Callable[[float], float]
) -> tuple[list[float], list[float]]:
    pairs = [
        (along(x), scale.at(y)) for x, y in zip(line.xs, line.ys, strict=True) if scale.shows(y)
    ]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _draw_bound(axes: Axes, bound: Bound, scale: Scale) -> None:
    axes.axhline(scale.at(bound.value), color=INK, lw=0.9, ls=(0, (4, 2)))
    axes.annotate(
        bound.text,
        (0.0, scale.at(bound.value)),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        xytext=(3, 2.5),
        fontsize=6.5,
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """A bar of parts under its name; text: what stands at its end."""

    name: str
    text: str
    parts: tuple[tuple[Look, float], ...]


def wholes(title: str, bars: Sequence[Whole]) -> Panel:
    """A bar a Whole, each as long as the others: the shares of its parts."""
    total = 24.0 * len(bars) + _TOP + _BOTTOM
    return Panel(title, total, lambda axes: _draw_wholes(axes, bars, total))


def _draw_wholes(axes: Axes, bars: Sequence[Whole], total: float) -> None:
    _place(axes, total, left=10.0)
    axes.set_ylim(24.0 * len(bars), 0)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100"])
    for place, bar in enumerate(bars):
        top, begin = 24.0 * place, 0.0
        whole = sum(value for _, value in bar.parts)
        row_text(axes, bar.name, top + 8.5, 0, "left")
        row_text(axes, bar.text, top + 8.5, 1, "right")
        for look, value in bar.parts:
            share = 100 * value / whole if whole else 0.0
            axes.barh(top + 15.5, share, 9.0, begin, **filling(look))
            begin += share


def row_text(axes: Axes, text: str, y: float, x: int, side: str) -> None:
    """Above a bar, at the begin (x 0, `left`) or the end (x 1, `right`) of its row."""
    axes.annotate(
        _elided(formatting.plain(text)),
        (x, y),
        xycoords=("axes fraction", "data"),
        ha=side,
        fontsize=7,
    )
