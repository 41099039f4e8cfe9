"""Which queue a server is, and its limit: every kind fitted to the trials, averaged by likelihood.

The parameters of a kind are its mean service and the deviation from trial to trial: the logarithms
of the services are normal, with that deviation and with the luck of what was drawn (queues.py). The
likelihood of a trial is the probability of the span of services that have as many late; it is that
of one event, whichever kind is asked, so that likelihoods are comparable. Deviations stand on a
grid; at each the best service is found, and the likelihood integrated around it (Laplace's method).
A limit follows from each pair of kind and deviation by late_share.py. Its distribution is the mean
of these, weighted by likelihood (Bayesian model averaging; J. A. Hoeting and others, Statistical
Science 14, 1999, 382-417), every kind being as likely beforehand as any other.

Check. Of the right queue the service is the same at every rate. `drift` is by how much it moves
with the rate in the trials, and drift_error the standard error of that, by the score test (C. R.
Rao, 1948).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import numpy as np

from loopbench.results.stats.intervals.location import special
from loopbench.results.stats.queueing.lanes import Counts, Floats
from loopbench.results.stats.queueing.late_share import late_share
from loopbench.results.stats.queueing.queues import (
    Queue,
    Span,
    Window,
    draws,
)

_DEVIATIONS = np.geomspace(1e-3, 0.4, 14)
_USUAL_DEVIATION = 0.1
"""Larger ones are held to be less likely beforehand, by their square."""

_TEMPERED = 0.8
"""This power of the likelihood counts: servers are near these kinds, and not of them."""

_NEIGHBOURS, _BORROWED = 3, 4
"""The luck of a trial is known from few draws. What those of so many trials of lower rates, and of
higher ones, have in the mean counts beside them like so many draws more (moderated variances; G. K.
Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004, article 3). It must not
count for more: the luck of a trial depends on how many were late as well, so that an average alone
makes limits of exponential services 2 % too high."""

_LEAST_WEIGHT = 1e-4
"""A kind and deviation of less weight than this, over the largest, is left out."""

_MOST_STEPS, _BEYOND = 60, 0.5
_SETTLED = 1e-6
"""Services, as logarithms, that move by less than this in a step are found."""

_LEAST_CURVATURE = 1e-3

_CENTRES = 0.25
_RATES = np.linspace(-1.2, 1.2, 13)
_USED = np.concatenate(
    [np.arange(-3.5, -0.8, 0.1), np.arange(-0.8, 0.4, 0.02), np.arange(0.4, 1.21, 0.1)]
)
"""Logarithms of rates about a multiple of _CENTRES, and of utilisations, between which limits are
interpolated."""

_NODES = np.linspace(-4, 4, 41)
_DENSITY = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()
_SMALLEST = 1e-12
_WINDOW_STEP = 1.25
_STEP = 0.01


class FittedTrial(Protocol):
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


@dataclass(frozen=True, slots=True)
class Fit:
    """log_rate: logarithm of the limit; error: its standard error.

    queue: the most likely kind, likelihood: its share of that of all kinds; service_s, deviation
    and drift are those of it. drift_from: the logarithm of the rate about which the services turn.
    slope: of the odds of being late over the rate, at the limit, both as logarithms.
    """

    log_rate: float
    error: float
    queue: Queue
    likelihood: float
    service_s: float
    deviation: float
    drift: float
    drift_error: float
    drift_from: float
    slope: float


def fit(trials: Sequence[FittedTrial], allowed: float) -> Fit:
    """The limit for an allowed share of late requests."""
    kinds = [kind for kind in trials[0].spans if all(kind in trial.spans for trial in trials)]
    rates = np.log([trial.rate_rps for trial in trials])
    window = _rounded(sorted(trials, key=lambda trial: trial.rate_rps)[len(trials) // 2].window)
    drawn = np.array([draws(trial.rate_rps * trial.window.length_s) for trial in trials])
    log_spans = _LogSpans.of(
        [[trial.spans[kind] for trial in trials] for kind in kinds], rates, drawn
    )
    services = log_spans.best()
    score, curvature, logs = log_spans.likelihood(services)
    errors = 1 / np.sqrt(np.maximum(curvature.sum(axis=-1), _LEAST_CURVATURE))
    evidence = logs.sum(axis=-1) + np.log(errors)
    evidence = evidence - np.log1p((_DEVIATIONS / _USUAL_DEVIATION) ** 2)
    weights = np.exp(_TEMPERED * (evidence - evidence.max()))
    weights = np.where(weights < _LEAST_WEIGHT, 0.0, weights)
    weights = weights / weights.sum()
    centre = _CENTRES * round(float(rates.mean()) / _CENTRES)
    cells = list(zip(*np.nonzero(weights), strict=True))
    limits = np.array(
        [
            _limits(kinds[kind], window, allowed, centre)[step].at(
                services[kind, step], errors[kind, step]
            )
            for kind, step in cells
        ]
    )
    shares = np.array([weights[cell] for cell in cells])
    log_rate = float(shares @ limits[:, 0])
    variance = float(shares @ (limits[:, 1] ** 2 + (limits[:, 0] - log_rate) ** 2))
    kind = int(weights.sum(axis=1).argmax())
    step = int(weights[kind].argmax())
    best = _Cell(kinds[kind], services[kind, step], _DEVIATIONS[step], window)
    drift, drift_error, drift_from = _drift(rates, score[kind, step], curvature[kind, step])
    return Fit(
        log_rate,
        math.sqrt(variance),
        best.queue,
        float(weights[kind].sum()),
        math.exp(best.log_service),
        float(weights[kind] @ _DEVIATIONS) / float(weights[kind].sum()),
        drift,
        drift_error,
        drift_from,
        best.slope(log_rate),
    )


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


@dataclass(frozen=True, slots=True)
class _LogSpans:
    """Ends of the spans, as logarithms, and standard deviations: of kind, deviation and trial."""

    low: Floats
    high: Floats
    spread: Floats

    @classmethod
    def of(cls, spans: Sequence[Sequence[Span]], rates: Floats, drawn: Counts) -> _LogSpans:
        values = np.array(
            [[(span.least_s, span.most_s, span.luck) for span in kind] for kind in spans]
        )
        with np.errstate(divide="ignore"):
            low, high = np.log(values[:, None, :, 0]), np.log(values[:, None, :, 1])
        luck = _moderated(values[:, :, 2] ** 2, rates, drawn)[:, None, :]
        return cls(low, high, np.sqrt(luck + _DEVIATIONS[None, :, None] ** 2))

    def best(self) -> Floats:
        """The most likely service of each kind and deviation: where the slope of its likelihood's
        logarithm crosses 0, which it does once. By Newton's method, or halving where that leaves
        the bracket; four to six steps."""
        finite_low = np.where(np.isfinite(self.low), self.low, self.high)
        finite_high = np.where(np.isfinite(self.high), self.high, self.low)
        shape = self.spread.shape[:2]
        low = np.broadcast_to(finite_low.min(axis=2) - _BEYOND, shape)
        high = np.broadcast_to(finite_high.max(axis=2) + _BEYOND, shape)
        services: Floats = (low + high) / 2
        for _ in range(_MOST_STEPS):
            score, curvature, _ = self.likelihood(services)
            slope = score.sum(axis=-1)
            low, high = np.where(slope > 0, services, low), np.where(slope > 0, high, services)
            newton = services + slope / np.maximum(curvature.sum(axis=-1), _LEAST_CURVATURE)
            # Where one is found, a step stays at an end of its bracket.
            inside = (newton >= low) & (newton <= high)
            before, services = services, np.where(inside, newton, (low + high) / 2)
            if np.abs(services - before).max() < _SETTLED:
                break
        return services

    def likelihood(self, services: Floats) -> tuple[Floats, Floats, Floats]:
        """Of each trial: the slope of the logarithm over the service, its curvature downwards, and
        the logarithm itself."""
        ends = [(end - services[..., None]) / self.spread for end in (self.low, self.high)]
        logs = _log_between(*ends)
        below, above = (
            np.where(np.isfinite(end), np.exp(-(end**2) / 2 - logs), 0.0) / math.sqrt(2 * math.pi)
            for end in ends
        )
        score: Floats = (below - above) / self.spread
        least, most = (np.where(np.isfinite(end), end, 0.0) for end in ends)
        return score, (most * above - least * below) / self.spread**2 + score**2, logs


def _moderated(luck: Floats, rates: Floats, drawn: Counts) -> Floats:
    """Variances by luck, each from so many draws, with what trials of nearly the same rate have."""
    order = np.argsort(rates)
    usual = np.empty_like(luck)
    for place, trial in enumerate(order):
        near = order[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
        usual[:, trial] = luck[:, near].mean(axis=1)
    own = (drawn - 1) / (drawn - 1 + _BORROWED)
    moderated: Floats = own * luck + (1 - own) * usual
    return moderated


def _log_between(low: Floats, high: Floats) -> Floats:
    """The logarithm of the normal distribution's weight between two points, also far out."""
    swapped = low > 0
    below, above = np.where(swapped, -high, low), np.where(swapped, -low, high)
    larger, smaller = special().log_ndtr(above), special().log_ndtr(below)
    between: Floats = larger + np.log1p(-np.exp(np.minimum(smaller - larger, -1e-15)))
    return between


