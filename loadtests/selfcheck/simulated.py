"""A simulated server whose limit is known, to search for it many times."""

from __future__ import annotations

import heapq
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from loopbench.loadtests.capacity.search import Search
from loopbench.results.stats.queueing.lanes import Floats
from loopbench.results.stats.queueing.queues import Queue, Window, replay, service_spans
from loopbench.results.stats.queueing.rate_limit import Trial

SHARE = 0.01
WINDOW = Window(limit_s=0.02, lead_in_s=0.2, window_s=1.0)
LENGTH_S = WINDOW.lead_in_s + WINDOW.window_s
_TRUTHS, _HALVINGS, _HIGHEST = 1_000_000, 11, 1.2
_FEWEST_TRUTHS, _MOST_TRUTHS = 200, 2000
_ONE_VARIED = 8
"""So many times as much of one thread whose services differ, whose late requests come in few, large
bursts: by 1,400 trials of exponential services of 2 ms the limit was 1.3 % below that by 40,000."""


def served(arrivals_s: Floats, services_s: Floats, threads: int) -> Floats:
    """Response times, event by event: each request takes the thread that is free first."""
    free = [0.0] * threads
    ends = []
    for arrival_s, service_s in zip(arrivals_s.tolist(), services_s.tolist(), strict=True):
        first = free[0]
        # A call of `max` takes as long as all the rest.
        end = (arrival_s if arrival_s > first else first) + service_s
        heapq.heapreplace(free, end)
        ends.append(end)
    return np.array(ends) - arrivals_s


@dataclass(slots=True)
class Server:
    """Poisson arrivals at the threads of a queue, in their order.

    service_s: of a request, in the mean; services that differ are distributed by the gamma
    distribution, which at a variation of 1 is the exponential one. noise: standard deviation of the
    logarithm of the service, from trial to trial.
    """

    service_s: float
    noise: float
    seed: int
    queue: Queue = field(default_factory=lambda: Queue(1))
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    @property
    def full_rps(self) -> float:
        """The rate at which all threads are always busy, were there no noise."""
        return self.queue.threads / self.service_s

    @property
    def wait_s(self) -> float:
        """What a request takes beside the queue."""
        return self.queue.wait * WINDOW.limit_s

    def sizes(self, number: int, random: np.random.Generator) -> Floats:
        """Services of so many requests, over their mean."""
        if not self.queue.variation:
            return np.ones(number)
        spread = self.queue.variation**2
        return random.gamma(1 / spread, spread, number)

    def trial(self, rate_rps: float) -> Trial:
        """What a trial at this rate would report."""
        number = self._random.poisson(rate_rps * LENGTH_S)
        arrivals_s = np.sort(self._random.uniform(0, LENGTH_S, number))
        service_s = self.service_s * math.exp(self.noise * self._random.standard_normal())
        services_s = service_s * self.sizes(number, self._random)
        times_s = served(arrivals_s, services_s, self.queue.threads) + self.wait_s
        return trial_of(rate_rps, arrivals_s, times_s)

    def sitting(self, number: int, most_trials: int, precision: float = 0.0) -> Search:
        """A search from 0.7 of the highest rate of all, until the limit is known to `precision`."""
        search = Search(SHARE, 0.7 * self.full_rps, str(number))
        while len(search.trials) < most_trials:
            rate = search.next_rps()
            assert rate is not None  # it ends where the generator does, and there is none
            search.add(self.trial(rate))
            if search.known_to(precision):
                break
        return search


def trial_of(rate_rps: float, arrivals_s: Floats, times_s: Floats) -> Trial:
    """A trial with these arrivals and their response times."""
    counted_s = times_s[arrivals_s >= WINDOW.lead_in_s]

    def late(limit_s: float) -> int:
        return int((counted_s > limit_s).sum())

    spans = service_spans(arrivals_s, WINDOW, late)
    return Trial(rate_rps, len(counted_s), late(WINDOW.limit_s), spans, WINDOW)


def true_limit(server: Server, requests: int = _TRUTHS) -> float:
    """Of such a server: by simulation alone, without the closed form that a search uses.

    requests: about so many at each of the rates that are tried.
    """
    share_at = late_shares(server, requests)
    low, high = 0.2 * server.full_rps, _HIGHEST * server.full_rps
    for _ in range(_HALVINGS):
        rate = math.sqrt(low * high)
        low, high = (low, rate) if share_at(rate) > SHARE else (rate, high)
    return math.sqrt(low * high)


def late_shares(server: Server, requests: int = _TRUTHS) -> Callable[[float], float]:
    """The share of late requests by the rate, up to _HIGHEST of the rate that fills the server.

    requests: about so many are simulated at a rate, or _ONE_VARIED times as many. All rates meet
    the same arrivals, stretched, and the same noise.
    """
    times = _ONE_VARIED if server.queue.threads == 1 and server.queue.variation else 1
    random = np.random.default_rng(1)
    highest = _HIGHEST * server.full_rps
    most = int(highest * LENGTH_S * 1.2) + 60
    trials = times * min(_MOST_TRUTHS, max(_FEWEST_TRUTHS, round(requests / highest / LENGTH_S)))
    places = random.exponential(1.0, (trials, most)).cumsum(axis=1)
    # Evenly, and in a random order: of as many drawn ones the few slowest would decide too much.
    normal = statistics.NormalDist()
    deviates = random.permutation([normal.inv_cdf((n + 0.5) / trials) for n in range(trials)])
    services_s = [
        server.service_s * math.exp(server.noise * deviate) * server.sizes(most, random)
        for deviate in deviates
    ]

    def share_at(rate_rps: float) -> float:
        slow = offered = 0
        for row, each_s in zip(places, services_s, strict=True):
            arrivals_s = row[: np.searchsorted(row, rate_rps * LENGTH_S)] / rate_rps
            services = each_s[: len(arrivals_s)]
            times_s = _times(arrivals_s, services, server.queue)
            counted_s = times_s[arrivals_s >= WINDOW.lead_in_s] + server.wait_s
            slow += int((counted_s > WINDOW.limit_s).sum())
            offered += len(counted_s)
        return slow / offered

    return share_at


def _times(arrivals_s: Floats, services_s: Floats, queue: Queue) -> Floats:
    """Response times without the wait: of one thread by its replay, which is exact and takes a
    tenth of the time."""
    if queue.threads == 1:
        return replay(queue, arrivals_s, services_s)(1.0)
    return served(arrivals_s, services_s, queue.threads)
