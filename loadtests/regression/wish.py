"""What a check is to measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loopbench.loadtests.regression.layers import instructions, slices
from loopbench.results.schema.regression import Layer


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured.

    routes: names of the Cases whose instructions are counted; None: one of each route.
    cells: stack and case of the layer of times; those of tails, too. known: the folder of the
    baseline, which a candidate that stands alone is compared with. rounds: of the layer of times;
    None: as many as its budget allows, TIME_ROUNDS at most. questions: names and patterns
    of those that are asked in the layer of behaviour; blank: all.
    """

    layers: tuple[Layer, ...]
    stacks: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]
    seed: int
    routes: tuple[str, ...] | None = None
    counts: instructions.Plan = field(default_factory=instructions.Plan)
    rounds: int | None = None
    slice_s: float = slices.SLICE_S
    yardstick: tuple[str, ...] = slices.YARDSTICK_CASES
    known: Path | None = None
    questions: tuple[str, ...] = ()

    @property
    def behaviour(self) -> bool:
        """Whether the questions about behaviour are asked, which takes the sides' own harness."""
        return Layer.BEHAVIOUR in self.layers


def cells_of(stacks: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Every stack with every case that is loaded."""
    return tuple((stack, case) for stack in stacks for case in slices.CASES)
