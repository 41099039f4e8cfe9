"""A ratio that is shown, from its logarithm."""

from __future__ import annotations

import math

from loopbench.results.regression.finding import factor


def test_a_ratio_beyond_all_numbers_is_infinite() -> None:
    """As that of a cost to one that was next to nothing; others are what they are."""
    assert factor(1_000.0) == math.inf
    assert factor(-1_000.0) == 0.0
    assert factor(math.log(2)) == 2.0