@dataclass(frozen=True, slots=True)
class _Cell:
    """A kind with its parameters."""

    queue: Queue
    log_service: float
    deviation: float
    window: Window

    def share(self, log_rate: float) -> float:
        """The expected share of late requests, averaged over the trials."""
        services_s = np.exp(self.log_service + self.deviation * _NODES)
        rates = np.full_like(services_s, math.exp(log_rate))
        return float(late_share(self.queue, rates, services_s, self.window) @ _DENSITY)

    def slope(self, log_rate: float) -> float:
        """Of the odds over the rate."""
        shares = [self.share(log_rate + step) for step in (-_STEP, _STEP)]
        odds = [math.log(max(share, _SMALLEST) / max(1 - share, _SMALLEST)) for share in shares]
        return (odds[1] - odds[0]) / (2 * _STEP)


@dataclass(frozen=True, slots=True)
class _Curve:
    """Limits over services, both as logarithms, services ascending."""

    services: Floats
    limits: Floats

    def at(self, service: float, error: float) -> tuple[float, float]:
        """The limit at a service, and its standard error."""
        low, middle, high = np.interp(
            [service - error, service, service + error], self.services, self.limits
        )
        return float(middle), abs(float(high - low)) / 2


@lru_cache(maxsize=512)
def _limits(queue: Queue, window: Window, allowed: float, centre: float) -> list[_Curve]:
    """Of each deviation, within a factor of three of a rate's logarithm."""
    rates = centre + _RATES
    alone_s = queue.threads / np.exp(rates)[:, None]
    shares = late_share(
        queue,
        np.broadcast_to(np.exp(rates)[:, None], (len(rates), len(_USED))),
        np.exp(_USED) * alone_s,
        window,
    )
    shares = np.maximum.accumulate(shares, axis=1)
    curves = []
    for averages in _averages():
        used = np.array([_crossed(averages @ row, allowed) for row in shares])
        services = used + np.log(alone_s[:, 0])
        order = np.argsort(services)
        curves.append(_Curve(services[order], rates[order]))
    return curves


def _crossed(shares: Floats, allowed: float) -> float:
    """The utilisation, as a logarithm, at which the share is the allowed one."""
    return float(np.interp(math.log(allowed), np.log(np.maximum(shares, _SMALLEST)), _USED))


@cache
def _averages() -> list[Floats]:
    """Of each deviation, what averages shares at the utilisations of the grid over the trials."""
    units = np.eye(len(_USED))
    return [
        np.stack(
            [np.interp(_USED[:, None] + each * _NODES, _USED, unit) @ _DENSITY for unit in units],
            axis=1,
        )
        for each in _DEVIATIONS
    ]


def _rounded(window: Window) -> Window:
    """Of a length that many trials share: it hardly matters, and curves are kept."""
    number = round(math.log(window.window_s) / math.log(_WINDOW_STEP))
    return Window(window.limit_s, window.lead_in_s, _WINDOW_STEP**number)
