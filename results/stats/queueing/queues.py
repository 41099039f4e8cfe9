"""Kinds of queues that a server may be, and the services that a trial tells of each of them.

A queue has threads, and requests wait in the order of arrival for the first that is free. A request
holds its thread for a time, the service: the same for all requests, or drawn for each from a gamma
distribution with a given coefficient of variation (1: exponential). A load begins with an empty
queue. Beside one thread a request may wait for a constant time in which it holds nothing, such as a
handler that awaits something and computes before or after it.

The arrivals of a trial are known, and how bursts fall decides far more about the number of late
requests than the server does. `service_spans` takes that luck out of a trial: for each kind of
queue, the services with which it would have had as many late, given the same arrivals.

Replays. With equal services requests i, i + c, i + 2c, … are served by the same of c threads, so
that c threads are c queues, each with every c-th arrival. Services that differ are drawn, DRAWS
times a trial; how the spans differ from draw to draw is the luck that remains. Several threads are
then replayed as one that is as fast as all of them, behind which a request takes its own service;
requests wait less there by `head_start`. Against a simulation of the threads themselves a limit
moves by less than 1 % by that (tests/results/stats/queueing/test_queues.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from loopbench.results.stats.queueing.lanes import Floats, Lanes, reach

Services = float | Floats

MOST_DRAWS, FEWEST_DRAWS, DRAWN = 16, 2, 16_000
"""So many draws of the services of a trial; of many arrivals fewer, DRAWN services in all, since
their luck is small and the time of a replay is not. The likelihood of a kind goes with the mean
width of its spans; where few requests are late and draws are few, the logarithm of that is too
small in the mean. With 4 draws a server of exponential services was taken in 4 of 10 sittings for
several threads with steadier ones, whose limit is up to 13 % higher."""

_TOLERANCE = 0.01
"""A replay has as many late where its number differs by no more than this share. The likelihoods of
two kinds of queue are comparable because that event is the same for both."""

_GRAIN = 1e-3
"""Services, as logarithms, are not told apart more closely: clocks are no better. Where the number
of late ones leaps over the one that was seen, the span is the part of this that belongs to it."""

_LEAST_USED, _MOST_USED = 0.05, 5.0
_LONGEST = 4.0
_NEVER = 1e300
"""When what fills up a lane arrives."""

_DOUBLINGS, _KEPT_ENOUGH = 8, 0.1
_NEARLY_FULL = 0.95


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted of a load: the arrivals of window_s, from lead_in_s on.

    limit_s: an arrival whose response takes longer is late.
    """

    limit_s: float
    lead_in_s: float
    window_s: float

    @property
    def length_s(self) -> float:
        """Of the whole load."""
        return self.lead_in_s + self.window_s


@dataclass(frozen=True, slots=True)
class Queue:
    """threads: that serve one queue. variation: standard deviation of a request's service, over
    the mean. wait: for which a request waits beside the queue, as a share of the limit of the
    objective."""

    threads: int
    variation: float = 0.0
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Span:
    """The shortest and the longest mean service with which a queue has as many late, in seconds: 0
    where none was late, infinite where all were.

    luck: standard deviation of its logarithm by the services drawn; 0 where they are equal.
    """

    least_s: float
    most_s: float
    luck: float = 0.0


ONE_THREAD = Queue(1)
QUEUES = (
    *(Queue(threads) for threads in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)),
    *(
        Queue(threads, spread)
        for spread in (0.3, 0.6, 1.0, 1.7)
        for threads in (1, 2, 3, 4, 6, 8, 12, 16, 24)
    ),
    *(Queue(1, spread, eighths / 8) for spread in (0.0, 0.3, 0.6, 1.0) for eighths in range(1, 8)),
)
"""Between two of these a server is near either: 5 threads of 10 ms near 4 or 6."""

_FASTER = 0.02
"""A trial in which a larger share of the requests took less than a kind's wait shows that the
server is none of it."""


