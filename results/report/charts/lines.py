"""Kinds of picture: percentiles of a distribution, and lines over a quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.grouping import grouped
from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.axes import Scale, round_steps, tick
from loopbench.results.report.charts.svg import (
    WIDTH,
    labels,
    line,
    mark,
    number,
    path,
    text,
)
from loopbench.results.report.data import Curve, median_curve
from loopbench.results.report.looks import Look

_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 14.0, 8.0, 22.0
_HEIGHT = 200.0
LEAST_POINTS = 3
"""Of a line: two points draw no course, and stand in the table."""

Points = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Both axes. x: shares of the width."""

    y: Scale

    def place(self, x: float, value: float) -> tuple[float, float]:
        inside = _HEIGHT - _TOP - _BOTTOM
        return across(x), _TOP + (1 - self.y.share(value)) * inside

    def points(self, pairs: Iterable[tuple[float, float]]) -> Points:
        return [self.place(x, value) for x, value in pairs if self.y.shows(value)]


def across(share: float) -> float:
    """The place of a share of the width."""
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _axes(frame: _Frame, xs: Sequence[tuple[float, str]]) -> str:
    foot = _HEIGHT - _BOTTOM
    levels = [(_TOP + (1 - share) * (foot - _TOP), label) for share, label in frame.y.ticks()]
    upright = [(across(share), label) for share, label in xs]
    return (
        path("".join(f"M{_LEFT:g} {number(y)}H{WIDTH - _RIGHT:g}" for y, _ in levels), "grid")
        + path("".join(f"M{number(x)} {_TOP:g}V{foot:g}" for x, _ in upright), "grid at")
        + "".join(text(_LEFT - 5, y + 3.5, label, end=True, css="tick") for y, label in levels)
        + labels(upright, _HEIGHT - 7, "tick at")
    )


def _stack(look: Look, stack: int | None, inside: str) -> str:
    named = "" if stack is None else f' data-s="{stack}"'
    return f'<g class="course {look.css}"{named}>{inside}</g>'


def _strong(look: Look, points: Points) -> str:
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    return path(line(points), "line", dash)


def _nines(percent: float) -> float:
    """How rare a percentile is: 1 for 90, 2 for 99, 3 for 99.9."""
    return -math.log10(1 - percent / 100)


_FIRST, _FIRST_AT, _MAX_AT = 50.0, _nines(50.0), 3.45
_PERCENT_TICKS = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}


def _along_nines(percent: float) -> float:
    """Its share of the width: the median is at the left, the maximum at the right."""
    return (_nines(percent) - _FIRST_AT) / (_MAX_AT - _FIRST_AT)


_MARKED = {1.0, *map(_along_nines, _PERCENT_TICKS.values())}
"""Shares of the width: of these percentiles and of the maximum."""


def common(curves: Iterable[Curve]) -> Scale:
    """One axis of times for several panels, so that they can be compared."""
    return Scale.over((value for curve in curves for _, value in _points(curve)), logarithmic=True)


def percentiles(
    title: str,
    scenario: str,
    curves: Mapping[str, Sequence[Curve]],
    by: Mapping[str, Look],
    scale: Scale,
    stacks: Sequence[str],
) -> Panel:
    """Time by percentile, both logarithmic: a band how far the Rounds reach, a line their median.

    scale: of the times, the same in every panel beside it.
    """
    frame = _Frame(scale)

    def draw() -> str:
        ticks = [(_along_nines(percent), label) for label, percent in _PERCENT_TICKS.items()]
        drawn = _axes(frame, [*ticks, (1.0, "max")])
        for stack, stack_curves in curves.items():
            look, strong = by[stack], _points(median_curve(stack_curves))
            inside = _reach(frame, stack_curves) if len(stack_curves) > 1 else ""
            inside += _strong(look, frame.points(strong))
            marked = [pair for pair in strong if pair[0] in _MARKED]
            inside += "".join(mark(look, x, y, 3) for x, y in frame.points(marked))
            drawn += _stack(look, stacks.index(stack), inside)
        return drawn

    return Panel(
        title,
        _HEIGHT,
        draw,
        {
            "class": "lines",
            "data-y": _axis_for_script(scale),
            "data-x": f"nines {_FIRST_AT:.6g} {_MAX_AT}",
        },
        scenario,
    )


