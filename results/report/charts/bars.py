"""A kind of picture: bars of parts, so that wholes can be compared too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from loopbench.results.report.blocks import Panel
from loopbench.results.report.charts.dots import row
from loopbench.results.report.charts.svg import LETTER, WIDTH, area, fitted, text
from loopbench.results.report.looks import Look
from loopbench.results.stats.plain_text import plain

_TOP, _HEAD, _PITCH, _FOOT = 2.0, 15.0, 25.0, 4.0
_LEFT, _RIGHT = 8.0, 8.0


@dataclass(frozen=True, slots=True)
class Whole:
    """A bar of parts under its name; label: what stands at its end.

    parts: look, value and what it is. stack: its place among the page's stacks.
    """

    name: str
    label: str
    parts: tuple[tuple[Look, float, str], ...]
    stack: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Bars on one scale: the longest fills the width. scenario: by which it can be chosen."""

    name: str
    wholes: tuple[Whole, ...]
    scenario: str


def stacked(title: str, groups: Sequence[Group]) -> Panel:
    """A heading a Group, and its bars, each as long as its parts together."""

    def draw() -> str:
        drawn, y = [], _TOP
        for group in groups:
            drawn.append(row(group.scenario, y, "".join(_group(group))))
            y += _height(group)
        return "".join(drawn)

    attributes = {"class": "rows", "data-rows": f"{_TOP:g} {_HEAD:g} {_PITCH:g} {_FOOT:g}"}
    return Panel(title, _TOP + sum(map(_height, groups)), draw, attributes)


def _height(group: Group) -> float:
    return _HEAD + _PITCH * len(group.wholes) + _FOOT


def _group(group: Group) -> Iterable[str]:
    most = max(sum(value for _, value, _ in whole.parts) for whole in group.wholes)
    yield text(_LEFT - 4, 11, fitted(group.name, WIDTH - 8), css="head")
    for place, whole in enumerate(group.wholes):
        inside = text(_LEFT, 10, fitted(whole.name, WIDTH - 30 - LETTER * len(whole.label)))
        inside += text(WIDTH - _RIGHT, 10, whole.label, end=True)
        begin, descriptions = _LEFT, []
        for look, value, what in whole.parts:
            width = max(0.0, value) / most * (WIDTH - _LEFT - _RIGHT) if most > 0 else 0.0
            inside += area(look, begin, 13.5, width, 8.5)
            begin += width
            descriptions.append(what)
        stack = "" if whole.stack is None else f' data-s="{whole.stack}"'
        tooltip = escape(plain(f"{group.name}, {whole.name}: {'; '.join(descriptions)}"))
        yield (
            f'<g class="dot"{stack} data-v="{tooltip}" '
            f'transform="translate(0 {_HEAD + _PITCH * place:g})">{inside}</g>'
        )
