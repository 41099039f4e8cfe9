"""Rows that agree, and rows that do not."""

from __future__ import annotations

import pytest

from loopbench.loadtests.why.attribution.owners import Function
from loopbench.loadtests.why.attribution.tree import Cost, Tree
from loopbench.loadtests.why.repeating import agree, spread
from loopbench.results.schema import CostKind


def _function(name: str) -> Function:
    return Function(CostKind.PYTHON, "shop", "shop.views", name)


def _tree(**own: float) -> Tree:
    return {(_function(name),): Cost(cost, 1.0) for name, cost in own.items()}


@pytest.mark.parametrize(
    ("one", "other", "agrees"),
    [
        (_tree(handle=9_000, parse=1_000), _tree(handle=9_000, parse=1_000), True),
        (_tree(handle=9_000, parse=1_000), _tree(handle=9_000, parse=1_010), True),
        (_tree(handle=9_000, parse=1_000), _tree(handle=9_000, parse=1_011), False),
        (_tree(handle=9_950, tick=50), _tree(handle=9_950, tick=90), True),  # below 1 %
        (_tree(handle=9_950, tick=50), _tree(handle=9_950, tick=150), False),  # above it in one
        (_tree(handle=9_000, parse=1_000), _tree(handle=9_000), False),  # missing in one
    ],
)
def test_rows_agree_within_one_per_cent_of_themselves(one: Tree, other: Tree, agrees: bool) -> None:
    """Those with a share of 1 % and more, whichever repeat comes first."""
    assert agree([one, other]) is agrees
    assert agree([other, one]) is agrees
    assert agree([one, one, other]) is agrees


def test_one_repeat_agrees_with_itself() -> None:
    """There is nothing that it could differ from."""
    assert agree([_tree(handle=10.0)])


def test_the_spread_is_the_range_as_a_share_of_the_least() -> None:
    """A single value has none."""
    assert spread([100.0, 101.0, 100.5]) == pytest.approx(0.01)
    assert spread([100.0]) is None
