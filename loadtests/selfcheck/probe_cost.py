"""What the probe costs, in instructions: on, at rest, and off."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.observe.callgrind import Counter, counting
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema import PROBE_COST, TableWriter
from loopbench.servers.contract.cases import CASES
from loopbench.servers.probe.readings import Glance, Pause
from loopbench.servers.settings import Settings

LIMITS = {"aiohttp": 0.01, "quart-hypercorn": 0.005}
"""The most that the probe may add to a request on `/async`, as a share."""

MOST_AT_REST = 0.003
"""The same while it rests: figures are taken then."""

REQUESTS = 1000
"""In one count: enough for the collector's rarer generations to come round."""

REPEATS = 3
BEATING_S = 3.0

NO_BEAT_MS = 3_600_000.0
"""The timer's instructions go with time, which runs some fifty times slower under
callgrind: they are left out of the requests' cost and counted on their own. So are stalls, of
which every request is one there."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Instructions of one request on `/async`, each repeat, and of one beat of the timer."""

    stack: str
    off: tuple[float, ...]
    on: tuple[float, ...]
    resting: tuple[float, ...]
    beat: float

    @property
    def share(self) -> float:
        """What the probe adds to a request, as a share of the request without it."""
        return statistics.median(self.on) / statistics.median(self.off) - 1

    @property
    def resting_share(self) -> float:
        """The same while it rests."""
        return statistics.median(self.resting) / statistics.median(self.off) - 1

    @property
    def spread(self) -> float:
        """The widest of the ranges over the repeats, as a share."""
        ranges = (self.off, self.on, self.resting)
        return max((max(one) - min(one)) / min(one) for one in ranges)


def measure(stack: str, settings: Settings) -> Cost:
    """Count with the probe off, on and at rest side by side: counts do not depend on the load."""
    off = replace(settings, probe=False)
    silent = replace(settings, probe=True, probe_beat_ms=NO_BEAT_MS, probe_stall_ms=NO_BEAT_MS)
    with ThreadPoolExecutor(2) as pool:
        resting = pool.submit(_requests, stack, silent, rests=True)
        without, watching = pool.map(lambda one: _requests(stack, one), (off, silent))
    beating = replace(settings, probe=True, probe_stall_ms=NO_BEAT_MS)
    return Cost(stack, without, watching, resting.result(), _beat(stack, beating))


def _requests(stack: str, settings: Settings, *, rests: bool = False) -> tuple[float, ...]:
    with counting(stack, settings) as counter:
        if rests:
            counter.server.ask(Pause(), 60.0)
        return tuple(counter.per_request(CASES["async"], REQUESTS) for _ in range(REPEATS))


def _beat(stack: str, settings: Settings) -> float:
    """An idle server does nothing but beat; the loop's turn for it is part of the cost."""
    with counting(stack, settings) as counter:
        time.sleep(1.0)  # valgrind translates what has not run before
        before = _beats(counter)
        instructions = counter.during(lambda: time.sleep(BEATING_S))
        return instructions / (_beats(counter) - before)


def _beats(counter: Counter) -> int:
    return counter.server.ask(Glance(), 60.0).loop.beats


def write(folder: Path, costs: Iterable[Cost]) -> None:
    """Put probe_cost.csv into a results folder, in place of one that is there. Raises OSError."""
    (folder / PROBE_COST.filename).unlink(missing_ok=True)
    with TableWriter(folder, PROBE_COST) as writer:
        writer.append(
            {
                "stack": cost.stack,
                "requests": REQUESTS,
                "repeats": REPEATS,
                "off_instructions": statistics.median(cost.off),
                "on_instructions": statistics.median(cost.on),
                "spread": cost.spread,
                "share": cost.share,
                "beat_instructions": cost.beat,
                "resting_share": cost.resting_share,
            }
            for cost in costs
        )


def check(say: Callable[[str], None], folder: Path | None) -> list[Verdict]:
    """Print each stack's cost, hold it to its limit, and write it to a results folder if named."""
    verdicts = []
    costs = {stack: measure(stack, Settings()) for stack in LIMITS}
    if folder is not None:
        write(folder, costs.values())
    for stack, limit in LIMITS.items():
        cost = costs[stack]
        off, on = statistics.median(cost.off), statistics.median(cost.on)
        say(
            f"{stack}: {off:,.0f} instructions a request without the probe, {on:,.0f} with it "
            f"(medians of {REPEATS} x {REQUESTS} requests, spread {cost.spread:.2%}); "
            f"{cost.beat:,.0f} a beat, so that 100 beats a second cost as much as "
            f"{100 * cost.beat / off:.1f} requests"
        )
        verdicts.append(
            Verdict(
                f"{stack}: the probe adds at most {limit:.1%} to a request on /async",
                f"{cost.share:+.2%}",
                cost.share <= limit,
            )
        )
        verdicts.append(
            Verdict(
                f"{stack}: at rest it adds at most {MOST_AT_REST:.1%}",
                f"{cost.resting_share:+.2%}",
                cost.resting_share <= MOST_AT_REST,
            )
        )
    return verdicts
