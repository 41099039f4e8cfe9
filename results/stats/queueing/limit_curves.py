"""At which rate a kind of queue makes the allowed share of requests late, by its services.

Shares are those of late_share.py, averaged over services whose logarithms are normal. They are
worked out on a grid, and interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from loopbench.results.stats.queueing.lanes import Floats
from loopbench.results.stats.queueing.late_share import late_share
from loopbench.results.stats.queueing.queues import Queue, Window
from loopbench.results.stats.queueing.services import DEVIATIONS

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
_STEP = 0.01


@dataclass(frozen=True, slots=True)
class QueueModel:
    """A kind of queue with its parameters. log_service: logarithm of the mean service in seconds.
    deviation: by which that differs from trial to trial. window: what is counted of a trial."""

    queue: Queue
    log_service: float
    deviation: float
    window: Window

    def limit(self, allowed: float, error: float, near: float) -> tuple[float, float]:
        """The rate at which the allowed share is late, and its standard error, both as logarithms.

        error: standard error of log_service. near: a rate's logarithm within a factor of two. By
        interpolation over the logarithm of the deviation, beyond the last of the grid at that.
        """
        centre = _CENTRES * round(near / _CENTRES)
        curves = _curves(self.queue, self.window, allowed, centre)
        place = float(
            np.interp(math.log(self.deviation), np.log(DEVIATIONS), np.arange(len(curves)))
        )
        first = min(int(place), len(curves) - 2)
        ends = [curves[one].at(self.log_service, error) for one in (first, first + 1)]
        limit, its_error = (
            before + (place - first) * (after - before) for before, after in zip(*ends, strict=True)
        )
        return limit, its_error

    def share(self, log_rate: float) -> float:
        """The expected share of late requests, averaged over the trials."""
        services_s = np.exp(self.log_service + self.deviation * _NODES)
        rates = np.full_like(services_s, math.exp(log_rate))
        return float(late_share(self.queue, rates, services_s, self.window) @ _DENSITY)

    def slope(self, log_rate: float) -> float:
        """Of the odds over the rate."""
        shares = [self.share(log_rate + step) for step in (-_STEP, _STEP)]
        odds = [math.log(max(one, _SMALLEST) / max(1 - one, _SMALLEST)) for one in shares]
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
def _curves(queue: Queue, window: Window, allowed: float, centre: float) -> list[_Curve]:
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
    found = []
    for averages in _averages():
        used = np.array([_crossed(averages @ row, allowed) for row in shares])
        services = used + np.log(alone_s[:, 0])
        order = np.argsort(services)
        found.append(_Curve(services[order], rates[order]))
    return found


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
        for each in DEVIATIONS
    ]
