"""The trimmed test and Holm's method: scipy and statsmodels as a second opinion."""

from __future__ import annotations

import math

import numpy as np
import pytest

from loopbench.results.regression.layers.trimmed_t import Trimmed, holm, student, trimmed
from loopbench.results.stats.intervals.location import locate


@pytest.mark.parametrize("n", [3, 4, 5, 9, 12, 24, 30])
def test_the_bounds_are_those_of_scipy(n: int) -> None:
    """Except with the probability that Yuen's test against zeros gives, the mean is beyond zero: on
    both sides, in every row."""
    # Imported here: it takes long, and each process of the tests reads all their files.
    from scipy import stats

    values = np.random.default_rng(n).normal(0.02, 0.05, (4, n))
    zeros = np.zeros((4, n))
    for bound, side in ((Trimmed.lower, "greater"), (Trimmed.upper, "less")):
        p_values = stats.ttest_ind(
            values, zeros, axis=-1, trim=0.2, equal_var=False, alternative=side
        ).pvalue
        for row, p in zip(values, p_values, strict=True):
            assert bound(trimmed(row[:, None]), p) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [3, 5, 24])
def test_it_is_the_method_of_the_rest_of_the_suite(n: int) -> None:
    """Mean, standard error and 95 % interval are those of `results.stats.intervals.location`."""
    values = np.random.default_rng(n).normal(1, 0.1, n)
    found, located = trimmed(values[:, None]), locate(values)
    assert (float(found.mean), float(found.error)) == pytest.approx((located.mean, located.error))
    assert found.freedom == located.freedom
    assert located.interval is not None
    ends = (float(found.lower(0.025)), float(found.upper(0.025)))
    assert ends == pytest.approx((located.interval.low, located.interval.high), rel=1e-9)


def test_the_turns_of_all_rounds_are_trimmed_together() -> None:
    """Worked by hand: of twelve differences the two lowest and the two highest are cut off, which
    lie in two Rounds; the error is made of the Rounds' sums."""
    table = np.array([[1.0, 2.0, 50.0], [3.0, 4.0, 60.0], [5.0, 6.0, 7.0], [-80.0, -90.0, 8.0]])
    found = trimmed(table)
    assert float(found.mean) == pytest.approx((1 + 2 + 3 + 4 + 5 + 6 + 7 + 8) / 8)
    winsorised = np.array([[1, 2, 8], [3, 4, 8], [5, 6, 7], [1, 1, 8]])
    sums = winsorised.sum(axis=1) - 3 * winsorised.mean()
    left = 8 / 3  # in Rounds of three
    by_hand = math.sqrt((sums**2).sum() / (left * (left - 1))) / 3
    assert float(found.error) == pytest.approx(by_hand)
    assert found.freedom == 3


def test_copies_of_a_turn_add_no_certainty() -> None:
    """Where all Slices of a process share its luck, six of them are as sure as one."""
    once = np.random.default_rng(7).normal(0.01, 0.03, (20, 1))
    one, six = trimmed(once), trimmed(np.repeat(once, 6, axis=1))
    assert float(six.mean) == pytest.approx(float(one.mean))
    assert float(six.error) == pytest.approx(float(one.error))


def test_two_rounds_are_refused() -> None:
    """Student's t would have one degree of freedom, however many Turns they have."""
    with pytest.raises(ValueError, match="2 Rounds are fewer than 3"):
        trimmed(np.zeros((7, 2, 6)))


def test_students_quantile_is_the_one_of_the_tables() -> None:
    """Worked from a printed table: 2.262 leaves 2.5 % with nine degrees of freedom."""
    assert math.isclose(student(0.025, 9), 2.262157, abs_tol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 7, 36])
def test_holm_is_that_of_statsmodels(m: int) -> None:
    """Adjusted p-values are equal, with ties and ones among them, in every row."""
    # Imported here: it takes long, and each process of the tests reads all their files.
    from statsmodels.stats.multitest import multipletests

    p_values = np.random.default_rng(m).beta(0.3, 2, (5, m))
    p_values[0, : m // 2] = p_values[0, 0]
    p_values[1, m // 2 :] = 1.0
    for row, adjusted in zip(p_values, holm(p_values), strict=True):
        said = multipletests(row, method="holm")[1]
        assert adjusted == pytest.approx(said, rel=1e-12)
