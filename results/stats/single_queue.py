"""One thread with a queue: how many requests are late, and the service that so many tell of.

The model: requests arrive at random (Poisson), are served one after another in the order of
arrival, and each holds the server for the same time, the service. A load begins with an empty
queue. It has two uses. `service_span` takes the luck of the arrivals out of a trial: how bursts
fall decides far more about the number of late requests than the server does, and the arrivals of a
trial are known. `late_share` puts it in again, as an average over all arrivals.

`late_share` is a diffusion: the work that waits is a Brownian motion that is reflected at zero,
whose distribution at an instant is known (J. M. Harrison, Brownian Motion and Stochastic Flow
Systems, 1985, section 1.8). Its variance and its origin are those with which it decays, in the
long run, as the queue itself (Cramér and Lundberg's exponent and constant; S. Asmussen, Applied
Probability and Queues, 2003, chapter XIII). Held to a simulation of the queue itself, at limits of
2.5 to 500 services, it is right to half a per cent of the rate
(tests/results/test_single_queue.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from loopbench.results.stats.censored_line import Floats
from loopbench.results.stats.location import special

_HALVINGS = 24
_SHORTEST = 1e-6
"""Of the limit: a service that is shorter is not told apart from none."""

_NEAR_FULL = 1e-4
"""A utilisation so close to 1 is moved: the formulas are a quotient of zeros there."""

_DOUBLINGS, _KEPT_ENOUGH = 8, 0.1
_INSTANTS = 16
_NEWTON_STEPS, _CLOSE = 60, 1e-10


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted of a load: the arrivals of window_s, from lead_in_s on.

    limit_s: an arrival whose response takes longer is late.
    """

    limit_s: float
    lead_in_s: float
    window_s: float


def response_times(arrivals_s: Floats, service_s: float) -> Floats:
    """Of each arrival: from then until the queue has served it. arrivals_s: ascending."""
    numbers = np.arange(len(arrivals_s))
    # The n-th ends at the largest, over all k before it, of arrival k and n - k services.
    begun = np.maximum.accumulate(arrivals_s - service_s * numbers)
    return service_s * (numbers + 1) + begun - arrivals_s


def late_number(arrivals_s: Floats, service_s: float, window: Window) -> int:
    """How many of the arrivals in the window are late."""
    times = response_times(arrivals_s, service_s)[arrivals_s >= window.lead_in_s]
    return int((times > window.limit_s).sum())


def service_span(arrivals_s: Floats, window: Window, late: int) -> tuple[float, float]:
    """The shortest and the longest service with which a queue is late as often, in seconds.

    late: so many of the arrivals in the window were. (0, …) where none was late, (…, infinity)
    where all were. Where no service gives just so many, both are the one at which the number leaps
    over it.
    """

    def found(service_s: float) -> int:
        return late_number(arrivals_s, service_s, window)

    limit_s = window.limit_s
    least = _first(lambda service_s: found(service_s) >= late, limit_s) if late else 0.0
    everyone = late >= int((arrivals_s >= window.lead_in_s).sum())
    most = math.inf if everyone else _first(lambda service_s: found(service_s) > late, limit_s)
    return least, most


def told_span(
    arrivals_s: Floats, window: Window, late: Callable[[float], int]
) -> tuple[float, float]:
    """As `service_span`, and not open upwards while more patience tells more.

    late: how many of the arrivals in the window took longer than so many seconds. Where nearly all
    exceed the limit of the window, the server could not keep up, and how late they were tells its
    service well: the limit is doubled until a tenth of the arrivals keep it. Where none is late the
    span stays open: a shorter limit would meet what a request takes beside its queue.
    """
    offered = int((arrivals_s >= window.lead_in_s).sum())
    limits = [window.limit_s * 2**number for number in range(_DOUBLINGS)]
    enough = (limit for limit in limits if late(limit) <= (1 - _KEPT_ENOUGH) * offered)
    limit_s = next(enough, limits[0])
    if not late(limit_s):
        limit_s = limits[0]
    return service_span(arrivals_s, replace(window, limit_s=limit_s), late(limit_s))


def _first(reached: Callable[[float], bool], limit_s: float) -> float:
    """The shortest service with which it is reached; a service above the limit reaches all."""
    low, high = math.log(limit_s * _SHORTEST), math.log(limit_s) + 1e-6
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(math.exp(middle)) else (middle, high)
    return math.exp((low + high) / 2)


def late_share(rate_rps: float, services_s: Floats, window: Window) -> Floats:
    """The expected share of the arrivals in the window that are late; one for each service."""
    services_s = np.clip(services_s, window.limit_s * _SHORTEST, window.limit_s)
    used = rate_rps * services_s
    used = np.where(np.abs(used - 1) < _NEAR_FULL, 1 + _NEAR_FULL, used)
    exponent = _exponent(used)
    drift = used - 1
    variance = 2 * (1 - used) / exponent * services_s
    shift = np.log((1 - used) / (used * np.exp(exponent) - 1)) * services_s / exponent
    beyond = window.limit_s - services_s - shift
    places, weights = _instants()
    instants = window.lead_in_s + window.window_s * (places + 1) / 2
    spread = np.sqrt(variance[:, None] * instants)
    moved = drift[:, None] * instants
    mirrored = -(exponent / services_s * beyond)[:, None]
    above = special().ndtr((moved - beyond[:, None]) / spread) + np.exp(
        np.minimum(mirrored + special().log_ndtr((-moved - beyond[:, None]) / spread), 0.0)
    )
    shares = (np.clip(above, 0, 1) * weights / 2).sum(axis=1)
    return np.where(services_s >= window.limit_s, 1.0, shares)


@cache
def _instants() -> tuple[Floats, Floats]:
    """Gauss and Legendre's points of an average over -1 to 1, and their weights, sum 2."""
    return np.polynomial.legendre.leggauss(_INSTANTS)


def _exponent(used: Floats) -> Floats:
    """The root other than 0 of used · (eᵘ - 1) = u, by Newton's method."""
    root = np.where(used < 1, -2 * np.log(used), -np.minimum(used, 2 * (used - 1)))
    for _ in range(_NEWTON_STEPS):
        grown = used * np.exp(root)
        step = (grown - used - root) / (grown - 1)
        root = root - np.clip(step, -1, 1)
        if np.abs(step).max() < _CLOSE:
            break
    return root
