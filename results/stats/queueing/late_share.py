"""The share of requests that are late at a queue, as an average over all Poisson arrivals.

A diffusion: the work that waits is a Brownian motion that is reflected at zero, whose distribution
at an instant is known (J. M. Harrison, Brownian Motion and Stochastic Flow Systems, 1985, section
1.8). Its variance and its origin are those with which it decays, in the long run, as the queue
itself (Cramér and Lundberg's exponent and constant; S. Asmussen, Applied Probability and Queues,
2003, chapter XIII). The threads count as one that is as fast as all of them, with the start that
queues.py gives them, and a request takes its own service behind that.

Held to simulations of the threads themselves, at limits of 2.5 to 500 services, it is right to 1 %
of the rate (tests/results/stats/queueing/test_late_share.py).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from loopbench.results.stats.intervals.location import special
from loopbench.results.stats.queueing.lanes import Floats
from loopbench.results.stats.queueing.queues import Queue, Window, head_start

_NEAR_FULL = 1e-4
"""A utilisation so close to 1 is moved: the formulas are a quotient of zeros there."""

_INSTANTS, _OWN_SIZES, _OWN_TAIL = 8, 10, 4
_HALVINGS = 45
_SMALLEST = 1e-13


def late_share(queue: Queue, rate_rps: Floats, services_s: Floats, window: Window) -> Floats:
    """The expected share of the arrivals in the window that are late.

    One for each pair of a rate and a mean service, of arrays of one shape.
    """
    spread = queue.variation**2
    limit_s = window.limit_s * (1 - queue.wait)
    fast_s = np.minimum(services_s, limit_s * 1e3) / queue.threads
    used = rate_rps * fast_s
    used = np.where(np.abs(used - 1) < _NEAR_FULL, 1 + _NEAR_FULL, used)
    exponent = _exponent(used, spread)
    ahead = np.log((1 - used) / (used * _moment_slope(exponent, spread) - 1)) * fast_s / exponent
    ahead = ahead - head_start(queue) * fast_s * queue.threads
    variance = 2 * (1 - used) / exponent * fast_s
    sizes, weights = _own_sizes(spread)
    own_s = (fast_s * queue.threads)[..., None] * sizes
    beyond = limit_s - own_s - ahead[..., None]
    late = _exceeded(used - 1, variance, exponent / fast_s, beyond, window)
    shares: Floats = np.where(own_s >= limit_s, 1.0, late) @ weights
    return shares


def _exceeded(
    drift: Floats, variance: Floats, decay: Floats, beyond: Floats, window: Window
) -> Floats:
    """The share of the window in which the motion is further than `beyond`, which has an axis
    more: the services of the request itself."""
    places, weights = _instants()
    instants = window.lead_in_s + window.window_s * (places + 1) / 2
    spread = np.sqrt(variance[..., None] * instants)[..., None, :]
    moved = (drift[..., None] * instants)[..., None, :]
    far = beyond[..., None]
    mirrored = -decay[..., None, None] * far
    above = special().ndtr((moved - far) / spread) + np.exp(
        np.minimum(mirrored + special().log_ndtr((-moved - far) / spread), 0.0)
    )
    shares: Floats = np.clip(above, 0, 1) @ (weights / 2)
    return shares


@cache
def _instants() -> tuple[Floats, Floats]:
    """Gauss and Legendre's points of an average over -1 to 1, and their weights, sum 2."""
    return np.polynomial.legendre.leggauss(_INSTANTS)


@cache
def _own_sizes(spread: float) -> tuple[Floats, Floats]:
    """Services over their mean, and their weights: denser in the tail, which alone is late."""
    if spread == 0:
        return np.ones(1), np.ones(1)
    places, weights = np.polynomial.legendre.leggauss(_OWN_SIZES)
    rest = (1 - places) / 2
    each = weights * rest ** (_OWN_TAIL - 1)
    return special().gammainccinv(1 / spread, rest**_OWN_TAIL) * spread, each / each.sum()


def _moment(at: Floats, spread: float) -> Floats:
    """The moment generating function of a service over its mean."""
    return np.asarray(np.exp(at) if spread == 0 else (1 - spread * at) ** (-1 / spread))


def _moment_slope(at: Floats, spread: float) -> Floats:
    return np.asarray(np.exp(at) if spread == 0 else (1 - spread * at) ** (-1 / spread - 1))


def _exponent(used: Floats, spread: float) -> Floats:
    """The root other than 0 of used · (moment(u) - 1) = u, by halving.

    The difference of both sides is lowest at `bottom`, and the root on its far side from 0.
    """
    if spread == 0:
        bottom = -np.log(used)
        furthest = 2 * bottom
    else:
        bottom = (1 - used ** (spread / (1 + spread))) / spread
        furthest = np.full_like(used, (1 - _SMALLEST) / spread)
    inside = bottom
    outside = np.where(used < 1, furthest, -used)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        beyond = used * (_moment(middle, spread) - 1) > middle
        inside, outside = np.where(beyond, inside, middle), np.where(beyond, middle, outside)
    return (inside + outside) / 2
