"""The closed form of the share of late requests, against the queue itself."""

from __future__ import annotations

import numpy as np
import pytest

from loopbench.loadtests.selfcheck.simulated import served
from loopbench.results.stats.queueing.late_share import late_share
from loopbench.results.stats.queueing.queues import QUEUES, Queue, Window


@pytest.mark.parametrize(
    ("queue", "rate_rps", "used", "limit_s", "loads"),
    [
        (Queue(1), 500, 0.85, 0.02, 800),
        (Queue(1), 2000, 0.9, 0.005, 300),
        (Queue(1), 5000, 1.0, 0.02, 80),
        (Queue(6), 540, 0.9, 0.02, 800),
        (Queue(16), 1500, 0.95, 0.02, 300),
        (Queue(1, 1.0), 800, 0.85, 0.02, 800),
        (Queue(6, 1.0), 1900, 0.93, 0.02, 400),
        (Queue(1, wait=0.5), 280, 0.56, 0.02, 800),
        (Queue(1, 1.0, 0.25), 600, 0.6, 0.02, 400),
    ],
)
def test_the_closed_form_is_that_of_the_queue(
    queue: Queue, rate_rps: float, used: float, limit_s: float, loads: int
) -> None:
    """By simulation: at the same share of late arrivals, rates differ by less than 2 %, of which
    the simulation itself has a half."""
    random = np.random.default_rng(5)
    window = Window(limit_s, 0.2, 1.0)
    service_s = used * queue.threads / rate_rps
    late = total = 0
    for _ in range(loads):
        arrivals_s = np.sort(random.uniform(0, 1.2, random.poisson(rate_rps * 1.2)))
        sizes = np.ones(len(arrivals_s))
        if queue.variation:
            sizes = random.gamma(queue.variation**-2, queue.variation**2, len(arrivals_s))
        times_s = served(arrivals_s, service_s * sizes, queue.threads)[arrivals_s >= 0.2]
        late += int((times_s + queue.wait * limit_s > limit_s).sum())
        total += len(times_s)
    rates = rate_rps * np.array([0.98, 1.02])
    below, above = late_share(queue, rates, np.full(2, service_s), window)
    assert below < late / total < above


def test_no_service_is_never_late_and_one_above_the_limit_always() -> None:
    """Nor does a service near the rate's inverse, where the formula is a quotient of zeros, give
    anything but a number; shares rise with the service, of every kind of queue."""
    window = Window(0.02, 0.2, 1.0)
    services_s = np.array([1e-9, 1e-3, 1.999e-3, 2e-3, 2.001e-3, 3e-3, 0.01, 0.03, 1e3])
    for queue in QUEUES:
        shares = late_share(queue, np.full(9, 500.0 * queue.threads), services_s, window)
        assert shares[0] == 0
        assert shares[-1] > 0.99 if queue.variation else shares[-2:].tolist() == [1, 1]
        assert (np.diff(shares) > -1e-6).all(), queue
