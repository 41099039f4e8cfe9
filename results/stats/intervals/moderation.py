"""How much Rounds differ, learned from all ratios of a sitting and not from a ratio's own alone.

Three Blocks have two degrees of freedom, and Student's factor is 4.3: an interval from them alone
is wide not because the ratio is badly known, but because its error is. The other ratios of the
sitting were measured on the same machine in the same minutes. How much the Blocks of each differ is
taken as a multiple of what their Slices predict (its spread, a variance ratio), so that a scenario
of noisy Slices and one of calm ones can be compared. The spreads scatter by chance, as variances of
few values do, and beyond that because scenarios differ. The less they scatter beyond chance, the
more degrees of freedom their common value is worth, and the nearer to it each spread is drawn:

    moderated = (d0 * factor0 + d * factor) / (d0 + d), with d0 + d degrees of freedom.

d0 and factor0 are estimated from the mean and the variance of the logarithms of the spreads.
Method: G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential
expression in microarray experiments", Statistical Applications in Genetics and Molecular Biology 3
(2004) article 3, sections 3 and 6. No more degrees of freedom are claimed than all spreads together
have.

What decided for it. Each Block of eleven folders of three to 38 Rounds (10 to 16 ratios each, calm
and noisy hours of three machines) was predicted from the others of its ratio: 94.2 of 100
prediction intervals contained it, of 3,064, as many as with Student's t, and the intervals, floor
included, are 0.65 times as wide as Student's in the mean of 57 ratios of three Blocks, 0.82 of
four, 0.90 of five and 0.98 of 29. Simulated (5 to 14 ratios of 3 or 4 Blocks, d0 of 2 to infinity,
normal values and one in ten with a threefold error; floor included) it covers the truth in 93.5 to
95.8 %, where Student's t covers it in 96.4 to 97.6 % with intervals a third wider. A fixed d0 of 4
covered it in 91.8 % at d0 = 2; the mean of the spreads in place of the estimated factor was wide
wherever one ratio was disturbed.

Ratios of whole Runs have no Slices that predict anything; their spread is the variance of a Round
itself. Scenarios of one column then have less in common, and where they happen to look alike the
prior is worth four degrees of freedom at most (WHOLE_FREEDOM). What decided for four: each Round
of results/reference (39 ratios of five Rounds; CPU time a request) was predicted from others of its
ratio. From three others, 94.7 of 100 prediction intervals contained it, of 780, as with Student's t
(94.6), and the intervals of the ratios were 0.61 times as wide in the mean; without a limit 92.4,
with eight 93.8, with two 96.4 (0.68 times as wide). From four others it was 93.3 with four, 91.8
without a limit, and 93.8 with Student's. In the other columns scenarios differ so much by
themselves that the limit is never reached: median and 99th percentile of the response time 92.0 and
93.4 from three others (Student's 90.7 and 93.9), 0.76 and 0.72 times as wide.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopbench.results.stats.intervals.location import Location, special

LEAST_SPREADS = 4
"""Fewer ratios say nothing of how much their spreads scatter."""

WHOLE_FREEDOM = 4.0
"""What the common spread of whole Runs is worth at most, in degrees of freedom."""

_STEPS = 50
_NEAR = 1e-8
"""Newton's method ends where a step is less than this share of the value."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How much Rounds differ, and the degrees of freedom that it is known with.

    factor: of Blocks, their variance over the one that their Slices predict; of whole Runs, the
    variance itself.
    """

    factor: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What the spreads of a sitting have in common. freedom: what it is worth, maybe infinite.
    most: the degrees of freedom of all spreads together."""

    factor: float
    freedom: float
    most: float

    def moderate(self, spread: Spread) -> Spread:
        """A ratio's own spread, drawn to the common one."""
        freedom = min(self.freedom + spread.freedom, max(self.most, spread.freedom))
        if math.isinf(self.freedom):
            return Spread(self.factor, freedom)
        weighted = self.freedom * self.factor + spread.freedom * spread.factor
        return Spread(weighted / (self.freedom + spread.freedom), freedom)


def spread_over_rounds(located: Location) -> Spread | None:
    """Of a ratio's whole Runs, the variance of a Round that the error of their mean says; None
    where they are too few, or do not vary."""
    if not located.freedom or located.error == 0:
        return None
    return Spread(located.n * located.error**2, located.freedom)


def moderated(located: Location, prior: Prior | None) -> Location:
    """The same mean, its error drawn to what the sitting's other ratios of whole Runs show; as it
    is where there is nothing to draw it by, or where its Rounds do not vary."""
    spread = spread_over_rounds(located)
    if prior is None or spread is None:
        return located
    drawn = prior.moderate(spread)
    return replace(located, error=math.sqrt(drawn.factor / located.n), freedom=drawn.freedom)


def learn(spreads: Sequence[Spread], most: float = math.inf) -> Prior | None:
    """The Prior of these spreads; None where they are fewer than LEAST_SPREADS.

    most: the degrees of freedom that it is worth at most.
    """
    if len(spreads) < LEAST_SPREADS:
        return None
    together = math.fsum(spread.freedom for spread in spreads)
    centred = [_centred(spread) for spread in spreads]
    middle = statistics.fmean(centred)
    by_chance = statistics.fmean(_trigamma(spread.freedom / 2) for spread in spreads)
    beyond_chance = statistics.variance(centred) - by_chance
    if beyond_chance <= 0:
        return Prior(math.exp(middle), most, together)
    half = _inverse_trigamma(beyond_chance)
    factor = math.exp(middle + _digamma(half) - math.log(half))
    return Prior(factor, min(2 * half, most), together)


def _centred(spread: Spread) -> float:
    """The logarithm of a spread, without what a variance of few values is too low by."""
    half = spread.freedom / 2
    return math.log(spread.factor) - _digamma(half) + math.log(half)


def _digamma(x: float) -> float:
    return float(special().digamma(x))


def _trigamma(x: float) -> float:
    return float(special().polygamma(1, x))


def _inverse_trigamma(y: float) -> float:
    """x with trigamma(x) = y > 0, by Newton's method on 1 / trigamma, which is nearly straight and
    convex, so that it cannot overshoot from this beginning (Smyth, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(_STEPS):
        value = _trigamma(x)
        step = value * (1 - value / y) / float(special().polygamma(2, x))
        x += step
        if abs(step) < _NEAR * x:
            break
    return x
