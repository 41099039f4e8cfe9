"""The time that answers are counted over: from answer to answer, whatever waves they come in."""

from __future__ import annotations

import itertools
import random
import statistics
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import pytest

from loopbench.loadtests.generator.cycles import Mark, users_ns
from loopbench.loadtests.generator.session.load_run import LoadRun
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.scenarios.models import Closed, Load
from loopbench.servers.contract.cases import CASES

USERS, WINDOW_NS = 32, 100_000_000


def marked(answers: Sequence[Sequence[int]], at_ns: int) -> Mark:
    """How far users with these instants of answers are at one instant."""
    had = [bisect_right(of, at_ns) for of in answers]
    return tuple((n, of[n - 1] if n else 0) for n, of in zip(had, answers, strict=True))


def rates(answers: Sequence[Sequence[int]], open_ns: int) -> tuple[float, float]:
    """Answers a second in one window: from answer to answer, and over the window itself."""
    opened, closed = marked(answers, open_ns), marked(answers, open_ns + WINDOW_NS)
    count = sum(after - before for (after, _), (before, _) in zip(closed, opened, strict=True))
    summed_ns = users_ns(opened, closed)
    assert summed_ns is not None
    return count / (summed_ns / USERS) * 1e9, count / WINDOW_NS * 1e9


@pytest.mark.parametrize("seed", range(20))
def test_waves_are_counted_to_the_wave(seed: int) -> None:
    """All users are answered within a burst in each period: wherever the window falls, the rate
    is that of the waves."""
    source = random.Random(seed)
    period_ns, burst_ns = source.randrange(8_000_000, 30_000_000), source.randrange(1_000_000)
    answers = [
        [wave * period_ns + burst_ns * user // USERS for wave in range(40)] for user in range(USERS)
    ]
    rate, _ = rates(answers, period_ns * 3 + source.randrange(period_ns))
    assert rate == pytest.approx(USERS / period_ns * 1e9, rel=1e-9)


def test_a_fixed_window_catches_a_wave_too_many_or_too_few() -> None:
    """What the time from answer to answer is for: waves of 11 ms in windows of 100 ms."""
    answers = [[wave * 11_000_000 for wave in range(40)] for _ in range(USERS)]
    by_window = {rates(answers, open_ns)[1] for open_ns in range(40_000_000, 62_000_000, 1_000_000)}
    assert {round(rate / USERS * WINDOW_NS / 1e9) for rate in by_window} == {9, 10}


def _irregular(source: random.Random, mean_ns: float) -> Iterator[int]:
    at = source.random() * mean_ns
    while True:
        yield int(at)
        at += source.expovariate(1 / mean_ns)


def test_answers_without_any_order_are_counted_without_bias() -> None:
    """Users whose answers are a Poisson process each, the most irregular of what servers do: the
    mean of the rates of 400 windows is within four standard errors of the true one."""
    source, mean_ns = random.Random(1), 10_000_000
    found = []
    for _ in range(400):
        answers = [list(itertools.islice(_irregular(source, mean_ns), 80)) for _ in range(USERS)]
        found.append(rates(answers, 150_000_000)[0])
    error = statistics.stdev(found) / len(found) ** 0.5
    assert error < 0.01 * USERS / mean_ns * 1e9
    assert abs(statistics.fmean(found) - USERS / mean_ns * 1e9) < 4 * error


STALL_NS = 50_000_000


def stalled(source: random.Random, at_ns: int) -> list[list[tuple[int, int]]]:
    """When each user sent and was answered: some 10 ms apart, and once nobody is for STALL_NS,
    from this instant on."""
    users = []
    for _ in range(USERS):
        received, exchanges = source.randrange(10_000_000), []
        while received < 400_000_000:
            sent = received + source.randrange(50_000, 500_000)
            received = sent + source.randrange(7_000_000, 13_000_000)
            received += STALL_NS if sent <= at_ns < received else 0
            exchanges.append((sent, received))
        users.append(exchanges)
    return users


@pytest.mark.parametrize("seed", range(20))
def test_littles_law_holds_of_the_answers_that_are_counted(seed: int) -> None:
    """Their times and the waits before them add up to what they are counted over, to the
    nanosecond; those of the requests that began in the window are another tenth of the users, since
    the server stood still as it closed."""
    open_ns = 100_000_000
    close_ns = open_ns + WINDOW_NS
    users = stalled(random.Random(seed), close_ns)
    load = Load("main", CASES["async"], Closed(USERS))
    run = LoadRun(load, SessionSpec("127.0.0.1", 1, (load,), 0.0, 0.0, 1.0, 1.0, 1))
    edges, exchanges = [open_ns, close_ns], []
    for user in users:
        received_before = [0, *(received for _, received in user)]
        exchanges += [(*one, before) for one, before in zip(user, received_before, strict=False)]
    cycled = []
    for sent, received, before in sorted(exchanges, key=lambda one: one[1]):
        while edges and received > edges[0]:
            edges.pop(0)
            cycled.append(run.cycled_ns)
        series = run.measured if open_ns <= sent < close_ns else run.warmup
        series.add_answer(sent, received, 0, before)
    answers = [[received for _, received in user] for user in users]
    opened, closed = marked(answers, open_ns), marked(answers, close_ns)
    summed_ns = users_ns(opened, closed)
    assert summed_ns == cycled[1] - cycled[0]
    count = sum(after - before for (after, _), (before, _) in zip(closed, opened, strict=True))
    begun = run.measured
    mean_ns = begun.service_sum_ns / begun.answered + begun.gap_ns / begun.gaps
    assert count * mean_ns > 1.1 * summed_ns


@pytest.mark.parametrize(
    ("opened", "closed"),
    [
        (((0, 0), (3, 5)), ((2, 9), (4, 9))),  # a user was not answered before the window
        (((1, 5),), ((2, 9), (1, 9))),  # a user has come since
        (((1, 5), (1, 5)), ((1, 5), (2, 9))),  # one of them was not answered in the window
        ((), ()),  # users that do not wait for answers
    ],
)
def test_what_says_nothing_is_not_known(opened: Mark, closed: Mark) -> None:
    """Where it cannot be read the window itself is taken."""
    assert users_ns(opened, closed) is None
