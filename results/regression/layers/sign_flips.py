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

The statistic is the sum of a figure's differences over its spread. Differences are cut back before
they are added up that are further from zero than CUT times the usual distance of a Slice from the
middle of its Round, so that a disturbed Slice is one of many. The spread is that within Rounds: how
far Slices, cut back likewise, are from the middle of theirs. Neither moves with the signs, as the
test demands, nor with how much slower the candidate is: where the spread is that of the Rounds, as
in Student's t, a slowdown of all Rounds alike adds to it and hides behind it. Of a Xeon's noise, 16
Rounds, 3 % slower was called in 91 of 100 tables, in 80 by Student's t of the Rounds' sums; of an
EPYC's in 97 (90); of simulated noise of 2 % in 42 (23), and where processes differ by more than
Slices do, so that the spread within Rounds is too small for all figures alike, in 44 (25). A limit
of 2 in place of 1.5 catches 2 to 3 of 100 less, and one of 5 as many as Student's t or less. Where
a Round has fewer than three Turns, as in older folders, there is no such spread: the statistic is
Student's t of the sums, and differences are cut back to the median of their sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from loopbench.results.regression.layers.trimmed_t import Array

_Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
_Counts = np.ndarray[tuple[int, ...], np.dtype[np.int_]]

CUT = 1.5
"""Of the usual distance of a Slice from the middle of its Round, its median."""

_LEAST_TURNS = 3

ALL_UP_TO = 13
"""With so many Rounds all tables are read, 2 to the power of Rounds; with more, DRAWN of them."""

DRAWN = 6_000
_SEED = 1
"""Of the flips that are drawn, so that a folder is judged alike each time."""

_ALONE = 4 * 65_536
"""Multiplications that OpenBLAS does in the thread that asks for them (interface/gemm.c)."""


@dataclass(frozen=True, slots=True)
class Flipped:
    """above, below: a p-value a figure for "it is not slower" and "it is not faster", adjusted over
    the table. level: the statistic from which on a figure would have been called; infinite where
    there are too few Rounds for any to be."""

    above: Array
    below: Array
    level: float


def flipped(differences: Array, alpha: float) -> Flipped:
    """Of figures by Rounds and Turns, above zero where the candidate is slower; NaN where a figure
    was not measured in a Round. A figure without any has the p-value 1."""
    (p_values,) = each_flipped(differences[None], alpha)
    return p_values


def each_flipped(tables: Array, alpha: float) -> Iterator[Flipped]:
    """The same of each of several tables, whose figures are scored together."""
    sums, spread = scored(tables)
    known = spread > 0
    units = np.divide(sums, spread[..., None], out=np.zeros_like(sums), where=known[..., None])
    rounds = (~np.isnan(tables).any(axis=-1)).sum(axis=-1)
    for of_table in zip(units, known, rounds, strict=True):
        yield _read(*of_table, student=not _many_turns(tables), alpha=alpha)


def _read(unit: Array, known: _Flags, rounds: _Counts, *, student: bool, alpha: float) -> Flipped:
    """One table under all signs. unit: each Round's sum over the figure's spread, where known.
    rounds: in which each figure was measured."""
    # Half of the tables are the other half with all signs turned.
    tables = _product(unit, _signs(unit.shape[1]))
    if student:
        tables = _student(tables, rounds[:, None])
    greatest = np.sort(np.concatenate([tables.max(axis=0), -tables.min(axis=0)]))
    observed = tables[:, 0]
    above, below = (np.where(known, _share(greatest, sign * observed), 1.0) for sign in (1, -1))
    called = int(alpha * len(greatest))
    return Flipped(above, below, float(greatest[-called]) if called else np.inf)


