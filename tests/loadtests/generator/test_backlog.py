"""What piles up in an open loop, of queues whose course is known."""

from __future__ import annotations

import heapq
import statistics

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.generator.backlog import Backlog
from loopbench.loadtests.messages.reports import Growth
from loopbench.loadtests.scenarios.arrivals import Arrivals
from tests.loadtests.generator.counting import Counting
from tests.loadtests.generator.loads import failures, offer, opened

MS = 1_000_000
OPEN_NS, CLOSE_NS = 400 * MS, 2400 * MS


def grown(
    rate_rps: float, service_ms: float, seed: int, servers: int = 1, pause: tuple[int, int] = (0, 0)
) -> Growth:
    """Of Poisson arrivals at servers that take so long each; in a pause, in ms, none of them
    begins."""
    schedule = Arrivals(rate_rps, CLOSE_NS, f"{seed}")
    backlog = Backlog(OPEN_NS, CLOSE_NS)
    free = [0] * servers
    for due in iter(schedule.take, None):
        begins = max(due, heapq.heappop(free))
        if pause[0] * MS <= begins < pause[1] * MS:
            begins = pause[1] * MS
        ends = begins + int(service_ms * MS)
        heapq.heappush(free, ends)
        backlog.add(due, ends)
    return backlog.growth()


def missed(**queue: object) -> list[float]:
    """Of forty seeds, the share that piled up; 0 where chance may have left it."""
    told = [grown(seed=seed, **queue) for seed in range(40)]  # type: ignore[arg-type]
    return [0.0 if one.by_chance else one.share or 0.0 for one in told]


@pytest.mark.parametrize(
    "held",
    [
        {"rate_rps": 500.0, "service_ms": 1.0},
        {"rate_rps": 450.0, "service_ms": 2.0},  # nine tenths of what it can
        {"rate_rps": 100.0, "service_ms": 500.0, "servers": 1000},  # a quarter is under way
        {"rate_rps": 500.0, "service_ms": 1.0, "pause": (2200, 2400)},
        {"rate_rps": 500.0, "service_ms": 1.0, "pause": (1300, 1600)},
    ],
    ids=["idle", "busy", "waits", "paused-at-the-end", "paused-within"],
)
def test_a_rate_that_is_held_piles_up_nothing(held: dict[str, object]) -> None:
    """However long its answers take, and though the machine stops for a tenth of the window; chance
    says otherwise once in forty times."""
    found = missed(**held)
    assert sum(share > 0.05 for share in found) <= 1


@pytest.mark.parametrize(
    ("rate_rps", "service_ms", "servers"), [(550.0, 2.0, 1), (1000.0, 2.0, 1), (1100.0, 10.0, 10)]
)
def test_of_a_rate_that_is_not_held_the_rest_piles_up(
    rate_rps: float, service_ms: float, servers: int
) -> None:
    """Arrivals less what the servers can do, over the arrivals."""
    left = 1 - servers * 1000 / service_ms / rate_rps
    found = missed(rate_rps=rate_rps, service_ms=service_ms, servers=servers)
    assert statistics.fmean(found) == pytest.approx(left, abs=0.02)
    assert sum(share > 0.05 for share in found) >= 32


def test_what_never_ended_waits_for_ever() -> None:
    """Requests without an end are under way until the window closes; those before it, from its
    opening."""
    backlog = Backlog(OPEN_NS, CLOSE_NS)
    for due in range(0, CLOSE_NS, 10 * MS):
        backlog.add(due)
    told = backlog.growth()
    assert (told.earlier, told.later, told.arrivals) == (90, 190, 100)
    assert told.share == pytest.approx(1.0)
    assert not told.by_chance


def test_what_hangs_until_it_is_given_up_is_told_apart() -> None:
    """It has piled up, and is a failure, too: of those due in the window, those that failed and had
    not ended as it closed, whether they were sent or not."""
    backlog = Backlog(OPEN_NS, CLOSE_NS)
    backlog.add(OPEN_NS - MS, failed=True)
    backlog.add(OPEN_NS, CLOSE_NS - 1, failed=True)
    backlog.add(OPEN_NS, CLOSE_NS)
    assert backlog.growth().failed == 0
    backlog.add(OPEN_NS, CLOSE_NS, failed=True)
    backlog.add(CLOSE_NS - 1, failed=True)
    assert backlog.growth().failed == 2


def test_growths_add_up() -> None:
    """Of Slices, and of generators that share a load; without an arrival there is no share."""
    both = Growth(2, 12, 100, 3) + Growth(6, 6, 100, 4)
    assert (both, both.share) == (Growth(8, 18, 200, 7), 0.05)
    assert both.by_chance
    assert not Growth(2, 12, 100).by_chance
    assert Growth(14, 2, 100).by_chance
    assert Growth(0, 0, 0).share is None


def test_the_generator_tells_what_piled_up(generator: Generator, server: Counting) -> None:
    """One connection holds 50 of 100 arrivals a second; sixty-four hold them all, though a fifth
    of them is under way at any time. A closed loop has nothing due."""
    one = offer(generator, server, opened("/wait/20", 100.0, 1), measured_s=1.0).loads["main"]
    many = offer(generator, server, opened("/wait/200", 100.0, 64), measured_s=1.0).loads["main"]
    assert one.growth is not None
    assert many.growth is not None
    assert one.growth.share == pytest.approx(0.5, abs=0.2)
    assert not one.growth.by_chance
    assert many.growth.by_chance


def test_the_generator_tells_what_hung(generator: Generator, server: Counting) -> None:
    """Every tenth request is never answered, and fails when the load is over."""
    told = offer(generator, server, opened("/some/10", 200.0, 64), measured_s=1.0, drain_s=0.5)
    growth = told.loads["main"].growth
    assert growth is not None
    assert growth.failed == sum(failures(told, "measured").values()) > 0
