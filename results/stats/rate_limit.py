"""The highest arrival rate at which a response-time objective holds, from trials at many rates.

An objective such as "p99 below 20 ms" allows a share of the requests, here 1 %, to be late. The
share of late requests rises with the rate, and the limit is the rate at which it crosses the
allowed one, on the average over the states that the machine is in and over all arrivals. Trials
are made at rates on both sides of it.

Model. Each trial is read as a queue at one thread (single_queue.py): the span of services with
which the arrivals of this trial, which are known, make as many requests late. The logarithms of
the services of a server are taken to be normal: about a straight line over the logarithm of the
rate, with a standard deviation that is the mood of the machine, or whatever else differs from
trial to trial. Height and slope of the line and the deviation are fitted by maximum likelihood to
the spans, which are open at an end where no request was late, or all were (censored_line.py). The
limit is the rate at which the share of a queue, averaged over that normal
distribution, is the allowed one. The line's slope makes up for a server that is no such queue:
where half of a response time is a wait elsewhere, services seem to fall as the rate rises.

Check. A server whose services differ from request to request is no such queue. The service by which
a trial is read then falls as the rate rises: bursts of long ones decide far from full, and their
mean where the server is full. The model puts the limit of such a server too low, by 10 to 30 % in
simulations. So where the line falls steeply, the model's curve is shifted along the rate until it
gives as many late requests near the limit as there were, and the error of that is added.

Interval. The delta method, Student's t with three degrees of freedom fewer than trials; WIDENED
makes up for the deviation being known from few trials, and for the trials being placed, and the
search ended, by what was seen. MODEL_ERROR is what the model may be off by. In 100 whole searches
each of simulated servers, to 4 % or 48 trials, the interval held the truth in 100, 100 and 99 for
services of 2 ms that vary by 0, 5 and 10 % from trial to trial, and in 94 and 97 for 0.2 ms and 2
and 10 %; half of it was 2.2, 4.4, 8.6, 3.4 and 10.7 %. Of servers that are no such queue, at 3 %
and 16 times each: a pause of 8 ms every 500 requests, 15 (4 %); 10 ms of waiting beside 0.3 ms of
computing, 15 (4 %); services of 0.2 and 4 ms mixed, 14 (23 %); services distributed exponentially,
12 (14 %), with a limit that is 18 % too low in the mean; six threads in place of one, 3 (5 %), 6 %
too low.

A server may also hold every rate up to one and break down there. A line through services fits that
badly: it has a large deviation, and still the trials are parted sharply at one rate. The limit is
then said to be between the two trials beside the leap.

What else was tried, on simulated servers (tests/results/test_rate_limit.py) of 500 and 5,000
services a second, with 48 trials:
- An isotonic fit of the shares: 2 % too high, standard deviation 4 %, since it takes what it knows
  from the few trials beside the crossing.
- Logistic regression of the shares over the rate, with the dispersion of the trials: its interval
  reached 4 to 13 % far, and where the service varied by 10 % from trial to trial it reached 20 %
  and still held the truth in 85 of 100 sittings. Of 500 services a second 4.2 % was its floor, even
  with every trial at the limit: so much do the arrivals of 48 seconds differ.
- The closed form of a queue in place of its simulation: it differs by half a per cent of the rate,
  and takes a thousandth of the time.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from loopbench.results.stats.censored_line import CensoredLine, Floats
from loopbench.results.stats.location import Interval, quantile
from loopbench.results.stats.single_queue import Window, late_share

WINDOW = 0.35
"""Trials further from the limit, in the rate's logarithm, take no part."""

WIDENED = 1.2
MODEL_ERROR = 1e-2
"""Standard error of the model, as a share of the rate. The closed form is right to half a per cent;
six threads in place of one, or a collector that comes now and then, move the limit by 1 to 5 %."""

FEWEST_TRIALS = 10
"""Fewer near the limit give no interval."""

