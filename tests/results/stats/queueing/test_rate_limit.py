"""The limit of a simulated server, whose true limit is known, is found, and covered."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, partial

import numpy as np
import pytest

from loopbench.loadtests.capacity.search import PATIENCE, Search
from loopbench.loadtests.capacity.trial import Tried
from loopbench.loadtests.selfcheck.simulated import (
    SHARE,
    WINDOW,
    Server,
    late_shares,
    true_limit,
)
from loopbench.results.schema.tables.capacity import Taker
from loopbench.results.stats.queueing.queues import ONE_THREAD, Queue, Span, service_spans
from loopbench.results.stats.queueing.rate_limit import (
    Crossing,
    Disturbance,
    Trial,
    crossing,
    disturbances,
    ratio,
    undisturbed,
    usually_taken,
)

NONE_SLOW = Span(0.0, 1e-3)
ALL_SLOW = Span(2e-3, math.inf)
TRUTHS = 100_000


def trial(rate_rps: float, slow: int = 0) -> Trial:
    """Of 1,000 requests, none or all of which are slow."""
    spans = {ONE_THREAD: ALL_SLOW if slow else NONE_SLOW}
    return Trial(rate_rps, 1000, slow, spans, WINDOW)


@cache
def limit(service_s: float, noise: float, queue: Queue) -> Crossing:
    """What a sitting of 24 trials finds of a server."""
    found = Server(service_s, noise, 11, queue).sitting(0, 24).limit()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("service_s", "noise", "queue", "within"),
    [
        (2e-3, 0.0, Queue(1), 0.03),
        (2e-3, 0.1, Queue(1), 0.26),
        (2e-4, 0.02, Queue(1), 0.05),
        (2e-3, 0.03, Queue(1, 1.0), 0.8),
        (1e-2, 0.03, Queue(6), 0.1),
        (9e-3, 0.03, Queue(5), 0.1),
        (2e-3, 0.03, Queue(1, wait=0.5), 0.1),
        (2e-3, 0.03, Queue(1, wait=0.3), 0.1),
    ],
)
def test_the_interval_holds_the_limit_of_a_queue(
    service_s: float, noise: float, queue: Queue, within: float
) -> None:
    """And it is narrow; also of five threads, or a wait of 6 ms, which are none of the kinds that
    are tried.
    `selfcheck capacity` has many more sittings."""
    found = limit(service_s, noise, queue)
    assert found.interval is not None and found.half_width is not None
    # The truth itself is simulated, and known to 1 %. Whether it is in the interval is decided at
    # both ends; to look for it would take five times as many simulated requests.
    late = late_shares(Server(service_s, noise, 11, queue), TRUTHS)
    assert late(found.interval.low / 1.01) <= SHARE < late(found.interval.high / 0.99)
    assert found.half_width < within


@pytest.mark.parametrize(
    ("service_s", "noise", "queue"),
    [
        (2e-3, 0.0, Queue(1)),
        (4e-3, 0.005, Queue(2)),
        (1e-2, 0.005, Queue(6)),
        (2e-3, 0.03, Queue(1, wait=0.5)),
    ],
)
def test_the_queue_is_told_from_the_trials(service_s: float, noise: float, queue: Queue) -> None:
    """How many threads, how long a request holds one, and how long it waits beside them."""
    reading = limit(service_s, noise, queue).reading
    assert reading is not None
    assert reading.queue == queue
    assert reading.wait_s == queue.wait * WINDOW.limit_s
    assert abs(reading.service_s / service_s - 1) < 0.03
    assert not reading.drifts


@pytest.mark.parametrize("seed", [0, 2])
def test_exponential_services_are_not_taken_for_steadier_ones_on_several_threads(seed: int) -> None:
    """From trials at rates that are given: with four draws of the services of a trial these two
    were read as three and six threads, whose limit is higher."""
    server = Server(2e-3, 0.03, seed, Queue(1, 1.0))
    found = crossing([server.trial(float(rate)) for rate in np.geomspace(230, 560, 32)], SHARE)
    assert found is not None and found.reading is not None
    assert found.reading.queue == Queue(1, 1.0)


def test_a_server_that_is_no_queue_has_a_wide_interval() -> None:
    """One whose services grow fourfold over the rates that are tried: the interval is wider than
    that of a queue from as many trials."""
    steady, drifting = (_limit_of(growth) for growth in (0.0, 2.0))
    assert steady.reading is not None and not steady.reading.drifts
    assert steady.half_width is not None and drifting.half_width is not None
    assert drifting.half_width > 2 * steady.half_width


def _limit_of(growth: float) -> Crossing:
    """Of a server of 2 ms, if services grow by this power of the rate."""
    trials = []
    for number, rate_rps in enumerate(np.geomspace(300, 600, 30)):
        service_s = 2e-3 * (rate_rps / 450) ** growth
        trials.append(Server(float(service_s), 0.01, number).trial(float(rate_rps)))
    found = crossing(trials, SHARE)
    assert found is not None
    return found


def test_a_cliff_is_found_between_two_rates() -> None:
    """A server that holds 1,000 a second and nothing above: the limit is between the trials
    beside it, and the curve is steep."""
    search = Search(SHARE, 500.0, "cliff")
    random = np.random.default_rng(1)
    for _ in range(30):
        rate = search.next_rps()
        assert rate is not None
        arrivals_s = np.sort(random.uniform(0, 1.2, random.poisson(rate * 1.2)))
        offered = int((arrivals_s >= WINDOW.lead_in_s).sum())
        slow = 0 if rate <= 1000 else round(0.9 * offered)
        spans = service_spans(arrivals_s, WINDOW, partial(_as_many, slow))
        search.add(Trial(rate, offered, slow, spans, WINDOW))
    found = search.limit()
    assert found is not None and found.interval is not None
    assert 980 < found.rate_rps < 1020
    assert found.slope > 60


def _as_many(slow: int, _limit_s: float) -> int:
    return slow


@pytest.mark.parametrize(("slow", "ends_rps"), [(0, 500_000), (1000, 1)])
def test_a_search_that_meets_no_limit_ends(slow: int, ends_rps: float) -> None:
    """It goes up, or down, by longer and longer strides, and ends at the bounds."""
    search = Search(SHARE, 1000.0, "none")
    count = 0
    while (rate := search.next_rps()) is not None:
        search.add(trial(rate, slow))
        count += 1
        assert count < 20
    assert search.limit() is None
    last = search.trials[-1].rate_rps
    assert max(last / ends_rps, ends_rps / last) < 4


def test_a_rate_that_the_generator_could_not_offer_is_not_offered_again() -> None:
    """It is tried three times; then the search ends there, without a limit."""
    search = Search(SHARE, 1000.0, "generator")
    search.add(trial(1000.0))
    rate = search.next_rps()
    assert rate is not None and rate > 1000
    for _ in range(PATIENCE):
        assert search.next_rps() == rate
        search.not_offered(rate)
    assert search.next_rps() is None
    assert search.limit() is None


def test_a_generator_that_is_held_up_does_not_end_the_search() -> None:
    """It was late though it had CPU left, however often in a row: the rate is offered again. Where
    it had none, the search ends as above."""
    for full, ends in ((False, False), (True, True)):
        search = Search(SHARE, 1000.0, "generator")
        for _ in range(PATIENCE + 2):
            search.learn(1000.0, Tried(trial(1000.0), {}, (), limited=True, full=full))
        assert search.trials == []
        assert (search.next_rps() is None) == ends
    search.learn(1000.0, Tried(trial(1000.0), {}, (), limited=False, full=False))
    assert [one.rate_rps for one in search.trials] == [1000.0]


def test_trials_are_used_that_the_hypervisor_left_alone() -> None:
    """Up to a limit, whatever came of them; at least half, where it left none alone."""
    unknown = trial(1000.0, slow=1000)
    none, some, more, most = (
        replace(unknown, taken={Taker.HYPERVISOR: share}) for share in (0.0, 0.02, 0.021, 0.4)
    )
    assert undisturbed([unknown, none, some, more, most]) == [unknown, none, some, more]
    assert undisturbed([unknown, none, some, more, more]) == [unknown, none, some, more, more]
    assert undisturbed([more, most]) == [more, most]
    assert undisturbed([more, more, most]) == [more, more]
    assert undisturbed([]) == []


def test_trials_are_used_that_other_programs_left_alone() -> None:
    """By a limit of their own, among those that the hypervisor left alone."""
    took = ((0.3, 0.3), (0.3, 0.0), (0.0, 0.0), (0.0, 0.05), (0.0, 0.06), (0.0, 0.0))
    every = [
        replace(trial(1000.0), taken={Taker.HYPERVISOR: stolen, Taker.PROGRAMS: others})
        for stolen, others in took
    ]
    stolen, others = Disturbance(Taker.HYPERVISOR, 0.02), Disturbance(Taker.PROGRAMS, 0.05)
    assert disturbances(every) == [stolen, stolen, None, None, others, None]
    assert usually_taken(every) == {Taker.HYPERVISOR: 0.0, Taker.PROGRAMS: 0.05}
    assert usually_taken([trial(1000.0)]) == {}


def test_a_search_goes_on_from_where_nobody_disturbed_it() -> None:
    """A trial that missed while the hypervisor had the CPU sends it nowhere."""
    search = Search(SHARE, 1000.0, "stolen")
    search.add(replace(trial(1000.0), taken={Taker.HYPERVISOR: 0.0}))
    onward = search.next_rps()
    assert onward is not None and onward > 1000.0
    search.add(replace(trial(onward, slow=1000), taken={Taker.HYPERVISOR: 0.3}))
    search.add(replace(trial(1000.0), taken={Taker.HYPERVISOR: 0.0}))
    assert [one.rate_rps for one in search.usable] == [1000.0, 1000.0]
    again = search.next_rps()
    assert again is not None and again > 1000.0


def test_the_ratio_of_two_limits_is_wider_than_either() -> None:
    """Its interval holds the ratio of the true ones."""
    servers = ((2e-3, 0.03, Queue(1, wait=0.5)), (2e-4, 0.02, Queue(1)))
    one, other = (limit(*server) for server in servers)
    centre, interval = ratio(one, other)
    assert interval is not None
    assert centre == one.rate_rps / other.rate_rps
    true = [
        true_limit(Server(service_s, noise, 1, queue), TRUTHS)
        for service_s, noise, queue in servers
    ]
    assert true[0] / true[1] in interval
    half = math.log(interval.high / interval.low) / 2
    assert one.half_width is not None and other.half_width is not None
    assert half > max(one.half_width, other.half_width)
