"""A 20 %-trimmed t-test of paired differences against zero, for one table of them or for many.

A table has a row a Round and a column a Turn. All its differences are trimmed together: the mean is
of what is left after the lowest and the highest fifth are cut off (rounded down). The differences
of a Round come from the same processes, so that the standard error is made of the sums of Rounds:
of the differences about their winsorised mean, those cut off counting as the last ones that were
kept. With one difference a Round that is the method of `results.stats.intervals.location` (Yuen;
Tukey and McLaughlin for one sample): Student's t with h - 1 degrees of freedom, h values being
left. scipy has it for two samples only (`scipy.stats.ttest_ind(..., trim=0.2)`): against a sample
of zeros that one gives the same numbers, which a test checks. With more, all Rounds are left, each
without some of its Turns, and there is one degree of freedom less than Rounds: bounds for 0.5 and
2.5 % so were beyond the truth in 0.3 to 0.5 and 2.1 to 2.4 % of simulated tables of 12 to 24 Rounds
of either machine's noise, and in 0.4 to 0.6 and 2.4 to 2.6 % where processes differ by more than
Slices do. Here it is written for arrays, so that the check and its simulation
(`results.regression.simulate`) run the same code.

Sources: J. W. Tukey, D. H. McLaughlin, "Less vulnerable confidence and significance procedures
for location based on a single sample: trimming/winsorization 1", Sankhya A 25 (1963) 331-352;
K. K. Yuen, Biometrika 61 (1974) 165-170; of sums of clusters: K.-Y. Liang, S. L. Zeger,
"Longitudinal data analysis using generalized linear models", Biometrika 73 (1986) 13-22; S. Holm,
"A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
(1979) 65-70.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from loopbench.results.schema.reading_warnings import MIN_ROUNDS, TRIM_FROM

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """Trimmed means of tables, their standard errors and degrees of freedom."""

    mean: Array
    error: Array
    freedom: float

    def upper(self, alpha: float) -> Array:
        """What the mean is below, except with probability `alpha`."""
        return self.mean + student(alpha, self.freedom) * self.error

    def lower(self, alpha: float) -> Array:
        """What the mean is above, except with probability `alpha`."""
        return self.mean - student(alpha, self.freedom) * self.error


def trimmed(tables: Array) -> Trimmed:
    """Of the last two axes, Rounds and Turns. Raises ValueError for fewer than three Rounds:
    nothing can be said."""
    rounds, turns = tables.shape[-2:]
    if rounds < MIN_ROUNDS:
        raise ValueError(f"{rounds} Rounds are fewer than {MIN_ROUNDS}")
    n = rounds * turns
    cut = n // TRIM_FROM
    ordered = np.sort(tables.reshape(*tables.shape[:-2], n), axis=-1)
    kept = ordered[..., cut : n - cut]
    lowest, highest = kept[..., :1, None], kept[..., -1:, None]
    winsorised = np.clip(tables, lowest, highest)
    apart = (winsorised - winsorised.mean(axis=(-2, -1), keepdims=True)).sum(axis=-1)
    h = (n - 2 * cut) / turns
    error = np.sqrt((apart**2).sum(axis=-1) / (h * (h - 1))) / turns
    return Trimmed(kept.mean(axis=-1), error, (rounds if turns > 1 else h) - 1)


def student(alpha: float, freedom: float) -> float:
    """What Student's t exceeds with probability `alpha`."""
    return -float(stdtrit(freedom, alpha))


def holm(p_values: Array) -> Array:
    """p-values adjusted by Holm's method over the last axis.

    Any of them at or under alpha is a false alarm with a probability of alpha at most over the
    whole family, however the members depend on each other.
    """
    m = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1, kind="stable")
    stepped = np.take_along_axis(p_values, order, axis=-1) * np.arange(m, 0, -1)
    ascending = np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0)
    adjusted = np.empty_like(ascending)
    np.put_along_axis(adjusted, order, ascending, axis=-1)
    return adjusted
