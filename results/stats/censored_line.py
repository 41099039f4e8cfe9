"""A straight line through values of which only a span is known, by maximum likelihood.

The values lie about the line with normal deviations; of each the ends of a span are known in which
it lies, and either end may be open (regression with censored observations). The parameters are
those of R. J. Olsen, "Note on the uniqueness of the maximum likelihood estimator for the Tobit
model", Econometrica 46 (1978) 1211-1215, in which the likelihood has one maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loopbench.results.stats.location import special

Floats = NDArray[np.float64]

_LEAST_DEVIATION, _MOST_DEVIATION = 1e-3, 0.5
"""A deviation beyond these is held to be unlikely, where the values do not tell it."""

_WEIGHT = 2.0
"""Prior of one over the deviation: this power of it, downwards. The likelihood alone makes the
deviation too small, since the line has been laid through the values: it has two parameters."""

_SLOPE_SCALE = 0.25
"""Prior of the slope: Cauchy's about 0, which draws a small slope to 0 and lets a large one be."""

_FIRST_DEVIATION = 0.03
_STEPS, _CLOSE = 100, 1e-9


@dataclass(frozen=True, slots=True)
class CensoredLine:
    """The line's parameters, after Olsen: height and slope over the deviation, and one over it.

    The height is that above `origin`, at the place 0.
    """

    origin: float
    parameters: Floats
    covariance: Floats

    @property
    def errors(self) -> Floats:
        """Standard error of each parameter."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def deviation(self) -> float:
        """Standard deviation of the values about the line."""
        return 1 / float(self.parameters[2])

    @property
    def slope(self) -> tuple[float, float]:
        """Its slope, and the standard error of that."""
        _, slope, precision = map(float, self.parameters)
        moves = np.array([0.0, 1 / precision, -slope / precision**2])
        return slope / precision, math.sqrt(float(moves @ self.covariance @ moves))

    def value(self, place: float, parameters: Floats, away: Floats | float = 0.0) -> Floats:
        """The line with these parameters, and so many deviations away from it."""
        height, slope, precision = parameters
        return np.asarray(self.origin + (height + slope * place + away) / precision)

    @classmethod
    def fitted(cls, places: Floats, low: Floats, high: Floats) -> CensoredLine:
        """By Newton's method, each step halved until it goes up.

        low, high: ends of the span in which each value lies, infinite where it is open.
        """
        ends = np.where(np.isfinite(low), low, high)
        ends = ends[np.isfinite(ends)]
        origin = float(np.median(ends))
        spans = _Spans(places, low - origin, high - origin)
        at = np.array([0.0, 0.0, 1 / max(_FIRST_DEVIATION, float(ends.std()))])
        value, gradient, curvature = spans.likelihood(at)
        for _ in range(_STEPS):
            step = np.linalg.solve(curvature, gradient)
            while at[2] + step[2] <= 0 or spans.likelihood(at + step)[0] < value - _CLOSE:
                step = step / 2
            at = at + step
            gained, (value, gradient, curvature) = value, spans.likelihood(at)
            if value - gained < _CLOSE:
                break
        return cls(origin, at, np.asarray(np.linalg.inv(curvature), dtype=np.float64))


@dataclass(frozen=True, slots=True)
class _Spans:
    """Values that lie between low and high, at these places."""

    places: Floats
    low: Floats
    high: Floats

    def likelihood(self, at: Floats) -> tuple[float, Floats, Floats]:
        """Its logarithm with the priors, the gradient, and minus the matrix of second derivatives.

        Of the priors only what bends downwards is among these, so that a step always goes up.
        """
        ends = [self._end(at, end) for end in (self.low, self.high)]
        (low, low_moves), (high, high_moves) = ends
        logs = _log_between(low, high)
        densities = [
            np.where(np.isfinite(end), np.exp(-(end**2) / 2 - logs) / math.sqrt(2 * math.pi), 0.0)
            for end in (low, high)
        ]
        slopes = densities[1][:, None] * high_moves - densities[0][:, None] * low_moves
        bends = [
            np.einsum("n,ni,nj->ij", density * np.where(np.isfinite(end), end, 0.0), moves, moves)
            for density, end, moves in zip(
                densities, (low, high), (low_moves, high_moves), strict=True
            )
        ]
        slope, precision = at[1] / at[2], at[2]
        move = np.array([0.0, 1.0, -slope]) / precision
        pull = 2 * slope / (_SLOPE_SCALE**2 + slope**2)
        least = _LEAST_DEVIATION * precision
        gradient = slopes.sum(axis=0) - pull * move
        most = 1 / (_MOST_DEVIATION * precision)
        gradient[2] += (2 * most**2 - _WEIGHT - 2 * least**2) / precision
        curvature = bends[1] - bends[0] + slopes.T @ slopes
        curvature += 2 / (_SLOPE_SCALE**2 + slope**2) * np.outer(move, move)
        curvature[2, 2] += (6 * most**2 + 2 * least**2) / precision**2
        prior = -_WEIGHT * math.log(precision) - least**2 - most**2
        return (
            float(logs.sum()) + prior - math.log1p((slope / _SLOPE_SCALE) ** 2),
            gradient,
            curvature,
        )

    def _end(self, at: Floats, end: Floats) -> tuple[Floats, Floats]:
        """One end of each span in standard deviations from the line, and how it moves with each
        parameter."""
        finite = np.where(np.isfinite(end), end, 0.0)
        moves = np.stack([-np.ones_like(self.places), -self.places, finite], axis=1)
        away = moves @ at
        return np.where(np.isfinite(end), away, end), np.where(
            np.isfinite(end)[:, None], moves, 0.0
        )


def _log_between(low: Floats, high: Floats) -> Floats:
    """The logarithm of the normal distribution's weight between two points, also far out."""
    swapped = low > 0
    below, above = np.where(swapped, -high, low), np.where(swapped, -low, high)
    larger, smaller = special().log_ndtr(above), special().log_ndtr(below)
    between: Floats = larger + np.log1p(-np.exp(np.minimum(smaller - larger, -1e-15)))
    return between
