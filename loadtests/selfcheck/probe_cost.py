"""What the probe costs, in instructions: on, at rest, and off."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import Counter, counting
from loopbench.loadtests.observe.callgrind_dump import total
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import SETTINGS, Sender, taken_of_all
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema import PROBE_COST, TableWriter
from loopbench.servers.contract.cases import CASES
from loopbench.servers.probe.readings import Glance, Pause
from loopbench.servers.settings import Settings

LIMITS = {"aiohttp": 0.01, "quart-hypercorn": 0.005}
"""The most that the probe may add to a request on `/async`, as a share."""

MOST_AT_REST = 0.003
"""The same while it rests: figures are taken then."""

REQUESTS = 100
PAIRS = 12
"""Processes of each kind. A kind's processes differ by their hash seeds, and so in how their sets
and dicts are laid out; those of a pair have the same seed."""

_T = 2.201
"""Student's t for a 95 % interval of the mean of PAIRS values."""

MOST_MARGIN = 0.002
"""Half of that interval at most: a share that is not known so well is held to no limit."""

BEATING_S = 3.0

NO_BEAT_MS = 3_600_000.0
"""The timer's instructions go with time, which runs some fifty times slower under
callgrind: they are left out of the requests' cost and counted on their own. So are stalls, of
which every request is one there."""


@dataclass(frozen=True, slots=True)
class Added:
    """A share that is added to a request: the mean over pairs, with half of its 95 % interval."""

    share: float
    margin: float

    @classmethod
    def to(cls, without: Sequence[float], with_: Sequence[float]) -> Added:
        """By pairs of counts."""
        shares = [more / less - 1 for less, more in zip(without, with_, strict=True)]
        error = statistics.stdev(shares) / math.sqrt(len(shares))
        return cls(statistics.mean(shares), _T * error)

    def __str__(self) -> str:
        return f"{self.share:+.2%} (± {self.margin:.2%})"


@dataclass(frozen=True, slots=True)
class RequestCost:
    """Instructions of one request to a process, and of them those that were spent on searching
    classes for what is not in the interpreter's cache (TYPE_LOOKUP)."""

    instructions: float
    searching: float

    @property
    def without_searching(self) -> float:
        """What it takes wherever the process's names lie."""
        return self.instructions - self.searching


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request on `/async` costs, a process a pair, and instructions of one beat of the
    timer."""

    stack: str
    off: tuple[RequestCost, ...]
    on: tuple[RequestCost, ...]
    resting: tuple[RequestCost, ...]
    beat: float

    @property
    def added(self) -> Added:
        """What the probe adds to a request while it watches."""
        return self._added(self.on)

    @property
    def added_at_rest(self) -> Added:
        """The same while it rests."""
        return self._added(self.resting)

    def _added(self, observed: tuple[RequestCost, ...]) -> Added:
        without, with_ = (
            [cost.without_searching for cost in costs] for costs in (self.off, observed)
        )
        return Added.to(without, with_)

    @property
    def spread(self) -> float:
        """The widest of the ranges over the pairs, as a share, searching included."""
        ranges = (_instructions(costs) for costs in (self.off, self.on, self.resting))
        return max((max(counts) - min(counts)) / min(counts) for counts in ranges)

    @property
    def searching(self) -> float:
        """The most that a process spent on searching, as a share of its request."""
        every = (*self.off, *self.on, *self.resting)
        return max(cost.searching / cost.instructions for cost in every)


def _instructions(costs: Iterable[RequestCost]) -> list[float]:
    return [cost.instructions for cost in costs]


def measure(stack: str) -> Cost:
    """Count with the probe off, on and at rest; counts do not depend on the load."""
    off = replace(SETTINGS, probe=False)
    silent = replace(SETTINGS, probe=True, probe_beat_ms=NO_BEAT_MS, probe_stall_ms=NO_BEAT_MS)
    kinds = {"off": (off, False), "on": (silent, False), "resting": (silent, True)}
    with ThreadPoolExecutor(2) as pool:
        counts = {
            kind: [pool.submit(_request, stack, how, seed, rests) for seed in range(PAIRS)]
            for kind, (how, rests) in kinds.items()
        }
        costs = {kind: tuple(future.result() for future in some) for kind, some in counts.items()}
    beating = replace(SETTINGS, probe=True, probe_stall_ms=NO_BEAT_MS)
    return Cost(stack, costs["off"], costs["on"], costs["resting"], _beat(stack, beating))


def _request(stack: str, settings: Settings, seed: int, rests: bool) -> RequestCost:
    """Of a fresh process."""
    variables = (f"PYTHONHASHSEED={seed}",)
    with counting(stack, settings, still=True, begun=False, variables=variables) as counter:
        if rests:
            counter.server.ask(Pause(), 60.0)
        cases = {"async": CASES["async"]}
        ((_, path),) = taken_of_all(counter, cases, REQUESTS, Patience(), Sender.dump)
        counter.cease()
        dump = path.read_text()
        searching = counter.searching(dump)
    if searching is None:
        raise HarnessError(
            "what the probe costs cannot be told from searches of classes: this Python has them "
            "inlined; use one with symbols, such as one that was built from its source"
        )
    return RequestCost(total(dump) / REQUESTS, searching / REQUESTS)


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
                "repeats": PAIRS,
                "off_instructions": statistics.median(_instructions(cost.off)),
                "on_instructions": statistics.median(_instructions(cost.on)),
                "spread": cost.spread,
                "share": cost.added.share,
                "beat_instructions": cost.beat,
                "resting_share": cost.added_at_rest.share,
                "searching_share": cost.searching,
            }
            for cost in costs
        )


def check(say: Callable[[str], None], folder: Path | None) -> list[Verdict]:
    """Print each stack's cost, hold it to its limit, and write it to a results folder if named."""
    verdicts = []
    costs = {stack: measure(stack) for stack in LIMITS}
    if folder is not None:
        write(folder, costs.values())
    for stack, limit in LIMITS.items():
        cost = costs[stack]
        off, on = (statistics.median(_instructions(costs)) for costs in (cost.off, cost.on))
        say(
            f"{stack}: {off:,.0f} instructions a request without the probe, {on:,.0f} with it "
            f"(medians of {PAIRS} processes, {REQUESTS} requests each, spread {cost.spread:.2%}, "
            f"up to {cost.searching:.2%} of it spent on searching classes, which no share has); "
            f"{cost.beat:,.0f} a beat, so that 100 beats a second cost as much as "
            f"{100 * cost.beat / off:.1f} requests"
        )
        for added, most, when in (
            (cost.added, limit, "watching"),
            (cost.added_at_rest, MOST_AT_REST, "at rest"),
        ):
            verdicts.append(
                Verdict(
                    f"{stack}: {when} the probe adds at most {most:.1%} to a request on /async, "
                    f"known to {MOST_MARGIN:.1%}",
                    str(added),
                    added.share <= most and added.margin <= MOST_MARGIN,
                )
            )
    return verdicts
