"""Flame graphs as SVG: a box a function, as wide as its instructions, under the one that called it.

Kinds of code differ by their hatching and sides of a comparison by theirs, so that no colour has
to be seen; every box says its figures when pointed at, and the table beside it says them too. All
text is escaped, and nothing is loaded or run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from loopbench.results.schema import CostKind
from loopbench.results.stats.plain_text import plain
from loopbench.results.why.costs import Node
from loopbench.results.why.phases import PHASES, in_phases

WIDTH = 960.0
ROW = 16.0
LEAST_SHARE = 0.004
"""Of the whole request: narrower boxes are left out, and their place stays empty."""

_LETTER = 6.0
"""As wide as a letter of the font is on average, in units of the picture; digits are the widest."""

_MARGIN = 3.0
_CLONE = re.compile(r"(?:\.(?:isra|constprop|part|cold|lto_priv)(?:\.\d+)?)+$")
"""What GCC adds to the name of a function of which it made another version."""

_HATCHES: Mapping[str, str] = {
    CostKind.EXTENSION: "M0 6L6 0",
    CostKind.SUITE: "M0 0L6 6",
    CostKind.NOBODY: "M0 0L6 6M0 6L6 0",
    CostKind.INTERPRETER: "M3 0V6",
    CostKind.LIBRARY: "M3 0V6M0 3H6",
}
"""By kind, a path within 6 by 6; Python functions have none."""

_FIRST_SIDE = CostKind.EXTENSION
"""Whose hatching the first side of a comparison has."""

KEYS = (
    "Plain boxes are Python functions; hatching that rises to the right marks C extensions, "
    "hatching that falls the suite's own code, crosses what belongs to nobody, vertical lines the "
    "interpreter and grids other libraries, where no Python function is named."
)


@dataclass(frozen=True, slots=True)
class _Box:
    """labels: the first that fits is written. title: shown when pointed at. hatch: a key of
    _HATCHES, or a kind that has no hatching. hatched: the share of the width that has it.
    """

    row: int
    x: float
    width: float
    labels: tuple[str, ...]
    title: str
    hatch: str
    hatched: float = 1.0


def flame(tree: Sequence[Node], name: str, salt: str) -> str:
    """The tree of one request, the outermost call at the top.

    name: what a screen reader calls the picture. salt: unlike that of any other on the page.
    """
    total = sum(node.inclusive for node in tree)
    return _svg(list(_stacked(tree, total, 0.0, 0)), name, salt)


def _stacked(nodes: Iterable[Node], total: float, x: float, row: int) -> Iterator[_Box]:
    for node in nodes:
        width = node.inclusive / total * WIDTH
        if node.inclusive >= LEAST_SHARE * total:
            function = node.function
            title = (
                f"{function.label} ({function.kind}): {node.inclusive:,.0f} instructions, "
                f"{node.inclusive / total:.1%} of the request; {node.own:,.0f} its own; "
                f"{node.calls:,.1f} entries"
            )
            labels = (function.label, function.name, _last(function.name))
            yield _Box(row, x, width, labels, title, function.kind)
            yield from _stacked(node.children, total, x, row + 1)
        x += width


Sides = tuple[float, float]
"""Instructions of the one and of the other."""


def differential(one: Sequence[Node], other: Sequence[Node], name: str, salt: str) -> str:
    """Two requests by phase, package and function, which any two stacks have in common, where
    their paths of calls may have nothing: a box is as wide as both sides together, the hatched
    part at its left is the first side's."""
    sums: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for side, tree in enumerate((one, other)):
        for phase, node in in_phases(tree):
            function = node.function
            path = ("a request", phase, function.package or "(nobody's)", function.label)
            for length in range(1, len(path) + 1):
                sums[path[:length]][side] += node.own
    return _svg(list(_nested(sums, ("a request",), 0.0)), name, salt)


def _nested(
    sums: Mapping[tuple[str, ...], Sequence[float]], path: tuple[str, ...], x: float
) -> Iterator[_Box]:
    whole = sum(sums[path[:1]])
    one, other = sums[path]
    width = (one + other) / whole * WIDTH
    if one + other < LEAST_SHARE * whole:
        return
    figures = f"{one:,.0f} : {other:,.0f} ({one - other:+,.0f})"
    short = _last(path[-1]) if len(path) == 4 else path[-1]
    labels = (f"{path[-1]} {figures}", f"{short} {figures}", f"{short} {one - other:+,.0f}", short)
    title = f"{' > '.join(path[1:]) or path[0]}: {figures} instructions"
    yield _Box(len(path) - 1, x, width, labels, title, _FIRST_SIDE, one / (one + other))
    children = [child for child in sums if len(child) == len(path) + 1 and child[:-1] == path]
    if len(path) == 1:
        children.sort(key=lambda child: PHASES.index(child[-1]))
    else:
        children.sort(key=lambda child: -sum(sums[child]))
    for child in children:
        yield from _nested(sums, child, x)
        x += sum(sums[child]) / whole * WIDTH


def _svg(boxes: Sequence[_Box], name: str, salt: str) -> str:
    height = (max((box.row for box in boxes), default=0) + 1) * ROW
    hatches = "".join(_pattern(salt, kind, path) for kind, path in _HATCHES.items())
    drawn = "".join(_drawn(box, salt) for box in boxes)
    return (
        f'<svg class="flame" viewBox="0 0 {WIDTH:g} {height:g}" role="img" '
        f'aria-label="{_safe(name)}" font-size="9.5"><defs>{hatches}</defs>{drawn}</svg>'
    )


def _pattern(salt: str, kind: str, path: str) -> str:
    return (
        f'<pattern id="{_id(salt, kind)}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="{path}" stroke="currentColor" stroke-opacity=".35" stroke-width=".8"/></pattern>'
    )


def _drawn(box: _Box, salt: str) -> str:
    y = box.row * ROW
    place = f'y="{y:g}" height="{ROW - 1:g}"'
    parts = [f"<g><title>{_safe(box.title)}</title>"]
    parts.append(
        f'<rect x="{box.x:.2f}" {place} width="{box.width:.2f}" fill="currentColor" '
        'fill-opacity=".06" stroke="currentColor" stroke-opacity=".4" stroke-width=".5"/>'
    )
    if box.hatch in _HATCHES and box.hatched:
        parts.append(
            f'<rect x="{box.x:.2f}" {place} width="{box.width * box.hatched:.2f}" '
            f'fill="url(#{_id(salt, box.hatch)})"/>'
        )
    label = _fitting(box.labels, box.width - 2 * _MARGIN)
    if label:
        parts.append(
            f'<text x="{box.x + _MARGIN:.2f}" y="{y + ROW - 5:g}" fill="currentColor">'
            f"{_safe(label)}</text>"
        )
    return "".join([*parts, "</g>"])


def _id(salt: str, kind: str) -> str:
    return f"{salt}-{list(_HATCHES).index(kind)}"


def _fitting(labels: Sequence[str], width: float) -> str:
    """The first label that fits, or the beginning of the last; blank where hardly any does."""
    letters = int(width / _LETTER)
    fitting = next((label for label in labels if len(label) <= letters), None)
    if fitting is not None:
        return fitting
    return f"{labels[-1][: letters - 1]}…" if letters >= 4 else ""


def _last(name: str) -> str:
    """The last part of a dotted name."""
    return _CLONE.sub("", name).rpartition(".")[2]


def _safe(text: str) -> str:
    return escape(plain(text))
