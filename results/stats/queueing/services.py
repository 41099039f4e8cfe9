"""What the trials of a search tell of a server's services, were it a queue of one kind or another.

The logarithms of the services of trials are normal, with a deviation from trial to trial and with
the luck of what was drawn (queues.py). The likelihood of a trial is the probability of the span of
services that have as many late; it is that of one event, whichever kind is asked, so that
likelihoods are comparable. Deviations stand on a grid; at each the best service is found, and the
likelihood integrated around it (Laplace's method).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loopbench.results.stats.intervals.location import special
from loopbench.results.stats.queueing.lanes import Counts, Floats
from loopbench.results.stats.queueing.queues import Span

DEVIATIONS = np.geomspace(1e-3, 0.4, 14)
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


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the trials tell of kinds by deviations, and their weights, whose sum is 1. services,
    errors: the best, as logarithms, and standard errors. score, curvature: with an axis more, the
    trials."""

    services: Floats
    errors: Floats
    weights: Floats
    score: Floats
    curvature: Floats

    @property
    def most_likely(self) -> tuple[int, int]:
        """A kind, and its deviation."""
        kind = int(self.weights.sum(axis=1).argmax())
        return kind, int(self.weights[kind].argmax())


def weighed(told: Observed) -> Weighed:
    """By the likelihood of each kind and deviation."""
    services = told.best()
    score, curvature, logs = told.likelihood(services)
    errors = 1 / np.sqrt(np.maximum(curvature.sum(axis=-1), _LEAST_CURVATURE))
    evidence = logs.sum(axis=-1) + np.log(errors)
    evidence = evidence - np.log1p((DEVIATIONS / _USUAL_DEVIATION) ** 2)
    weights = np.exp(_TEMPERED * (evidence - evidence.max()))
    weights = np.where(weights < _LEAST_WEIGHT, 0.0, weights)
    return Weighed(services, errors, weights / weights.sum(), score, curvature)


@dataclass(frozen=True, slots=True)
class Observed:
    """Ends of the spans, as logarithms, and standard deviations: of kind, deviation and trial."""

    low: Floats
    high: Floats
    spread: Floats

    @classmethod
    def of(cls, spans: Sequence[Sequence[Span]], rates: Floats, drawn: Counts) -> Observed:
        values = np.array([[(one.least_s, one.most_s, one.luck) for one in kind] for kind in spans])
        with np.errstate(divide="ignore"):
            low, high = np.log(values[:, None, :, 0]), np.log(values[:, None, :, 1])
        luck = _moderated(values[:, :, 2] ** 2, rates, drawn)[:, None, :]
        return cls(low, high, np.sqrt(luck + DEVIATIONS[None, :, None] ** 2))

    def freed(self, logs: Floats) -> Observed:
        """Of services that were not longer by these logarithms, one a trial."""
        return replace(self, low=self.low - logs, high=self.high - logs)

    def best(self) -> Floats:
        """The most likely service of each kind and deviation: where the slope of its likelihood's
        logarithm crosses 0, which it does once. By Newton's method, or halving where that leaves
        the bracket; four to six steps."""
        finite_low = np.where(np.isfinite(self.low), self.low, self.high)
        finite_high = np.where(np.isfinite(self.high), self.high, self.low)
        shape = self.spread.shape[:2]
        low = np.broadcast_to(finite_low.min(axis=2) - _BEYOND, shape)
        high = np.broadcast_to(finite_high.max(axis=2) + _BEYOND, shape)
        found: Floats = (low + high) / 2
        for _ in range(_MOST_STEPS):
            score, curvature, _ = self.likelihood(found)
            slope = score.sum(axis=-1)
            low, high = np.where(slope > 0, found, low), np.where(slope > 0, high, found)
            newton = found + slope / np.maximum(curvature.sum(axis=-1), _LEAST_CURVATURE)
            # Where one is found, a step stays at an end of its bracket.
            inside = (newton >= low) & (newton <= high)
            before, found = found, np.where(inside, newton, (low + high) / 2)
            if np.abs(found - before).max() < _SETTLED:
                break
        return found

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
