"""How a stack looks: one colour, line and marker, the same in every picture.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which tell
apart for the colour-blind; lines, markers and the hatches of areas tell
apart without colour. The yardstick has the colour of the text: it is a bound, no contender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

INK = "#010203"
"""Stands for the colour of the text, which follows the page: exchanged for `currentColor`."""

Dash = tuple[float, tuple[float, ...]] | str


@dataclass(frozen=True, slots=True)
class Look:
    """id: name of its swatch. dash, marker, hatch: as matplotlib has them.

    marker: blank for parts of a whole, which are areas; hatch and opacity are
    those of an area.
    """

    id: str
    colour: str
    dash: Dash
    marker: str
    hatch: str = ""
    opacity: float = 1.0


_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES: tuple[Dash, ...] = ("solid", (0, (5, 2)), (0, (5, 1.5, 1, 1.5)), (0, (2.5, 1.2)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_YARDSTICK = Look("look-yardstick", INK, (0, (1, 1.5)), "|")

PARTS = (
    Look("part-0", "#0072b2", "solid", "", "", 0.55),
    Look("part-1", "#e69f00", "solid", "", "////", 0.55),
    Look("part-2", "#009e73", "solid", "", "xxxx", 0.55),
    Look("part-3", INK, "solid", "", "....", 0.08),
)
"""Looks of the parts of a whole, which are no stacks."""


def looks(stacks: Sequence[str], yardstick: str | None) -> dict[str, Look]:
    """A look for each stack, by its place; 84 stacks look different."""
    contenders = [stack for stack in stacks if stack != yardstick]
    found = {stack: _look(place) for place, stack in enumerate(contenders)}
    return {**found, **{stack: _YARDSTICK for stack in stacks if stack == yardstick}}


def _look(place: int) -> Look:
    return Look(
        f"look-{place}",
        _COLOURS[place % len(_COLOURS)],
        _DASHES[place % len(_DASHES)],
        _MARKERS[place % len(_MARKERS)],
    )
