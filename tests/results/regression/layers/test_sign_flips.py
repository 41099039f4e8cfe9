"""The test over a whole table: every p-value against a count of all tables, done by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from loopbench.results.regression.layers.sign_flips import (
    CUT,
    by_slowdown,
    conspicuous,
    flipped,
    scored,
)


def test_few_turns_are_cut_back_to_the_median_of_their_sizes() -> None:
    """Alike with either sign; each figure by itself, and what was not measured adds nothing. The
    spread is that of the Rounds."""
    figures = np.array([[1.0, -2.0, 3.0, -40.0, 5.0], [0.1, np.nan, -0.4, 0.2, np.nan]])[..., None]
    expected = np.array([[1.0, -2.0, 3.0, -3.0, 3.0], [0.1, 0.0, -0.2, 0.2, 0.0]])
    for sign in (1, -1):
        sums, spread = scored(sign * figures)
        assert sums.tolist() == (sign * expected).tolist()
        assert spread == pytest.approx(np.sqrt((expected**2).sum(axis=1)))
    assert scored(np.array([0.0, 0.0, 7.0])[:, None])[0].tolist() == [0.0, 0.0, 7.0]


def test_turns_are_cut_back_by_how_far_they_are_from_the_middle_of_their_round() -> None:
    """Worked by hand: distances 1, 0, 92 and 0, 1, 76, whose median is 1. Slices further from zero
    than 1.5 times that are cut back, and so are the distances."""
    rounds = np.array([[1.0, 2.0, -90.0], [1.25, 0.25, 77.25]])
    sums, spread = scored(rounds)
    assert sums.tolist() == [1 + CUT - CUT, 1.25 + 0.25 + CUT]
    assert spread == pytest.approx(np.sqrt(0 + 1 + CUT**2 + 0 + 1 + CUT**2))


def test_a_slowdown_of_all_rounds_adds_nothing_to_the_spread() -> None:
    """Nor do the signs: only the sums follow them."""
    table = np.random.default_rng(1).normal(0, 0.02, (1, 16, 6))
    spread = scored(table)[1]
    for other in (table + 0.05, -table):
        assert scored(other)[1] == pytest.approx(spread, rel=1e-12)
    assert (scored(-table)[0] == -scored(table)[0]).all()
    # Before that, 16 Rounds that were all alike had no statistic above the root of 16.
    assert conspicuous(table + 0.05)[0] > 10


@pytest.mark.parametrize("turns", [1, 2, 6])
def test_a_slowdown_may_be_added_later(turns: int) -> None:
    """What does not move with it is worked out once; where no Slice is away from the middle of its
    Round, everything moves."""
    table = np.random.default_rng(5).normal(0, 0.02, (3, 16, turns))
    alike = np.repeat(table[..., :1], turns, axis=-1)
    for tables in (table, alike):
        later = by_slowdown(tables)
        for more in (0.0, 0.01, -0.3):
            assert later(more) == pytest.approx(conspicuous(tables + more), rel=1e-12)


def test_few_turns_are_compared_by_students_t() -> None:
    """Of the differences cut back, here to 3."""
    cut = np.array([2.0, 3.0, 3.0, -1.0])
    by_hand = cut.mean() / (cut.std(ddof=1) / 2)
    assert conspicuous(np.array([2.0, 4.0, 9.0, -1.0])[None, :, None]) == pytest.approx([by_hand])


@pytest.mark.parametrize("turns", [1, 4])
@pytest.mark.parametrize("gone", [False, True])
def test_a_p_value_is_the_share_of_tables_with_a_figure_as_conspicuous(
    gone: bool, turns: int
) -> None:
    """All 2⁸ tables of three figures counted one by one, also where a figure lacks two Rounds."""
    table = np.random.default_rng(4).normal(0.01, 0.02, (3, 8, turns))
    if gone:
        table[1, [2, 5]] = np.nan
    measured = np.asarray(~np.isnan(table).any(axis=-1))
    seen = [float(conspicuous(table[place, measured[place]])) for place in range(3)]
    greatest = []
    for signs in product((1, -1), repeat=8):
        turned = np.array(signs)[:, None] * table
        greatest.append(
            max(float(conspicuous(turned[place, measured[place]])) for place in range(3))
        )
    found = flipped(table, 0.05)
    for place, t in enumerate(seen):
        by_hand = sum(one >= t - 1e-9 for one in greatest) / 256
        assert found.above[place] == pytest.approx(by_hand, abs=1e-12)
    assert found.level == pytest.approx(sorted(greatest)[-int(0.05 * 256)])


def test_below_is_above_of_the_other_side() -> None:
    """Exchanging base and candidate exchanges the p-values."""
    table = np.random.default_rng(8).normal(0.004, 0.02, (6, 20, 1))
    one, other = flipped(table, 0.005), flipped(-table, 0.005)
    assert one.above.tolist() == other.below.tolist()
    assert one.below.tolist() == other.above.tolist()
    assert 0 < one.above.min() < 1


def test_figures_that_move_together_count_as_one() -> None:
    """Twenty copies of a figure have the p-value of one; twenty others make it larger."""
    figure = np.random.default_rng(3).normal(0.012, 0.02, (1, 12, 1))
    others = np.random.default_rng(9).normal(0.0, 0.02, (19, 12, 1))
    alone = flipped(figure, 0.005).above[0]
    assert flipped(np.tile(figure, (20, 1, 1)), 0.005).above.tolist() == [alone] * 20
    assert flipped(np.vstack([figure, others]), 0.005).above[0] > alone


def test_too_few_rounds_call_nothing() -> None:
    """Seven Rounds that all say slower are one table of 128, more than half a per cent."""
    found = flipped(np.full((2, 7, 6), 0.1), 0.005)
    assert found.above.tolist() == [1 / 128] * 2
    assert found.level == np.inf


def test_a_figure_that_was_never_measured_is_never_called() -> None:
    """Nor does it change what is said of the others."""
    table = np.random.default_rng(2).normal(0.02, 0.02, (2, 10, 1))
    never, zero = np.full((1, 10, 1), np.nan), np.zeros((1, 10, 1))
    found = flipped(np.vstack([table, never, zero]), 0.005)
    assert found.above[2:].tolist() == found.below[2:].tolist() == [1.0, 1.0]
    assert found.above[:2].tolist() == flipped(table, 0.005).above.tolist()
