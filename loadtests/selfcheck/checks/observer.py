"""Does the probe change the figures? Each core stack with and without it, side by side.

As in any bench the probe rests in the Slices that are compared, and watches in one more.

Of CPU time, throughput and the median the ratio is read as a bench reads it. The 99th percentile
is that of each Slice, read at the middle of the Slices: its undisturbed end would be where the
probe had nothing to do.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from loopbench.loadtests.bench.loads.block import BlockPlan
from loopbench.loadtests.distributed.generator_process import Generator, generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan, allowed_cpus, plan_cpus
from loopbench.loadtests.scenarios.table import SCENARIOS, SLICE_S
from loopbench.loadtests.selfcheck.one_block import slices_by_name
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema import Row
from loopbench.results.stats.intervals import slices
from loopbench.results.stats.intervals.blocks import BlockEstimate, over_blocks
from loopbench.servers.stacks import CORE

SCENARIO = "async-32"
BLOCKS = 60
TURNS = 12
WARMUP_S = 0.15
FURTHEST = 0.03
_WITH, _WITHOUT = "with", "without"
READ_AT: Mapping[str, float] = {
    "cpu_us_per_request": slices.undisturbed("cpu_us_per_request"),
    "throughput_rps": slices.undisturbed("throughput_rps"),
    "service_time_p50_ms": slices.undisturbed("service_time_p50_ms"),
    "service_time_p99_ms": 0.5,
}
"""Columns of slices.csv, with the share of the Slices below which they are read."""


def check(say: Callable[[str], None], blocks: int = BLOCKS) -> list[Verdict]:
    """So many Blocks of each core stack; about five seconds each."""
    return [verdict for stack in CORE for verdict in _of_stack(stack, say, blocks)]


def _of_stack(stack: str, say: Callable[[str], None], blocks: int) -> Iterator[Verdict]:
    cpus = plan_cpus(allowed_cpus())
    by_metric: defaultdict[str, list[BlockEstimate]] = defaultdict(list)
    with generator_process(cpus=cpus.generator) as generator:
        for number in range(1, blocks + 1):
            rows = _block(stack, generator, cpus, number)
            for metric, share in READ_AT.items():
                estimate = slices.block_estimate(rows[_WITH], rows[_WITHOUT], metric, share)
                if estimate is None:
                    raise HarnessError(f"a Block of {stack} came to nothing")
                by_metric[metric].append(estimate)
            if number % 20 == 0:
                say(f"{stack}: {number} Blocks of {blocks}")
    for metric, estimates in by_metric.items():
        yield _verdict(stack, metric, estimates)


def _block(
    stack: str, generator: Generator, cpus: CpuPlan, number: int
) -> Mapping[str, tuple[Row, ...]]:
    """The Slices of one Block, by whether the probe was there; which is started first is drawn."""
    scenario = SCENARIOS[SCENARIO]
    served = {
        name: (stack, replace(scenario, settings=replace(scenario.settings, probe=name == _WITH)))
        for name in random.Random(number).sample((_WITH, _WITHOUT), 2)
    }
    plan = BlockPlan(SLICE_S, WARMUP_S, TURNS, number, cpus, watched_s=SLICE_S)
    return slices_by_name(served, generator, plan)


def _verdict(stack: str, metric: str, estimates: list[BlockEstimate]) -> Verdict:
    """Met where the whole interval is within FURTHEST of 1: a wide one shows nothing."""
    ratio = over_blocks(estimates)
    demand = f"{stack}, {metric}: with the probe within {FURTHEST:.0%} of without"
    if ratio.interval is None:
        return Verdict(demand, f"{ratio.centre:.3f}, too few Blocks for an interval", False)
    low, high = ratio.interval.low, ratio.interval.high
    return Verdict(
        demand,
        f"{ratio.centre:.3f}, 95 % {low:.3f} to {high:.3f}, {ratio.n} Blocks",
        low >= 1 - FURTHEST and high <= 1 + FURTHEST,
    )
