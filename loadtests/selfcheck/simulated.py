"""A simulated server whose limit is known, to search for it a hundred times."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from loopbench.loadtests.capacity.search import Search
from loopbench.results.stats.rate_limit import Trial
from loopbench.results.stats.single_queue import Window, late_number, response_times, told_span

SHARE = 0.01
WINDOW = Window(limit_s=0.02, lead_in_s=0.2, window_s=1.0)
_TRUTHS, _HALVINGS = 2000, 11


@dataclass(slots=True)
class Queue:
    """One thread with a queue: Poisson arrivals, in their order, each served in service_s.

    noise: standard deviation of the logarithm of the service, from trial to trial.
    """

    service_s: float
    noise: float
    seed: int
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def trial(self, rate_rps: float) -> Trial:
        """What a trial at this rate would report."""
        length_s = WINDOW.lead_in_s + WINDOW.window_s
        number = self._random.poisson(rate_rps * length_s)
        arrivals_s = np.sort(self._random.uniform(0, length_s, number))
        service_s = self.service_s * math.exp(self.noise * self._random.standard_normal())
        times_s = response_times(arrivals_s, service_s)[arrivals_s >= WINDOW.lead_in_s]

        def late(limit_s: float) -> int:
            return int((times_s > limit_s).sum())

        span = told_span(arrivals_s, WINDOW, late)
        return Trial(rate_rps, len(times_s), late(WINDOW.limit_s), *span, window=WINDOW)

    def sitting(self, number: int, most_trials: int, precision: float = 0.0) -> Search:
        """A search from 0.7 of the highest rate of all, until the limit is known to `precision`."""
        search = Search(SHARE, 0.7 / self.service_s, str(number))
        while len(search.trials) < most_trials:
            rate = search.next_rps()
            assert rate is not None  # it ends where the generator does, and there is none
            search.add(self.trial(rate))
            if search.known_to(precision):
                break
        return search


def true_limit(service_s: float, noise: float, trials: int = _TRUTHS) -> float:
    """Of such a Queue: by simulation alone, without the closed form that a search uses.

    All rates meet the same arrivals, stretched, and the same noise.
    """
    random = np.random.default_rng(1)
    length_s = WINDOW.lead_in_s + WINDOW.window_s
    highest = 1.2 / service_s
    gaps = random.exponential(1.0, (trials, int(highest * length_s * 1.2) + 60))
    places = gaps.cumsum(axis=1)
    services_s = service_s * np.exp(noise * random.standard_normal(trials))
    low, high = 0.3 / service_s, highest
    for _ in range(_HALVINGS):
        rate = math.sqrt(low * high)
        slow = offered = 0
        for row, each_s in zip(places, services_s, strict=True):
            arrivals_s = row[: np.searchsorted(row, rate * length_s)] / rate
            slow += late_number(arrivals_s, float(each_s), WINDOW)
            offered += int((arrivals_s >= WINDOW.lead_in_s).sum())
        low, high = (low, rate) if slow > SHARE * offered else (rate, high)
    return math.sqrt(low * high)
