"""The highest arrival rate at which a response-time objective holds, from trials at many rates.

An objective such as "p99 below 20 ms" allows a share of the requests, here 1 %, to be slow. The
share of slow requests rises with the rate, and the limit is the rate at which it crosses the
allowed one. Trials are made at rates on both sides of it.

Curve. Around the crossing the logarithm of the odds of being slow is taken to be a straight line
over the logarithm of the rate, whose parameters are fitted by maximum likelihood (logistic
regression; McCullagh and Nelder, Generalized Linear Models, 1989, chapter 4). An isotonic fit,
which assumes no more than that the share rises, was tried on simulated servers first: it put the
limit 2 % too high, with a standard deviation of 4 % where the line has 3 %, since it takes what
it knows from the few trials beside the crossing. A weak prior keeps the slope finite where all
trials on one side have no slow request. Only trials within WINDOW e-folds of the odds from the
crossing take part: over a wider range the curve of a queue is no line, which moved limits of
steep curves by 2 %.

Interval. Slow requests come in bursts, so that trials vary more than independent requests would:
the variance is multiplied by the dispersion, Pearson's statistic over its degrees of freedom (the
same, section 4.5), and the limit's error follows by the delta method. WIDENED makes up for the
trials being placed by what was seen, and for the dispersion differing along the curve: simulated
servers (tests/results/test_rate_limit.py) had to be in it in at least 93 of 100 sittings.
Student's t with two degrees of freedom fewer than trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopbench.results.stats.location import Interval, quantile

PRIOR_SLOPE, PRIOR_WEIGHT = 30.0, 1 / 10.0**2
"""Of the odds' logarithm over that of the rate: about that of a queue near its limit."""

LEAST_SLOPE = 5.0
WINDOWS = ((45.0, 0.2), (120.0, 0.08), (math.inf, 0.032))
"""By the slope up to this: trials further from the limit, in the rate's logarithm, take no part.
They do not follow the slope more closely, since its estimate from few trials is a chance."""

WIDENED = 1.8
FEWEST_TRIALS = 8
"""Fewer near the limit give no interval."""

CLIFF_SLOPE = 60.0
"""Above it the share of slow requests grows tenfold within 4 % of the rate."""

_STEPS = 40
_CLOSE = 1e-7


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate that was offered. slow: of the requests offered."""

    rate_rps: float
    offered: int
    slow: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the share of slow requests crosses the allowed one.

    rate_rps: the limit. error: standard error of its logarithm, widened. slope: of the odds'
    logarithm over that of the rate. trials: how many took part.
    """

    rate_rps: float
    error: float
    slope: float
    trials: int

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the limit; None of too few trials."""
        if self.trials < FEWEST_TRIALS:
            return None
        half = quantile(self.trials - 2) * self.error
        return Interval(self.rate_rps * math.exp(-half), self.rate_rps * math.exp(half))

    @property
    def half_width(self) -> float | None:
        """Half of the interval as a share of the limit; None without one."""
        interval = self.interval
        return None if interval is None else math.log(interval.high / interval.low) / 2


def ratio(one: Crossing, other: Crossing) -> tuple[float, Interval | None]:
    """One limit over another, with its interval; trials of both are taken as independent, though
    the same minutes disturb both, so that it is rather too wide."""
    centre = one.rate_rps / other.rate_rps
    if one.interval is None or other.interval is None:
        return centre, None
    freedom = min(one.trials, other.trials) - 2
    half = quantile(freedom) * math.hypot(one.error, other.error)
    return centre, Interval(centre * math.exp(-half), centre * math.exp(half))


def bracketed(trials: Iterable[Trial], share: float) -> bool:
    """Whether there are trials on both sides of the limit."""
    held = {trial.slow <= share * trial.offered for trial in trials if trial.offered}
    return held == {True, False}


def crossing(trials: Sequence[Trial], share: float) -> Crossing | None:
    """The limit for an allowed share of slow requests; None where all trials are on one side."""
    usable = [trial for trial in trials if trial.offered]
    if len(usable) < 3 or not bracketed(usable, share):
        return None
    found = _fit(usable, share)
    for _ in range(3):  # the window and the fit depend on each other
        reach = next(reach for most, reach in WINDOWS if found.slope <= most)
        near = [
            trial for trial in usable if abs(math.log(trial.rate_rps / found.rate_rps)) <= reach
        ]
        if len(near) < 3 or not bracketed(near, share):
            return found
        found = _fit(near, share)
    return found


def _fit(trials: Sequence[Trial], share: float) -> Crossing:
    target = math.log(share / (1 - share))
    middle = sum(math.log(trial.rate_rps) for trial in trials) / len(trials)
    places = [math.log(trial.rate_rps) - middle for trial in trials]
    height, slope = target, PRIOR_SLOPE
    for _ in range(_STEPS):
        matrix, gradient = _information(trials, places, height, slope)
        up, steeper = _solved(matrix, gradient)
        up, steeper = max(-3.0, min(3.0, up)), max(-3.0, min(3.0, steeper))
        height, slope = height + up, max(LEAST_SLOPE, slope + steeper)
        if max(abs(up), abs(steeper)) < _CLOSE:
            break
    matrix, _ = _information(trials, places, height, slope)
    dispersion = _dispersion(trials, places, height, slope)
    away = (target - height) / slope
    error = math.sqrt(dispersion * _quadratic(matrix, (-1 / slope, -away / slope)))
    return Crossing(math.exp(middle + away), WIDENED * error, slope, len(trials))


Matrix = tuple[float, float, float]
"""Symmetric, 2 x 2: the first row, and the last element."""


def _odds(height: float, slope: float, place: float) -> float:
    return 1 / (1 + math.exp(-max(-20.0, min(20.0, height + slope * place))))


def _information(
    trials: Sequence[Trial], places: Sequence[float], height: float, slope: float
) -> tuple[Matrix, tuple[float, float]]:
    """Fisher's information of both parameters, and the gradient of the likelihood."""
    a = b = c = up = steeper = 0.0
    for trial, place in zip(trials, places, strict=True):
        slow = _odds(height, slope, place)
        weight = trial.offered * slow * (1 - slow)
        rest = trial.slow - trial.offered * slow
        a, b, c = a + weight, b + weight * place, c + weight * place * place
        up, steeper = up + rest, steeper + rest * place
    prior = (slope - PRIOR_SLOPE) * PRIOR_WEIGHT
    return (a + 1e-9, b, c + PRIOR_WEIGHT), (up, steeper - prior)


def _solved(matrix: Matrix, gradient: tuple[float, float]) -> tuple[float, float]:
    a, b, c = matrix
    determinant = a * c - b * b
    first, second = gradient
    return (c * first - b * second) / determinant, (a * second - b * first) / determinant


def _quadratic(matrix: Matrix, vector: tuple[float, float]) -> float:
    """vector · matrix⁻¹ · vector."""
    solved = _solved(matrix, vector)
    return vector[0] * solved[0] + vector[1] * solved[1]


def _dispersion(
    trials: Sequence[Trial], places: Sequence[float], height: float, slope: float
) -> float:
    """Pearson's statistic over its degrees of freedom, at least 1."""
    total = 0.0
    for trial, place in zip(trials, places, strict=True):
        slow = min(max(_odds(height, slope, place), 1e-4), 1 - 1e-4)
        total += (trial.slow - trial.offered * slow) ** 2 / (trial.offered * slow * (1 - slow))
    return max(1.0, total / max(1, len(trials) - 2))
