"""Is the candidate slower? A randomisation test of paired differences, over a whole table at once.

Where the sides are equal, each Round's differences (candidate over base, in logarithms) could as
well have come with the opposite sign: which of two equal processes is called the candidate is drawn
anew in every Round. So the signs of whole Rounds are flipped, all figures of a Round together, and
the table is read again each time. A figure's p-value is the share of such tables whose most
conspicuous figure is at least as conspicuous as this one (R. A. Fisher, The Design of Experiments,
1935, §21; of the greatest statistic: P. H. Westfall, S. S. Young, Resampling-based Multiple
Testing, 1993). A false alarm anywhere in the table then has a probability of alpha at most,
whatever the noise is distributed like. Figures that move together, as throughput and CPU time of a
server that is busy all the time, count as one without anybody having to say so, where Holm's method
would charge for each.

The statistic is Student's t of the Rounds' sums. Before they are added up, differences are cut back
that are further from zero than the median of all their absolute values. With the noise of virtual
machines, where each tenth Slice is off by many standard deviations, this catches more than cutting
fewer, or than cutting back Rounds; without any noise of that kind it costs a tenth of the Rounds. A
difference is cut back alike with either sign, as the test demands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from loopbench.results.regression.layers.trimmed_t import Array

ALL_UP_TO = 13
"""With so many Rounds all tables are read, 2 to the power of Rounds; with more, DRAWN of them."""

DRAWN = 6_000
_SEED = 1
"""Of the flips that are drawn, so that a folder is judged alike each time."""


@dataclass(frozen=True, slots=True)
class Flipped:
    """above, below: a p-value a figure for "it is not slower" and "it is not faster", adjusted over
    the table. level: the t from which on a figure would have been called; infinite where there are
    too few Rounds for any to be."""

    above: Array
    below: Array
    level: float


def flipped(differences: Array, alpha: float) -> Flipped:
    """Of figures by Rounds and Turns, above zero where the candidate is slower; NaN where a figure
    was not measured in a Round. A figure without any has the p-value 1."""
    measured = ~np.isnan(differences).any(axis=-1)
    scores = np.where(measured, scored(differences), 0.0)
    lengths = np.sqrt((scores**2).sum(axis=1, keepdims=True))
    unit = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)
    # Half of the tables are the other half with all signs turned.
    # Not by a matrix product, whose threads wait for each other on a machine with other work.
    z = np.einsum("fr,rt->ft", unit, _signs(differences.shape[1]))
    n = measured.sum(axis=1)
    highest, lowest = (_of_greatest(z, n, greatest) for greatest in (np.max, np.min))
    greatest = np.sort(np.concatenate([highest, -lowest]))
    t, known = _student(z[:, 0], n), lengths[:, 0] > 0
    above, below = (np.where(known, _share(greatest, sign * t), 1.0) for sign in (1, -1))
    called = int(alpha * len(greatest))
    return Flipped(above, below, float(greatest[-called]) if called else np.inf)


def student(differences: Array) -> Array:
    """The statistic of each figure, by which the flipped tables are compared."""
    scores = scored(differences)
    lengths = np.sqrt((scores**2).sum(axis=-1))
    sums = scores.sum(axis=-1)
    z = np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0)
    return _student(z, np.array(scores.shape[-1]))


def scored(differences: Array) -> Array:
    """The sum of each Round's differences, none of them further from zero than the median of the
    figure's absolute values; see the module's docstring. NaN stays. Where the median is zero,
    nothing is cut: it says nothing of how far the others lie."""
    sizes = np.abs(differences)
    if np.isnan(sizes).any():
        some = (~np.isnan(sizes)).any(axis=(-2, -1), keepdims=True)
        middle = np.nanmedian(np.where(some, sizes, 0.0), axis=(-2, -1), keepdims=True)
    else:
        middle = np.median(sizes, axis=(-2, -1), keepdims=True)
    furthest = np.where(middle > 0, middle, np.inf)
    return np.asarray(np.clip(differences, -furthest, furthest).sum(axis=-1), dtype=np.float64)


@lru_cache(maxsize=8)
def _signs(rounds: int) -> Array:
    """Rounds by tables of +1 and -1, the first table all +1; those with all turned are left out."""
    if rounds <= ALL_UP_TO:
        bits = np.arange(2 ** max(rounds - 1, 0)) >> np.arange(rounds)[:, None] & 1
    else:
        bits = np.random.default_rng(_SEED).integers(0, 2, (rounds, DRAWN // 2))
        bits[:, 0] = 0
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)


def _of_greatest(z: Array, n: Array, greatest: Callable[..., Array]) -> Array:
    """The greatest or smallest t of each table. t rises with z, so that where all figures have as
    many Rounds only one of a table has to be worked out."""
    if n.size and (n == n[0]).all():
        return _student(greatest(z, axis=0), n[0])
    return greatest(_student(z, n[:, None]), axis=0)


def _student(z: Array, n: Array) -> Array:
    """Student's t of n values whose sum over the root of their squares' sum is z."""
    left = n - z**2
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(left > 1e-9 * n, z * np.sqrt((n - 1) / left), np.sign(z) * np.inf)
    return np.where(z == 0, 0.0, t)


def _share(ordered: Array, t: Array) -> Array:
    """How many of the values are t or more, but for what a sum loses in rounding."""
    reached = np.searchsorted(ordered, t - 1e-9 * np.abs(np.where(np.isfinite(t), t, 0.0)))
    return np.asarray((len(ordered) - reached) / len(ordered), dtype=np.float64)
