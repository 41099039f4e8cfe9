"""The test over a whole table: every p-value against a count of all tables, done by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from loopbench.results.regression.layers.sign_flips import flipped, scored, student


def test_differences_are_cut_back_to_the_median_of_their_sizes() -> None:
    """Alike with either sign; each figure by itself, and what was not measured stays away."""
    figures = np.array([[1.0, -2.0, 3.0, -40.0, 5.0], [0.1, np.nan, -0.4, 0.2, np.nan]])[..., None]
    expected = np.array([[1.0, -2.0, 3.0, -3.0, 3.0], [0.1, np.nan, -0.2, 0.2, np.nan]])
    assert np.array_equal(scored(figures), expected, equal_nan=True)
    assert np.array_equal(scored(-figures), -expected, equal_nan=True)
    assert scored(np.array([0.0, 0.0, 7.0])[:, None]).tolist() == [0.0, 0.0, 7.0]


def test_turns_are_cut_back_before_they_are_added_up() -> None:
    """One disturbed Slice does not carry its Round away: here all are cut back to 3."""
    rounds = np.array([[1.0, 2.0, -90.0], [4.0, 3.0, 80.0]])
    assert scored(rounds).tolist() == [1 + 2 - 3.5, 3.5 + 3 + 3.5]


def test_the_statistic_is_students_t() -> None:
    """Of the differences cut back, here to 3."""
    cut = np.array([2.0, 3.0, 3.0, -1.0])
    rounds = np.array([2.0, 4.0, 9.0, -1.0])[:, None]
    assert scored(rounds).tolist() == cut.tolist()
    by_hand = cut.mean() / (cut.std(ddof=1) / 2)
    assert student(rounds[None]) == pytest.approx([by_hand], rel=1e-12)


@pytest.mark.parametrize("gone", [False, True])
def test_a_p_value_is_the_share_of_tables_with_a_figure_as_conspicuous(gone: bool) -> None:
    """All 2⁸ tables of three figures counted one by one, also where a figure lacks two Rounds."""
    table = np.random.default_rng(4).normal(0.01, 0.02, (3, 8, 2))
    if gone:
        table[1, [2, 5]] = np.nan
    measured = np.asarray(~np.isnan(table).any(axis=-1))
    seen = [float(student(table[place, measured[place]])) for place in range(3)]
    greatest = []
    for signs in product((1, -1), repeat=8):
        turned = np.array(signs)[:, None] * table
        greatest.append(max(float(student(turned[place, measured[place]])) for place in range(3)))
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
