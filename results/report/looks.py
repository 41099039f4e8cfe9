"""How a stack looks: one colour, line and marker, the same in every picture.

Hues are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which tell apart for the
colour-blind, darkened on white and lightened on black until they stand out from the page at 4.5
to 1; lines, markers and hatches tell apart without colour. The yardstick has the colour of the
text: it is a bound, no contender.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PALETTE: tuple[tuple[str, str], ...] = (
    ("#0069a8", "#6cc0f5"),
    ("#b84a00", "#ff9a57"),
    ("#007a5a", "#3fcf9f"),
    ("#a4467d", "#ec9fcb"),
    ("#8a6200", "#eebb3c"),
    ("#5b4fb3", "#b3a8ff"),
)
"""A colour on light paper, and the same on dark paper."""


@dataclass(frozen=True, slots=True)
class Look:
    """colour: a place in PALETTE; None is the colour of the text.

    dash: as SVG's stroke-dasharray, blank for a whole line. marker: a key of `svg.MARKERS`, blank
    for parts of a whole, which are areas; hatch: which of the page's hatchings an area has.
    """

    colour: int | None
    dash: str
    marker: str
    hatch: int = 0

    @property
    def css(self) -> str:
        """The class that gives an element its colour."""
        return "ink" if self.colour is None else f"c{self.colour}"


_DASHES = ("", "6 2.5", "6 2 1.5 2", "3 1.5")
_MARKERS = ("circle", "square", "triangle", "diamond", "down", "plus", "cross")
_YARDSTICK = Look(None, "1.2 1.8", "bar")

PARTS = (Look(0, "", "", 0), Look(4, "", "", 1), Look(2, "", "", 2), Look(None, "", "", 3))
"""Looks of the parts of a whole, which are no stacks."""


def looks(stacks: Sequence[str], yardstick: str | None) -> dict[str, Look]:
    """A look for each stack, by its place; 84 stacks look different."""
    contenders = [stack for stack in stacks if stack != yardstick]
    by_contender = {stack: _look(place) for place, stack in enumerate(contenders)}
    return {**by_contender, **{stack: _YARDSTICK for stack in stacks if stack == yardstick}}


def _look(place: int) -> Look:
    return Look(
        place % len(PALETTE), _DASHES[place % len(_DASHES)], _MARKERS[place % len(_MARKERS)]
    )