@cache
def head_start(queue: Queue) -> float:
    """By how many services a request waits less than at one thread that is as fast as all of them.

    From the exponential tails of both: the probability of waiting is C (Erlang) in place of the
    utilisation, and the tail's exponent the same (S. Asmussen, Applied Probability and Queues,
    2003). It hardly depends on the utilisation, and is that of a nearly full queue.
    """
    offered = _NEARLY_FULL * queue.threads
    blocked = 1.0
    for number in range(1, queue.threads + 1):
        blocked = offered * blocked / (number + offered * blocked)
    waiting = blocked / (1 - _NEARLY_FULL * (1 - blocked))
    free = queue.threads * (1 - _NEARLY_FULL)
    return math.log(_NEARLY_FULL / waiting) / free * (1 + queue.variation**2) / 2


def draws(arrivals: float) -> int:
    """How often the services of a trial with so many arrivals are drawn."""
    return min(MOST_DRAWS, max(FEWEST_DRAWS, int(DRAWN // max(1.0, arrivals))))


def replay(
    queue: Queue, arrivals_s: Floats, sizes: Floats | None = None
) -> Callable[[Services], Floats]:
    """Response times for a mean service in seconds: of each arrival, until it has been served.

    arrivals_s: ascending. sizes: of each request's service, over the mean; None: all are 1.
    """
    return _equal(queue, arrivals_s) if sizes is None else _varied(queue, arrivals_s, sizes)


def _equal(queue: Queue, arrivals_s: Floats) -> Callable[[Services], Floats]:
    lanes = _dealt(arrivals_s, queue.threads, _NEVER)
    numbers = np.arange(lanes.shape[1])

    def times(service_s: Services) -> Floats:
        # The n-th of a lane ends at the largest, over all k before it, of arrival k and n - k
        # services.
        begun = np.maximum.accumulate(lanes - service_s * numbers, axis=1)
        ends: Floats = service_s * (numbers + 1) + begun - lanes
        return ends.T.ravel()[: len(arrivals_s)]

    return times


def _dealt(values: Floats, lanes: int, filler: float) -> Floats:
    """A row for each lane, of which each is given one in turn, and filled up to equal length."""
    missing = -len(values) % lanes
    return np.pad(values, (0, missing), constant_values=filler).reshape(-1, lanes).T.copy()


def _varied(queue: Queue, arrivals_s: Floats, sizes: Floats) -> Callable[[Services], Floats]:
    before = (np.cumsum(sizes, axis=-1) - sizes) / queue.threads
    ahead = head_start(queue)

    def times(service_s: Services) -> Floats:
        busy = service_s * before
        waits = busy + np.maximum.accumulate(arrivals_s - busy, axis=-1) - arrivals_s
        if ahead:
            waits = np.maximum(waits - ahead * service_s, 0.0)
        response: Floats = waits + service_s * sizes
        return response

    return times


def service_spans(
    arrivals_s: Floats, window: Window, late: Callable[[float], int]
) -> dict[Queue, Span]:
    """Of each kind of queue, what as many late ones tell of its mean service.

    arrivals_s: ascending.
    late: how many of the arrivals in the window took longer than so many seconds. Where nearly all
    exceed the limit of the window, the server could not keep up, and how late they were tells its
    service well: the limit is doubled until a tenth of the arrivals keep it. Where none is late the
    spans stay open: a shorter limit would meet what a request takes beside its queue. Kinds whose
    requests would wait for longer than these did are left out.
    """
    before = int(np.searchsorted(arrivals_s, window.lead_in_s))
    offered = len(arrivals_s) - before
    limits = [window.limit_s * 2**number for number in range(_DOUBLINGS)]
    enough = (limit for limit in limits if late(limit) <= (1 - _KEPT_ENOUGH) * offered)
    limit_s = next(enough, limits[0])
    if not late(limit_s):
        limit_s = limits[0]
    trial = _Counted(arrivals_s, before, window, limit_s, late(limit_s), offered)
    waits = sorted({queue.wait for queue in QUEUES})
    fast = _FASTER * offered
    possible = {wait for wait in waits if not wait or offered - late(wait * window.limit_s) <= fast}
    return trial.spans([queue for queue in QUEUES if queue.wait in possible])


@dataclass(frozen=True)
class _Counted:
    """A trial: `late` of its `offered` arrivals, all but the first `before`, exceeded limit_s."""

    arrivals_s: Floats
    before: int
    window: Window
    limit_s: float
    late: int
    offered: int

    @cached_property
    def _sizes(self) -> Mapping[float, Floats]:
        """Services of each variation, as shares of the mean: the same for every number of threads,
        and of two trials never the same."""
        length = len(self.arrivals_s)
        random = np.random.default_rng([length, int(self.arrivals_s.sum() * 1e6)])
        return {
            variation: random.gamma(variation**-2, variation**2, (draws(length), length))
            for variation in sorted({queue.variation for queue in QUEUES} - {0.0})
        }

    def spans(self, queues: Iterable[Queue]) -> dict[Queue, Span]:
        """What the trial tells of such queues. Each search begins with the services of the queue
        before it whose requests differ as much, which has the same draws."""
        spans = {}
        near_s = {
            variation: np.full(len(sizes), self._between_s)
            for variation, sizes in self._sizes.items()
        }
        near_s[0.0] = np.array([self._between_s])
        for queue in queues:
            logs, services_s = self._found(queue, near_s[queue.variation] * queue.threads)
            near_s[queue.variation] = services_s / queue.threads
            least, most = np.exp(logs.mean(axis=0)).tolist()
            spans[queue] = Span(least, most, _luck(logs))
        return spans

    def _found(self, queue: Queue, services_s: Floats) -> tuple[Floats, Floats]:
        """Both ends of the span, as logarithms: a row for each draw, or one of equal services; and
        services that are near them. services_s: with which the search begins."""
        few = math.ceil((1 - _TOLERANCE) * self.late)
        many = math.floor((1 + _TOLERANCE) * self.late)
        numbers = [number for number in (few, many + 1) if 0 < number <= self.offered]
        limit_s = self.limit_s - queue.wait * self.window.limit_s
        lanes = self._lanes(queue, limit_s)
        reached = dict(zip(numbers, reach(lanes, numbers, services_s), strict=True))
        alone_s = queue.threads * self._between_s
        low = math.log(_LEAST_USED * min(limit_s, alone_s))
        # Equal services above the limit make all of them late.
        longest_s = limit_s * (_LONGEST if queue.variation else 1 + _GRAIN)
        high = math.log(min(longest_s, _MOST_USED * alone_s))
        least, most = (np.full_like(services_s, end) for end in (-math.inf, math.inf))
        if few in reached:
            services_s = reached[few].services_s
            least = np.clip(np.log(services_s), low, high)
        if many + 1 in reached:
            services_s = reached[many + 1].services_s
            ends = np.log(services_s)
            most = np.where(ends < high, np.maximum(ends, low), math.inf)
        if len(reached) == 2 and (most - least < _GRAIN).any():
            wanted = many - few + 1
            both = reached[many + 1].late(_GRAIN / 2) - reached[few].late(-_GRAIN / 2)
            grain = _GRAIN * wanted / np.maximum(both, wanted)
            most = np.where(most - least < _GRAIN, np.maximum(most, least + grain), most)
        return np.stack([least, most], axis=1), services_s

    @property
    def _between_s(self) -> float:
        """From one arrival to the next, in the mean."""
        return self.window.length_s / max(1, len(self.arrivals_s))

    def _lanes(self, queue: Queue, limit_s: float) -> Lanes:
        """The arrivals: on a lane for each thread where services are equal, and all of them on a
        lane for each draw where they differ."""
        due_s = self.arrivals_s + limit_s
        due_s[: self.before] = math.inf
        if not queue.variation:
            arrivals_s = _dealt(self.arrivals_s, queue.threads, _NEVER)
            before = np.tile(np.arange(arrivals_s.shape[1], dtype=float), (queue.threads, 1))
            return Lanes(arrivals_s, before, before + 1, _dealt(due_s, queue.threads, math.inf))
        sizes = self._sizes[queue.variation]
        before = (np.cumsum(sizes, axis=-1) - sizes) / queue.threads
        ahead = head_start(queue)
        waiting = Lanes(self.arrivals_s, before, before + (sizes - ahead), due_s)
        if not ahead:
            return waiting
        return replace(waiting, alone_s=np.where(due_s < math.inf, limit_s / sizes, math.inf))


def _luck(logs: Floats) -> float:
    """By how much the services of one more draw, those of the server, may differ from the mean of
    these draws: a standard deviation, which counts that the mean itself differs."""
    ends = np.where(np.isfinite(logs), logs, logs[:, ::-1])
    known = ends.mean(axis=1)
    if len(known) == 1 or not np.isfinite(known).all():
        return 0.0
    return float(known.std(ddof=1)) * math.sqrt(1 + 1 / len(known))