CLIFF_SLOPE = 60.0
"""Above it the share of late requests grows tenfold within 4 % of the rate."""

LEAP, FEWEST_LEAPS = 10, 8
"""By so much the share must leap, and so many trials be on either side, to be taken for one."""

LEAPS_WITHIN = 0.5
"""Of the deviation that the trials would have as those of a queue: a queue whose services deviate
by so much does not part held rates from missed ones so sharply."""

LEAST_SLOPE = -0.25
"""Of the services over the rate, as logarithms: where they fall faster, the server is no queue with
one service, and the counts of late requests decide."""

FEWEST_LATE = 8
_NEAR, _GRID = 10.0, 57
"""Up to so many times the allowed share a trial tells of the limit, and not of a full server."""

_GRAIN = 5e-4
"""Services are not told apart more closely: clocks and the closed form are not better."""

_NODES, _FURTHEST = 121, 5.0
_REACH = 1.5
_MOST_ERROR = 3.0
_LONGEST_LOG = 50.0
_HALVINGS = 18


@dataclass(frozen=True, slots=True)
class Trial:
    """One rate that was offered. slow: of the requests offered.

    least_s, most_s: the services with which a queue at one thread would have had as many slow.
    """

    rate_rps: float
    offered: int
    slow: int
    least_s: float
    most_s: float
    window: Window


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the share of slow requests crosses the allowed one.

    rate_rps: the limit. error: standard error of its logarithm, widened, with that of the model.
    slope: of the odds of being slow over the rate there, both as logarithms. service_s: the time
    for which a request holds the server there, were it one thread with a queue. deviation: by which
    that differs from trial to trial, as a share; neither is a number where the share leaps. trials:
    how many took part.
    """

    rate_rps: float
    error: float
    slope: float
    service_s: float
    deviation: float
    trials: int

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the limit; None of too few trials."""
        if self.trials < FEWEST_TRIALS:
            return None
        half = quantile(self.trials - 3) * self.error
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
    freedom = min(one.trials, other.trials) - 3
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
    leap = _leap(usable, share, found.deviation * LEAPS_WITHIN)
    if leap is not None:
        return leap
    near = [trial for trial in usable if abs(math.log(trial.rate_rps / found.rate_rps)) <= WINDOW]
    if 3 <= len(near) < len(usable) and bracketed(near, share):
        return _fit(near, share)
    return found


def _leap(trials: Sequence[Trial], share: float, within: float) -> Crossing | None:
    """The limit of a server that holds every rate up to one, and leaps there to LEAP of the allowed
    share and more: no queue does. It is between two trials, whose rates' logarithms differ by less
    than `within`; as a standard error counts half of that. None where the trials do not look like
    that, or are few on a side."""
    held = [one for one in trials if one.slow <= share * one.offered]
    missed = [one for one in trials if one.slow > share * one.offered]
    last = max(held, key=lambda one: one.rate_rps)
    first = min(missed, key=lambda one: one.rate_rps)
    leaps = all(one.slow >= LEAP * share * one.offered for one in missed)
    distance = math.log(first.rate_rps / last.rate_rps)
    if not 0 < distance < within or not leaps or min(len(held), len(missed)) < FEWEST_LEAPS:
        return None
    odds = [math.log((one.slow + 0.5) / (one.offered - one.slow + 0.5)) for one in (last, first)]
    return Crossing(
        math.sqrt(last.rate_rps * first.rate_rps),
        distance / 2,
        (odds[1] - odds[0]) / distance,
        math.nan,
        math.nan,
        len(trials),
    )