def _product(figures: Array, signs: Array) -> Array:
    """Of the two matrices, in pieces that are too small for BLAS to share them out among threads,
    which wait for each other on a machine with other work."""
    product = np.empty((len(figures), signs.shape[1]))
    step = max(1, _ALONE // max(1, figures.size))
    for begun in range(0, signs.shape[1], step):
        piece = np.s_[:, begun : begun + step]
        np.matmul(figures, signs[piece], out=product[piece])
    return product


def conspicuous(differences: Array) -> Array:
    """The statistic of each figure, by which the flipped tables are compared."""
    sums, spread = scored(differences)
    total = sums.sum(axis=-1)
    statistic = np.asarray(np.divide(total, spread, out=np.zeros_like(total), where=spread > 0))
    if _many_turns(differences):
        return statistic
    return _student(statistic, np.array(differences.shape[-2]))


def by_slowdown(differences: Array) -> Callable[[float], Array]:
    """The statistic of each figure, were all its differences larger by so much. Of figures that
    were measured in all Rounds."""
    furthest, within = _scale(differences, np.ones((*differences.shape[:-1], 1), dtype=np.bool_))
    if not _many_turns(differences) or not within.all():
        return lambda more: conspicuous(differences + more)
    # Neither moves with a slowdown, so that they are worked out once.
    return lambda more: np.asarray(
        np.clip(differences + more, -furthest, furthest).sum(axis=(-2, -1)) / within
    )


def _many_turns(differences: Array) -> bool:
    return bool(differences.shape[-1] >= _LEAST_TURNS)


def _student(z: Array, n: _Counts) -> Array:
    """Student's t of n values whose sum over the root of their squares' sum is z."""
    left = n - z**2
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(left > 1e-9 * n, z * np.sqrt((n - 1) / left), np.sign(z) * np.inf)
    return np.asarray(np.where(z == 0, 0.0, t))


def scored(differences: Array) -> tuple[Array, Array]:
    """The sum of each Round's differences, cut back, and the spread of each figure; see the
    module's docstring. A Round that was not measured adds 0. Where no Slice is away from the middle
    of its Round, nothing is cut, and the spread is that of the sums."""
    measured = np.asarray(~np.isnan(differences).any(axis=-1, keepdims=True))
    there = np.where(measured, differences, 0.0)
    furthest, within = _scale(there, measured)
    sums = np.clip(there, -furthest, furthest).sum(axis=-1)
    return sums, np.where(within > 0, within, np.sqrt((sums**2).sum(axis=-1)))


def _scale(there: Array, measured: _Flags) -> tuple[Array, Array]:
    """Where differences are cut back, and the spread within Rounds; that is 0 of few Turns."""
    if not _many_turns(there):
        usual = _median(np.abs(there), measured)
        return np.where(usual > 0, usual, np.inf), np.zeros(there.shape[:-2])
    away = there - np.median(there, axis=-1, keepdims=True)
    usual = CUT * _median(np.abs(away), measured)
    furthest = np.where(usual > 0, usual, np.inf)
    return furthest, np.sqrt((np.clip(away, -furthest, furthest) ** 2).sum(axis=(-2, -1)))


def _median(sizes: Array, measured: _Flags) -> Array:
    """Of the Slices of all Rounds that were measured; 0 where none was."""
    if measured.all():
        return np.asarray(np.median(sizes, axis=(-2, -1), keepdims=True))
    some = np.asarray(measured.any(axis=(-2, -1), keepdims=True))
    known = np.where(measured | ~some, sizes, np.nan)
    return np.asarray(np.nanmedian(known, axis=(-2, -1), keepdims=True))


@lru_cache(maxsize=8)
def _signs(rounds: int) -> Array:
    """Rounds by tables of +1 and -1, the first table all +1; those with all turned are left out."""
    if rounds <= ALL_UP_TO:
        bits = np.arange(2 ** max(rounds - 1, 0)) >> np.arange(rounds)[:, None] & 1
    else:
        bits = np.random.default_rng(_SEED).integers(0, 2, (rounds, DRAWN // 2))
        bits[:, 0] = 0
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)


def _share(ordered: Array, observed: Array) -> Array:
    """How many of the values are as large as this or larger, but for what a sum loses in
    rounding."""
    reached = np.searchsorted(
        ordered, observed - 1e-9 * np.abs(np.where(np.isfinite(observed), observed, 0.0))
    )
    return np.asarray((len(ordered) - reached) / len(ordered), dtype=np.float64)
