"""A 20 %-trimmed t-test of paired differences against zero, for one row of them or for many.

The method is that of `results.stats.intervals.location` (Yuen; Tukey and McLaughlin for one
sample): the mean of what is left after the lowest and the highest fifth are cut off (rounded down),
the standard error from the winsorised squares, Student's t with h - 1 degrees of freedom, h values
being left. scipy has it for two samples only (`scipy.stats.ttest_ind(..., trim=0.2)`): against a
sample of zeros that one gives the same numbers, which a test checks. Here it is written for arrays,
so that the check and its simulation (`results.regression.simulate`) run the same code.

Sources: J. W. Tukey, D. H. McLaughlin, "Less vulnerable confidence and significance procedures
for location based on a single sample: trimming/winsorization 1", Sankhya A 25 (1963) 331-352;
K. K. Yuen, Biometrika 61 (1974) 165-170; S. Holm, "A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70.
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
    """Trimmed means of rows of values, their standard errors and degrees of freedom."""

    mean: Array
    error: Array
    freedom: int

    def upper(self, alpha: float) -> Array:
        """What the mean is below, except with probability `alpha`."""
        return self.mean + student(alpha, self.freedom) * self.error

    def lower(self, alpha: float) -> Array:
        """What the mean is above, except with probability `alpha`."""
        return self.mean - student(alpha, self.freedom) * self.error


def trimmed(values: Array) -> Trimmed:
    """Of the last axis. Raises ValueError for fewer than three values: nothing can be said."""
    n = values.shape[-1]
    if n < MIN_ROUNDS:
        raise ValueError(f"{n} values are fewer than {MIN_ROUNDS}")
    cut = n // TRIM_FROM
    h = n - 2 * cut
    ordered = np.sort(values, axis=-1)
    kept = ordered[..., cut : n - cut]
    winsorised = np.clip(ordered, kept[..., :1], kept[..., -1:])
    squares = ((winsorised - winsorised.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    return Trimmed(kept.mean(axis=-1), np.sqrt(squares / (h * (h - 1))), h - 1)


def student(alpha: float, freedom: int) -> float:
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