def _axis_for_script(scale: Scale) -> str:
    """The axis of values for the script, with the places of its ends."""
    return f"{scale.for_script()} {_HEIGHT - _BOTTOM:g} {_TOP:g}"


def _points(curve: Curve) -> list[tuple[float, float]]:
    """Shares of the width with times, from the median on."""
    pairs = [
        (_along_nines(percent), value)
        for percent, value in zip(curve.percents, curve.values, strict=True)
        if percent >= _FIRST
    ]
    return [(x, value) for x, value in (*pairs, (1.0, curve.maximum)) if value > 0]


def _reach(frame: _Frame, curves: Sequence[Curve]) -> str:
    """From the lowest to the highest Round at each percentile."""
    by = grouped(point for curve in curves for point in _points(curve))
    xs = sorted(by)
    there = frame.points((x, max(by[x])) for x in xs)
    back = frame.points((x, min(by[x])) for x in reversed(xs))
    return path(f"{line([*there, *back])}z", "band")


@dataclass(frozen=True, slots=True)
class Course:
    """A line over a quantity. strong: a centre, with markers; else one Round of several."""

    look: Look
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    strong: bool = True
    stack: int | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A value to draw a line at, with its name."""

    value: float
    text: str


def courses(
    title: str,
    drawn: Sequence[Course],
    x_name: str,
    *,
    bounds: Sequence[Bound] = (),
    doubling: bool = False,
    logarithmic: bool | None = None,
    scenario: str = "",
) -> Panel:
    """Lines over a quantity. doubling: the quantity is doubled from step to step; else it begins
    at zero, and a reader can zoom into it."""
    values = [value for course in drawn for value in course.ys] + [bound.value for bound in bounds]
    frame = _Frame(Scale.over(values, logarithmic=logarithmic))
    xs = sorted({x for course in drawn for x in course.xs})
    low, high, along = _along(xs, doubling)

    def share(x: float) -> float:
        return (along(x) - low) / (high - low)

    def draw() -> str:
        ticks = xs if doubling else round_steps(0, xs[-1])
        *labels, last = map(tick, ticks)
        named = zip(map(share, ticks), [*labels, f"{last} {x_name}"], strict=True)
        inside = _axes(frame, list(named))
        inside += "".join(_bound(frame, bound) for bound in bounds)
        return inside + "".join(_course(frame, course, share) for course in drawn)

    attributes = {
        "class": "lines" if doubling else "lines zoom",
        "data-y": _axis_for_script(frame.y),
        "data-x": f"{'log2' if doubling else 'lin'} {low:.6g} {high:.6g}",
        "data-unit": x_name,
    }
    return Panel(title, _HEIGHT, draw, attributes, scenario)


def _along(xs: Sequence[float], doubling: bool) -> tuple[float, float, Callable[[float], float]]:
    """The ends of the axis, and what goes along it evenly."""
    if not doubling:
        return 0.0, (xs[-1] or 1.0) * 1.05, float
    low, high = math.log2(xs[0]), math.log2(xs[-1])
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin, math.log2


def _course(frame: _Frame, course: Course, share: Callable[[float], float]) -> str:
    points = frame.points((share(x), y) for x, y in zip(course.xs, course.ys, strict=True))
    if not points:
        return ""
    if not course.strong:
        return _stack(course.look, course.stack, path(line(points), "line round"))
    marks = "".join(mark(course.look, x, y, 3.5) for x, y in points)
    return _stack(course.look, course.stack, _strong(course.look, points) + marks)


def _bound(frame: _Frame, bound: Bound) -> str:
    x, y = frame.place(0.0, bound.value)
    end = f"M{number(x)} {number(y)}H{WIDTH - _RIGHT:g}"
    return path(end, "limit") + text(x + 4, y - 4, bound.text)
