"""How a load is divided among workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from loopbench.loadtests.distributed.master.shares import Share, share_out
from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.scenarios.arrivals import Arrivals
from loopbench.loadtests.scenarios.model import divide
from loopbench.loadtests.scenarios.table import (
    SCENARIOS,
    Closed,
    Idle,
    Load,
    Open,
)
from loopbench.servers.contract.cases import CASES
from tests.loadtests.generator.loads import spec_at

CASE = CASES["plain"]


def spec(*loads: Load) -> SessionSpec:
    return spec_at("127.0.0.1", 1, *loads, seed=3)


def loads_of(share: Share | None) -> list[Load]:
    return list(share.spec.loads) if share else []


@pytest.mark.parametrize(
    ("total", "parts", "first", "expected"),
    [
        (8, 4, 0, [2, 2, 2, 2]),
        (10, 4, 0, [3, 3, 2, 2]),
        (10, 4, 3, [3, 2, 2, 3]),
        (1, 4, 2, [0, 0, 1, 0]),
        (0, 3, 0, [0, 0, 0]),
        (7, 1, 0, [7]),
    ],
)
def test_parts_differ_by_one_at_most(
    total: int, parts: int, first: int, expected: list[int]
) -> None:
    """What does not divide evenly goes to the parts from `first` on."""
    assert divide(total, parts, first) == expected


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7, 20])
@pytest.mark.parametrize(
    "name",
    [
        *("async-32", "open-high", "neighbour-sleep-sync", "async-1", "idle-1000", "stream-slow"),
        *("ws-echo-32", "ws-push", "feed-100", "feed-slow"),
    ],
)
def test_the_shares_are_the_whole(name: str, workers: int) -> None:
    """Users, connections and rates of all workers add up to the scenario's, load by load."""
    scenario = SCENARIOS[name]
    shares = share_out(spec(*scenario.loads), workers)
    assert len(shares) == workers
    users: Counter[str] = Counter()
    rates: Counter[str] = Counter()
    for share in shares:
        assert share is None or share.spec.loads
        loads = loads_of(share)
        assert sum(load.model.population for load in loads) == (share.users if share else 0)
        for load in loads:
            users[load.name] += load.model.population
            if isinstance(load.model, Open):
                rates[load.name] += load.model.rate_rps  # type: ignore[assignment]
    for load in scenario.loads:
        assert users[load.name] == load.model.population
        if isinstance(load.model, Open):
            assert rates[load.name] == pytest.approx(load.model.rate_rps)


def test_one_worker_gets_the_load_as_it_is() -> None:
    """The same arrivals, then, as of a generator without workers."""
    whole = spec(Load("main", CASE, Open(100.0, 8)))
    (share,) = share_out(whole, 1)
    assert share == Share(replace(whole, whole=True), users=8)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_broadcast_is_not_divided(workers: int) -> None:
    """Its receivers, its publisher and those that read nothing are one worker's, unchanged; the
    next load begins at the worker after."""
    feed, other = SCENARIOS["feed-slow"].loads[0], Load("beside", CASE, Idle(1))
    shares = share_out(spec(feed, other), workers)
    found = [[load.name for load in loads_of(share)] for share in shares]
    assert found[0][0] == "main" and "main" not in str(found[1:])
    assert loads_of(shares[0])[0].model == feed.model
    assert found[feed.model.population % workers][-1] == "beside"


def test_small_loads_do_not_all_fall_on_the_first_worker() -> None:
    """What is left over of each load goes to the next workers in turn."""
    loads = [Load(f"load-{n}", CASE, Idle(1)) for n in range(4)]
    shares = share_out(spec(*loads), 4)
    assert [[load.name for load in loads_of(share)] for share in shares] == [
        ["load-0"],
        ["load-1"],
        ["load-2"],
        ["load-3"],
    ]


def test_a_worker_without_users_is_left_out() -> None:
    """Three users are no work for a fourth worker."""
    shares = share_out(spec(Load("main", CASE, Closed(3))), 4)
    assert [share is None for share in shares] == [False, False, False, True]


def test_a_ramp_stays_even() -> None:
    """Users of different workers begin between each other, not at the same steps."""
    shares = share_out(spec(Load("main", CASE, Closed(8, ramp_s=0.8))), 4)
    begins = sorted(
        (index + share.spec.phase) / load.model.users * load.model.ramp_s
        for share in shares
        if share is not None
        for load in loads_of(share)
        if isinstance(load.model, Closed)
        for index in range(load.model.users)
    )
    assert begins == pytest.approx([number * 0.1 for number in range(8)])


def test_divided_arrivals_are_still_poisson() -> None:
    """The workers' arrivals together: the mean of the rate, and, in tenths of a second, a variance
    equal to the mean, as only a Poisson process has it. Each worker draws its own."""
    rate_rps, seconds, workers = 1000.0, 100, 4
    shares = share_out(spec(Load("main", CASE, Open(rate_rps, 64))), workers)
    counts: Counter[int] = Counter()
    firsts = set()
    for share in shares:
        assert share is not None
        (load,) = loads_of(share)
        assert isinstance(load.model, Open)
        drawn = Arrivals(load.model.rate_rps, seconds * 10**9, f"3/main{share.spec.part}")
        due = drawn.take()
        firsts.add(due)
        while due is not None:
            counts[due // 10**8] += 1
            due = drawn.take()
    assert len(firsts) == workers
    values = [counts[tenth] for tenth in range(seconds * 10)]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    # Over 1,000 tenths the ratio has a standard error of 4.5 %; the mean one of 0.3 %.
    assert mean == pytest.approx(rate_rps / 10, rel=0.015)
    assert variance / mean == pytest.approx(1.0, abs=0.2)
