"""Kinds of queues: the replay against an event simulation, and the way back from late requests."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from loopbench.loadtests.selfcheck.simulated import served
from loopbench.results.stats.queueing.queues import (
    ONE_THREAD,
    QUEUES,
    Queue,
    Window,
    draws,
    replay,
    service_spans,
)

WINDOW = Window(0.02, 0.2, 1.0)


def poisson(rate_rps: float, length_s: float, random: np.random.Generator) -> np.ndarray:
    """Arrivals at random."""
    return np.sort(random.uniform(0, length_s, random.poisson(rate_rps * length_s)))


def counted(arrivals_s: np.ndarray, times_s: np.ndarray, limit_s: float) -> int:
    """How many of the arrivals in the window took longer."""
    return int((times_s[arrivals_s >= WINDOW.lead_in_s] > limit_s).sum())


def late(arrivals_s: np.ndarray, times_s: np.ndarray) -> Callable[[float], int]:
    """How many took longer than a limit."""
    return lambda limit_s: counted(arrivals_s, times_s, limit_s)


def test_a_request_waits_for_all_that_came_before_it() -> None:
    """The first begins at once, the second waits for it, the third finds nothing to wait for; with
    two threads the second begins at once, too."""
    arrivals_s = np.array([0.0, 1.0, 9.0])
    assert replay(ONE_THREAD, arrivals_s)(3.0).tolist() == [3.0, 5.0, 3.0]
    assert replay(Queue(2), arrivals_s)(3.0).tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("threads", [1, 2, 3, 6, 16, 64])
@pytest.mark.parametrize("used", [0.5, 0.95, 1.3])
def test_threads_with_equal_services_are_replayed_exactly(threads: int, used: float) -> None:
    """Every response time is that of a simulation event by event."""
    arrivals_s = poisson(1000.0, 1.2, np.random.default_rng(threads))
    service_s = used * threads / 1000
    events = served(arrivals_s, np.full(len(arrivals_s), service_s), threads)
    assert np.allclose(replay(Queue(threads), arrivals_s)(service_s), events, rtol=0, atol=1e-9)


@pytest.mark.parametrize("queue", [Queue(1, 1.0), Queue(2, 0.6), Queue(6, 1.0)])
def test_threads_with_services_that_differ_are_replayed_nearly(queue: Queue) -> None:
    """Of one thread exactly; of several, as many are late as at a rate that differs by 1 %."""
    random = np.random.default_rng(5)
    service_s = 2e-3 * queue.threads**0.5
    rate_rps = 0.85 * queue.threads / service_s
    replayed = dict.fromkeys((0.99, 1.0, 1.01), 0)
    events = 0
    spread = queue.variation**2
    for _ in range(150):
        arrivals_s = poisson(rate_rps, 1.2, random)
        sizes = random.gamma(1 / spread, spread, len(arrivals_s))
        true_s = served(arrivals_s, service_s * sizes, queue.threads)
        events += counted(arrivals_s, true_s, WINDOW.limit_s)
        for factor in replayed:
            times_s = replay(queue, arrivals_s, sizes)(service_s * factor)
            replayed[factor] += counted(arrivals_s, times_s, WINDOW.limit_s)
            if queue.threads == 1 and factor == 1.0:
                assert np.allclose(times_s, true_s, rtol=0, atol=1e-9)
    assert replayed[0.99] < events < replayed[1.01]


@pytest.mark.parametrize("queue", [Queue(1), Queue(2), Queue(6), Queue(16)])
def test_the_service_is_found_again(queue: Queue) -> None:
    """From the arrivals and the number of late ones; so narrowly that the luck of the arrivals is
    out of it, where many are late and where few are."""
    service_s = 2e-3 * queue.threads**0.5
    for used in (1.02, 1.05):
        random = np.random.default_rng(3)
        arrivals_s = poisson(used * queue.threads / service_s, 1.2, random)
        times_s = replay(queue, arrivals_s)(service_s)
        assert (
            0
            < counted(arrivals_s, times_s, WINDOW.limit_s)
            < int((arrivals_s >= WINDOW.lead_in_s).sum())
        )
        spans = service_spans(arrivals_s, WINDOW, late(arrivals_s, times_s))
        # Some requests found a thread free, which shows that none waits beside it for longer.
        fastest_s = np.quantile(times_s[arrivals_s >= WINDOW.lead_in_s], 0.02)
        assert set(spans) == {
            kind for kind in QUEUES if not kind.wait or kind.wait * WINDOW.limit_s < fastest_s
        }
        span = spans[queue]
        # Services are found to 0.01 %.
        assert span.least_s / 1.0002 <= service_s <= span.most_s * 1.0002
        assert span.most_s < 1.15 * span.least_s
        assert span.luck == 0


@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_a_wait_beside_the_queue_is_taken_off(variation: float) -> None:
    """The service of the kind that waits as long is found again, and is shorter by the share of a
    kind that does not; kinds that wait for longer than a request took are left out."""
    random = np.random.default_rng(4)
    arrivals_s = poisson(450.0, 1.2, random)
    sizes = random.exponential(1.0, len(arrivals_s)) if variation else None
    waiting = Queue(1, variation, 0.5)
    times_s = replay(waiting, arrivals_s, sizes)(2e-3) + 0.01
    spans = service_spans(arrivals_s, WINDOW, late(arrivals_s, times_s))
    assert {kind.wait for kind in spans} == {eighths / 8 for eighths in range(5)}
    span, alone = spans[waiting], spans[Queue(1, variation)]
    middle = math.log(span.least_s * span.most_s) / 2
    assert abs(middle - math.log(2e-3)) < (5 * span.luck if variation else 0.01)
    assert alone.least_s > 1.05 * span.most_s


def test_services_that_differ_leave_luck() -> None:
    """The service of such a queue is within a few deviations of its luck of what is found."""
    random = np.random.default_rng(4)
    arrivals_s = poisson(520.0, 1.2, random)
    times_s = replay(Queue(1, 1.0), arrivals_s, random.exponential(1.0, len(arrivals_s)))(2e-3)
    span = service_spans(arrivals_s, WINDOW, late(arrivals_s, times_s))[Queue(1, 1.0)]
    assert 0.005 < span.luck < 0.2
    middle = math.log(span.least_s * span.most_s) / 2
    assert abs(middle - math.log(2e-3)) < 5 * span.luck


@pytest.mark.parametrize("kind", [Queue(1, 0.6), Queue(3, 1.0), Queue(1, 0.3, 0.25)])
def test_a_span_is_the_mean_of_those_of_its_draws(kind: Queue) -> None:
    """Searched for draw by draw, by counting the late ones of a replay alone."""
    arrivals_s = poisson(420.0, 1.2, np.random.default_rng(9))
    few, many = 10, 10  # as many as 10 to 1 %
    sizes = np.random.default_rng([len(arrivals_s), int(arrivals_s.sum() * 1e6)])
    drawn = {
        variation: sizes.gamma(
            variation**-2, variation**2, (draws(len(arrivals_s)), len(arrivals_s))
        )
        for variation in sorted({queue.variation for queue in QUEUES} - {0.0})
    }[kind.variation]
    limit_s = WINDOW.limit_s * (1 - kind.wait)
    grid = np.exp(np.arange(math.log(1e-3 * kind.threads**0.5), math.log(0.02), 5e-4))
    ends = []
    for one in drawn:
        times = replay(kind, arrivals_s, one)
        counts = np.array([counted(arrivals_s, times(service_s), limit_s) for service_s in grid])
        ends.append([grid[np.argmax(counts >= few)], grid[np.argmax(counts > many)]])
    logs = np.log(ends)
    span = service_spans(
        arrivals_s, WINDOW, lambda limit: 10 if limit >= WINDOW.limit_s else len(arrivals_s)
    )[kind]
    assert abs(math.log(span.least_s) - logs[:, 0].mean()) < 1e-3
    assert abs(math.log(span.most_s) - logs[:, 1].mean()) < 1e-3
    luck = logs.mean(axis=1).std(ddof=1) * math.sqrt(1 + 1 / len(logs))
    assert abs(span.luck - luck) < 2e-3


def test_spans_are_open_where_none_or_all_are_late() -> None:
    """Then the arrivals tell only what the service is not, of whichever queue."""
    arrivals_s = poisson(400.0, 1.2, np.random.default_rng(3))
    every = int((arrivals_s >= WINDOW.lead_in_s).sum())
    for queue, span in service_spans(arrivals_s, WINDOW, lambda limit_s: 0).items():
        assert span.least_s == 0 < span.most_s < math.inf, queue
    for queue, span in service_spans(arrivals_s, WINDOW, lambda limit_s: every).items():
        assert 0 < span.least_s < math.inf == span.most_s, queue
    alone = service_spans(arrivals_s, WINDOW, lambda limit_s: every)[ONE_THREAD]
    times_s = replay(ONE_THREAD, arrivals_s)(alone.least_s * 1.002)
    # As many as that to 1 %.
    assert counted(arrivals_s, times_s, WINDOW.limit_s) >= 0.99 * every


def test_a_server_that_was_full_tells_its_service_by_how_late_all_were() -> None:
    """At twice the rate that fills it hardly a request keeps the limit; a longer one tells more."""
    arrivals_s = poisson(10_000.0, 1.2, np.random.default_rng(3))
    times_s = replay(ONE_THREAD, arrivals_s)(2e-4)
    assert counted(arrivals_s, times_s, WINDOW.limit_s) == (arrivals_s >= 0.2).sum()
    spans = service_spans(arrivals_s, WINDOW, late(arrivals_s, times_s))
    span = spans[ONE_THREAD]
    assert span.least_s / 1.002 <= 2e-4 <= span.most_s * 1.002
    assert span.most_s < 1.05 * span.least_s


def test_where_none_is_late_a_shorter_limit_is_not_asked() -> None:
    """A request may take long beside its queue: the span stays open downwards."""
    arrivals_s = poisson(400.0, 1.2, np.random.default_rng(3))
    times_s = replay(ONE_THREAD, arrivals_s)(1e-4) + 0.01
    spans = service_spans(arrivals_s, WINDOW, late(arrivals_s, times_s))
    assert {span.least_s for span in spans.values()} == {0}


def test_a_number_that_a_queue_cannot_give_has_hardly_a_span() -> None:
    """64 threads at 400 requests a second hardly ever wait: either none or all exceed a limit. As
    many as 20 late ones of 400 are then no sign of such a queue, and the span says so."""
    arrivals_s = poisson(400.0, 1.2, np.random.default_rng(3))
    spans = service_spans(arrivals_s, WINDOW, lambda limit_s: 20)
    width = {queue: math.log(span.most_s / span.least_s) for queue, span in spans.items()}
    assert width[Queue(64)] < 1e-4 < width[ONE_THREAD]
