"""Which queue a server is, and its limit: every kind fitted to the trials, averaged by likelihood.

The parameters of a kind are its mean service and the deviation from trial to trial (services.py).
A limit follows from each pair of kind and deviation (limit_curves.py). Its distribution is the mean
of these, weighted by likelihood (Bayesian model averaging; J. A. Hoeting and others, Statistical
Science 14, 1999, 382-417), every kind being as likely beforehand as any other.

Speed. A virtual CPU changes its speed within seconds, by a third and more, and services with it.
Where the short work was timed in every trial (`results.stats.intervals.short_work`), services are
freed from it: their logarithms follow that of the work with a slope that is near 1 where a request
computes and 0 where it waits. It is the most likely one of the most likely kind, with a normal
distribution of 1 and 0.5 beforehand. What is left differs from trial to trial by `deviation`. The
share of late requests is averaged over that and over the speeds of the sitting, `states`, since an
objective is to be kept on the average over them. That another sitting would have met other speeds
is told by itself, `luck`: it is the same for all servers of a sitting, and no part of their ratios.

Check. Of the right queue the service is the same at every rate. `drift` is by how much it moves
with the rate in the trials, and drift_error the standard error of that, by the score test (C. R.
Rao, 1948).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from loopbench.results.stats.queueing.lanes import Floats
from loopbench.results.stats.queueing.limit_curves import QueueModel
from loopbench.results.stats.queueing.queues import Queue, Span, Window, draws
from loopbench.results.stats.queueing.services import DEVIATIONS, Observed, weighed

_MOST_STEPS, _SLOPE_SETTLED = 60, 0.01
_FOLLOWS, _FOLLOWS_SPREAD, _MOST_FOLLOWED = 1.0, 0.5, 2.0
"""Of the slope over the short work: what it is held to be beforehand, how sure that is, and the
steepest one. The most likely one is between 0 and the last."""

_WINDOW_STEP = 1.25


class Told(Protocol):
    """A trial."""

    @property
    def rate_rps(self) -> float:
        """What was offered."""

    @property
    def spans(self) -> Mapping[Queue, Span]:
        """What it tells of each kind of queue."""

    @property
    def window(self) -> Window:
        """What was counted."""

    @property
    def work_us(self) -> float | None:
        """What the short work took meanwhile."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Of the CPU in the trials of a sitting, by the logarithms of what the short work took, in us:
    their mean, their standard deviation, and of how many trials they are."""

    mean: float
    deviation: float
    trials: int


def speeds_of(trials: Sequence[Told]) -> Speeds | None:
    """None where a trial lacks the short work, or fewer than two have it."""
    logs = [math.log(one.work_us) for one in trials if one.work_us]
    if len(logs) < max(2, len(trials)):
        return None
    return Speeds(statistics.fmean(logs), statistics.stdev(logs), len(logs))


@dataclass(frozen=True, slots=True)
class Fit:
    """log_rate: logarithm of the limit; error: its standard error. luck: what it may be off by, on
    top, since another sitting would have met other speeds of the CPU.

    queue: the most likely kind, likelihood: its share of that of all kinds; service_s, deviation
    and drift are those of it. states: by how much services differ as the speed of the CPU does, a
    standard deviation of logarithms; 0 where that was not measured. drift_from: the logarithm of
    the rate about which the services turn.
    slope: of the odds of being late over the rate, at the limit, both as logarithms.
    """

    log_rate: float
    error: float
    luck: float
    queue: Queue
    likelihood: float
    service_s: float
    deviation: float
    states: float
    drift: float
    drift_error: float
    drift_from: float
    slope: float


def fit(trials: Sequence[Told], allowed: float, speeds: Speeds | None = None) -> Fit:
    """The limit for an allowed share of late requests.

    speeds: of the sitting, of which each of these trials is one; None where they are not known.
    """
    kinds = [kind for kind in trials[0].spans if all(kind in one.spans for one in trials)]
    rates = np.log([trial.rate_rps for trial in trials])
    window = _rounded(sorted(trials, key=lambda one: one.rate_rps)[len(trials) // 2].window)
    drawn = np.array([draws(trial.rate_rps * trial.window.length_s) for trial in trials])
    told = Observed.of([[trial.spans[kind] for trial in trials] for kind in kinds], rates, drawn)
    slower = _slower(trials, speeds)
    followed = _followed(told, slower)
    found = weighed(told.freed(followed.slope * slower))
    states = 0.0 if speeds is None else followed.slope * speeds.deviation
    cells = [(int(kind), int(step)) for kind, step in zip(*np.nonzero(found.weights), strict=True)]
    shares = np.array([found.weights[cell] for cell in cells])

    def model(kind: int, step: int, states: float) -> QueueModel:
        deviation = math.hypot(DEVIATIONS[step], states)
        return QueueModel(kinds[kind], found.services[kind, step], deviation, window)

    def limits(states: float) -> Floats:
        """And their standard errors: a row for each cell."""
        near = float(rates.mean())
        return np.array(
            [
                model(kind, step, states).limit(
                    allowed, math.hypot(found.errors[kind, step], followed.error), near
                )
                for kind, step in cells
            ]
        )

    each = limits(states)
    log_rate = float(shares @ each[:, 0])
    variance = float(shares @ (each[:, 1] ** 2 + (each[:, 0] - log_rate) ** 2))
    luck = 0.0
    if speeds is not None and states:
        chance = 1 / math.sqrt(2 * (speeds.trials - 1))
        by_spread = float(shares @ limits(states * (1 + chance))[:, 0]) - log_rate
        luck = math.hypot(states / math.sqrt(speeds.trials), by_spread)
        variance += (by_spread / chance * followed.slope_error / followed.slope) ** 2
    kind, step = found.most_likely
    best = model(kind, step, states)
    drift, drift_error, drift_from = _drift(
        rates, found.score[kind, step], found.curvature[kind, step]
    )
    of_kind = found.weights[kind]
    return Fit(
        log_rate,
        math.sqrt(variance),
        luck,
        best.queue,
        float(of_kind.sum()),
        math.exp(best.log_service),
        float(of_kind @ DEVIATIONS) / float(of_kind.sum()),
        states,
        drift,
        drift_error,
        drift_from,
        best.slope(log_rate),
    )


def _slower(trials: Sequence[Told], speeds: Speeds | None) -> Floats:
    """By how much longer the short work took in each trial than in the mean, as logarithms; 0 where
    that is not known."""
    if speeds is None:
        return np.zeros(len(trials))
    return np.log([one.work_us or math.nan for one in trials]) - speeds.mean


@dataclass(frozen=True, slots=True)
class _Followed:
    """slope: of services over the short work, with its standard error. error: of a service at the
    mean speed, by that of the slope: the trials that tell most may have met another speed in the
    mean."""

    slope: float
    slope_error: float
    error: float


def _followed(told: Observed, slower: Floats) -> _Followed:
    """The most likely slope, by steps to where the likelihood and what is held beforehand are
    largest."""
    if not slower.any():
        return _Followed(0.0, 0.0, 0.0)
    slope, slope_error, error = _FOLLOWS, _FOLLOWS_SPREAD, 0.0
    for _ in range(_MOST_STEPS):
        found = weighed(told.freed(slope * slower))
        one = found.most_likely
        step, its_error, middle = _drift(slower, found.score[one], found.curvature[one])
        known, before = its_error**-2, _FOLLOWS_SPREAD**-2
        step = (known * step + before * (_FOLLOWS - slope)) / (known + before)
        slope_error = 1 / math.sqrt(known + before)
        error = abs(middle) * slope_error
        moved = min(max(slope + step, 0.0), _MOST_FOLLOWED)
        slope, last = moved, slope
        if abs(moved - last) < _SLOPE_SETTLED:
            break
    return _Followed(slope, slope_error, error)


def _drift(rates: Floats, score: Floats, curvature: Floats) -> tuple[float, float, float]:
    """Of services over rates, its standard error, and the rate about which they turn."""
    weights = np.maximum(curvature, 0.0)
    total = float(weights.sum())
    if total <= 0:
        return 0.0, math.inf, float(rates.mean())
    middle = float(weights @ rates) / total
    away = rates - middle
    known = float(weights @ away**2)
    if known <= 0:
        return 0.0, math.inf, middle
    return float(score @ away) / known, 1 / math.sqrt(known), middle


def _rounded(window: Window) -> Window:
    """Of a length that many trials share: it hardly matters, and curves are kept."""
    number = round(math.log(window.window_s) / math.log(_WINDOW_STEP))
    return Window(window.limit_s, window.lead_in_s, _WINDOW_STEP**number)
