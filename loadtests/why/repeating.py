"""Whether the repeats of a count agree, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from loopbench.loadtests.why.attribution.tree import Tree, by_function

SHARE = 0.01
"""Rows below this share of a request are not looked at."""

AGREEMENT = 0.01
"""Within which rows repeat, as a share of themselves."""


def spread(values: Sequence[float]) -> float | None:
    """Their range as a share of the least; None where that says nothing."""
    if len(values) < 2 or min(values) <= 0:
        return None
    return (max(values) - min(values)) / min(values)


def agree(trees: Sequence[Tree]) -> bool:
    """Whether each function with a share of SHARE in any of them costs the same within AGREEMENT
    in all of them."""
    repeats = [
        {function: totals.own for function, totals in by_function(tree).items()} for tree in trees
    ]
    wholes = [sum(own.values()) for own in repeats]
    weighty = {
        function
        for own, whole in zip(repeats, wholes, strict=True)
        for function, cost in own.items()
        if cost >= SHARE * whole
    }
    for function in weighty:
        values = [own.get(function, 0.0) for own in repeats]
        if max(values) - min(values) > AGREEMENT * min(values):
            return False
    return True
