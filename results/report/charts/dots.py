"""A kind of picture: readings by row, a row a scenario, with intervals and Rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.axes import Scale
from loopbench.results.report.charts.svg import (
    LETTER,
    WIDTH,
    fitted,
    labels,
    mark,
    number,
    path,
    text,
)
from loopbench.results.report.looks import Look
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.plain_text import plain

LEFT, RIGHT = 10.0, 14.0
TOP, FOOT = 18.0, 4.0
_NAME, _PITCH = 15.0, 10.0
_TOLD_PITCH = 26.0
_WIDEST = 2.5
"""An interval that reaches beyond the readings by more than this factor leaves the picture."""

MOST_ROUNDS = 12
"""So many Rounds are drawn each; of more, only how far they reach."""

_BELOW = 100_000
"""Lines of the grid go on below the picture, which cuts them off, however many rows it shows."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A reading of one stack in one row: centre, interval and the Rounds.

    stack: its place among the page's stacks. label: in words, for the pointer or beside the mark.
    """

    look: Look
    centre: float
    interval: Interval | None = None
    rounds: tuple[float, ...] = ()
    stack: int | None = None
    label: str = ""

    def values(self) -> tuple[float, ...]:
        """Everything that should fit into the picture; of a wide interval its nearer part."""
        readings = (self.centre, *self.rounds)
        if self.interval is None or min(readings) <= 0:
            return readings
        low, high = min(readings) / _WIDEST, max(readings) * _WIDEST
        return (*readings, max(self.interval.low, low), min(self.interval.high, high))


@dataclass(frozen=True, slots=True)
class Line:
    """Dots of a row, under its name. bound: drawn as a mark across the row.

    scenario: by which the row can be chosen; blank where it is of none.
    """

    name: str
    dots: tuple[Dot, ...]
    bound: float | None = None
    scenario: str = ""


def by_row(title: str, lines: Sequence[Line], *, at: float | None = None) -> Panel:
    """A row a Line: small the Rounds, strong the centre, a bar the interval.

    at: a value to draw a line at, such as zero.
    """
    values = [value for line in lines for dot in line.dots for value in dot.values()]
    values += [line.bound for line in lines if line.bound is not None]
    scale = Scale.over([*values, *([] if at is None else [at])])

    def draw() -> str:
        rows, y = [], TOP
        for line in lines:
            rows.append(_row(scale, line, y))
            y += _NAME + _PITCH * len(line.dots) + FOOT
        return axis(scale, at) + "".join(rows)

    height = TOP + sum(_NAME + _PITCH * len(line.dots) + FOOT for line in lines)
    return Panel(title, height, draw, _rows(_NAME, _PITCH))


def _rows(name: float, pitch: float) -> dict[str, str]:
    """What the script must know to close up the rows that are left when some are not chosen."""
    return {"class": "rows", "data-rows": f"{TOP:g} {name:g} {pitch:g} {FOOT:g}"}


def axis(scale: Scale, at: float | None = None) -> str:
    """The grid with its labels, above the rows."""
    ticks = [(along(share), label) for share, label in scale.ticks()]
    lines = "".join(f"M{number(x)} {TOP - 4:g}V{_BELOW}" for x, _ in ticks)
    drawn = path(lines, "grid") if lines else ""
    if at is not None and scale.shows(at):
        drawn += path(f"M{number(along(scale.share(at)))} {TOP - 4:g}V{_BELOW}", "level")
    return drawn + labels(ticks, 10, "tick")


def along(share: float) -> float:
    """The place of a share of the axis."""
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _row(scale: Scale, line: Line, y: float) -> str:
    inside = text(LEFT - 6, 11, fitted(line.name, WIDTH - 8))
    if line.bound is not None and scale.shows(line.bound):
        x, foot = along(scale.share(line.bound)), _NAME + _PITCH * len(line.dots)
        inside += path(f"M{number(x)} {_NAME - 2:g}V{number(foot)}", "bound")
    inside += "".join(
        _dot(scale, dot, _NAME + _PITCH * place, _PITCH / 2, f"{line.name}, {dot.label}")
        for place, dot in enumerate(line.dots)
    )
    return row(line.scenario, y, inside)


def row(scenario: str, y: float, inside: str) -> str:
    """A row of the picture, which the script may move or hide."""
    named = f' data-k="{escape(plain(scenario))}"' if scenario else ""
    return (
        f'<g class="row"{named} transform="translate(0 {number(y)})">'
        f'<path class="rule" d="M0 0H{WIDTH:g}"/>{inside}</g>'
    )


def _dot(scale: Scale, dot: Dot, top: float, y: float, tooltip: str, words: str = "") -> str:
    """Interval, Rounds and centre of one stack; y: of the marks within. words: texts beside."""
    drawn = words
    if dot.interval is not None:
        low, high = (along(share) for share in scale.ends(dot.interval))
        drawn += path(f"M{number(low)} {number(y)}H{number(high)}", "interval")
        below, above = scale.beyond(dot.interval)
        drawn += path(f"M{number(low + 4)} {number(y - 4)}l-4 4 4 4", "reach") if below else ""
        drawn += path(f"M{number(high - 4)} {number(y - 4)}l4 4-4 4", "reach") if above else ""
    rounds = [along(scale.share(value)) for value in dot.rounds if scale.shows(value)]
    if len(rounds) > MOST_ROUNDS:
        drawn += path(f"M{number(min(rounds))} {number(y)}H{number(max(rounds))}", "reach")
    elif rounds:
        ticks = (f"M{number(x)} {number(y - 3)}v6" for x in sorted(rounds))
        drawn += path("".join(ticks), "rounds")
    if scale.shows(dot.centre):
        hollow = bool(words) and (dot.interval is None or 1.0 in dot.interval)
        drawn += mark(dot.look, along(scale.share(dot.centre)), y, 3.5, hollow=hollow)
    stack = "" if dot.stack is None else f' data-s="{dot.stack}"'
    return (
        f'<g class="dot {dot.look.css}"{stack} data-v="{escape(plain(tooltip))}" '
        f'transform="translate(0 {number(top)})">{drawn}</g>'
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """A ratio of one stack to the reference: its name, its mark, and what is said of it at the end
    of its line. A mark that is not a number is not drawn: there is no ratio to show."""

    name: str
    dot: Dot
    label: str


def ratios(title: str, lines: Sequence[tuple[str, str, Sequence[Compared]]]) -> Panel:
    """Ratios on one logarithmic axis with a line at 1, each with its words above its mark.

    lines: scenario, its name, and the stacks that are compared there. A mark whose interval
    contains 1, or that has none, is hollow: the difference may be chance.
    """
    every = [comparison for _, _, comparisons in lines for comparison in comparisons]
    several = len({comparison.name for comparison in every}) > 1
    values = [value for comparison in every for value in comparison.dot.values()]
    scale = Scale.over([*values, 1.0], logarithmic=True)
    head = _NAME if several else 0.0

    def draw() -> str:
        rows, y = [], TOP
        for scenario, name, comparisons in lines:
            inside = text(LEFT - 6, 11, fitted(name, WIDTH - 8), css="head") if several else ""
            for place, comparison in enumerate(comparisons):
                label = comparison.name if several else name
                room = WIDTH - 20 - LETTER * len(comparison.label)
                words = text(LEFT - 6, 11, fitted(label, room))
                words += text(WIDTH - 4, 11, comparison.label, end=True)
                top = head + _TOLD_PITCH * place
                tooltip = f"{name}, {comparison.name}: {comparison.label}"
                inside += _dot(scale, comparison.dot, top, 19.0, tooltip, words)
            rows.append(row(scenario, y, inside))
            y += head + _TOLD_PITCH * len(comparisons) + FOOT
        return axis(scale, 1.0) + "".join(rows)

    height = TOP + sum(head + _TOLD_PITCH * len(comparisons) + FOOT for _, _, comparisons in lines)
    return Panel(title, height, draw, _rows(head, _TOLD_PITCH))