def _fit(trials: Sequence[Trial], allowed: float) -> Crossing:
    """By the queue's model; and by the counts of late requests alone, where they contradict it."""
    middle = statistics.fmean(math.log(trial.rate_rps) for trial in trials)
    line = _services(trials, middle)
    window = sorted(trials, key=lambda trial: trial.rate_rps)[len(trials) // 2].window
    nodes, weights = _nodes()

    def share(log_rate: float, parameters: Floats = line.parameters) -> float:
        logs = np.minimum(line.value(log_rate - middle, parameters, nodes), _LONGEST_LOG)
        return float(weights @ late_share(math.exp(log_rate), np.exp(logs), window))

    at = _root(lambda rate: share(rate) > allowed, middle)
    steeper = _difference(share, at, line.deviation / 4)
    # The limit moves as the share does, over how the share moves with the rate.
    moves = np.diag(line.errors / 4)
    more = [share(at, line.parameters + move) - share(at, line.parameters - move) for move in moves]
    gradient = np.array(more) / (line.errors / 2) / steeper
    error = min(_MOST_ERROR, math.sqrt(float(gradient @ line.covariance @ gradient)))
    slope, slope_error = line.slope
    if slope + 2 * slope_error < LEAST_SLOPE:
        shift, shift_error = _by_counts(trials, share, at, allowed)
        at, error = at + shift, min(_MOST_ERROR, math.hypot(error, shift_error))
    return Crossing(
        math.exp(at),
        math.hypot(WIDENED * error, MODEL_ERROR),
        steeper / (allowed * (1 - allowed)),
        math.exp(float(line.value(at - middle, line.parameters))),
        line.deviation,
        len(trials),
    )


def _by_counts(
    trials: Sequence[Trial], share: Callable[[float], float], at: float, allowed: float
) -> tuple[float, float]:
    """By how much the model's curve must be shifted along the rate's logarithm to give as many late
    requests as there were, near the limit; and the standard error of that, by what the trials
    differ from the shifted curve. (0, 0) where few trials near the limit have late requests."""
    grid = at + np.linspace(-2 * WINDOW, 2 * WINDOW, _GRID)
    curve = np.maximum.accumulate([share(rate) for rate in grid])
    rates = np.log([trial.rate_rps for trial in trials])
    near = np.interp(rates, grid, curve) < _NEAR * allowed
    rates = rates[near]
    offered = np.array([trial.offered for trial in trials])[near]
    slow = np.array([trial.slow for trial in trials])[near]
    if np.count_nonzero(slow) < FEWEST_LATE:
        return 0.0, 0.0

    def expected(shift: float) -> Floats:
        return np.asarray(offered * np.interp(rates - shift, grid, curve))

    found = slow.sum()
    shift = _root(lambda moved: float(expected(moved).sum()) < found, 0.0, WINDOW)
    moves = -_difference(lambda moved: float(expected(moved).sum()), shift, WINDOW / _GRID)
    misses = slow - expected(shift)
    error = math.sqrt(float(misses @ misses) * len(rates) / (len(rates) - 1))
    return shift, error / moves if moves > 0 else math.inf


def _services(trials: Sequence[Trial], middle: float) -> CensoredLine:
    """The services over the rate, both as logarithms; the place 0 is `middle`."""
    with np.errstate(divide="ignore"):
        least, most = np.log([(trial.least_s, trial.most_s) for trial in trials]).T
    places = np.array([math.log(trial.rate_rps) - middle for trial in trials])
    return CensoredLine.fitted(places, least - _GRAIN, most + _GRAIN)


@cache
def _nodes() -> tuple[Floats, Floats]:
    """Points of an average over the standard normal distribution, and their weights: evenly, since
    the share of a fast server leaps from 0 to 1 between two rates."""
    nodes = np.linspace(-_FURTHEST, _FURTHEST, _NODES)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def _root(above: Callable[[float], bool], middle: float, reach: float = _REACH) -> float:
    """The logarithm of the rate from which on it is above, no further than so from the middle."""
    low, high = middle - reach, middle + reach
    for _ in range(_HALVINGS):
        rate = (low + high) / 2
        low, high = (low, rate) if above(rate) else (rate, high)
    return (low + high) / 2


def _difference(of: Callable[[float], float], at: float, step: float) -> float:
    """The derivative, from a step in each direction."""
    return (of(at + step) - of(at - step)) / (2 * step)
