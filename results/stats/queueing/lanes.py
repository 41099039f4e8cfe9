"""The mean services with which given numbers of requests are late, of requests that wait in lanes.

The requests of a lane are served in the order of their arrival. A request is late if there is one,
itself or one before it, such that all services from that one on would end too late though they
began when it arrived. For each of these there is a mean service from which on this is so, and the
shortest of them makes the request late. One pass over a lane, with any mean service, tells for each
request which of those before it decides there. The service from which on that one makes it late is
never too short, and is exact if the same one decides with it.

`reach` takes the number-th shortest of what a pass tells of all requests, makes a pass with that,
and so on. After the first pass it never gets longer, and it stands still at the right one (W.
Dinkelbach, On Nonlinear Fractional Programming, Management Science 13, 1967, 492-498). If it begins
with the services of a similar queue, it takes two or three passes; halving took nineteen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int_]

_FOUND = 1e-4
"""A service, as a logarithm, that moves by less in a pass is found: the next pass moves it by far
less."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Requests, a row for each lane.

    arrivals_s: ascending. before: services that come before that of a request, over their mean;
    after: the same with its own. due_s: a request that ends later is late; infinite: it is not
    counted. alone_s: the mean service with which a request that does not wait is late; None: that
    follows from the others.
    """

    arrivals_s: Floats
    before: Floats
    after: Floats
    due_s: Floats
    alone_s: Floats | None = None

    def late_from(self, services_s: Floats) -> Floats:
        """From which mean service on each request is late, if its wait begins with the same request
        as it does with these services, of which each lane has one, or all the same; else a longer
        one. Both in seconds."""
        each_s = services_s[:, None]
        # In place where it can be: half of the time would go to making arrays.
        free_s = each_s * self.before
        np.subtract(self.arrivals_s, free_s, out=free_s)
        begun_s = np.fmax.accumulate(free_s, axis=-1)
        # A wait begins with the last request that found nothing left to do.
        begins = np.flatnonzero(np.append(free_s == begun_s, True))
        lasting = begins[1:] - begins[:-1]
        done: Floats = np.repeat(self.before.ravel()[begins[:-1]], lasting).reshape(free_s.shape)
        begun_s += np.multiply(done, each_s, out=free_s)
        left_s = np.subtract(self.due_s, begun_s, out=begun_s)
        services = np.subtract(self.after, done, out=done)
        if self.alone_s is None:
            return np.divide(left_s, services, out=free_s)
        free_s.fill(math.inf)
        np.divide(left_s, services, out=free_s, where=services > 0)
        return np.minimum(free_s, self.alone_s, out=free_s)


@dataclass(frozen=True, slots=True)
class Reached:
    """services_s: from which on as many are late as was asked. late_from: from which one on each
    request is, as that is known from these: exactly near them."""

    services_s: Floats
    late_from: Floats

    def late(self, longer: float) -> Counts:
        """How many are late with services that are longer by so much, as logarithms."""
        ends_s = self.services_s[:, None] * math.exp(longer)
        late: Counts = np.count_nonzero(self.late_from <= ends_s, axis=-1)
        return late


def reach(lanes: Lanes, numbers: Sequence[int], services_s: Floats) -> Iterator[Reached]:
    """The mean services with which so many are late: for each of the numbers, which ascend from 1
    on, and of which none is more than there are.

    services_s: where to begin. One for each lane, if each is asked for its own; one, if all lanes
    together are.
    """
    late_from: Floats | None = None
    for number in numbers:
        if late_from is not None:  # it tells the next number nearly as well as it told this one
            services_s = _shortest(late_from, number)
        moved = math.inf
        while moved > _FOUND:
            late_from = lanes.late_from(services_s).reshape(len(services_s), -1)
            next_s = _shortest(late_from, number)
            moved = np.abs(np.log(next_s / services_s)).max()
            services_s = next_s
        assert late_from is not None
        yield Reached(services_s, late_from)


def _shortest(late_from: Floats, number: int) -> Floats:
    """The number-th shortest of each row."""
    shortest: Floats = np.partition(late_from, number - 1, axis=-1)[:, number - 1]
    return shortest
