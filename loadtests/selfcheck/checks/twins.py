"""Do intervals of ratios cover the truth? The same stack twice in a Block, whose ratio is 1.

Each Block has fresh processes of both, and the same Slices as any bench. Intervals are made as the
reading half makes them, of sets of Blocks that are drawn without replacement, again and again, so
that the share of sets that cover 1 does not hang on one division of the Blocks.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from loopbench.loadtests.bench.loads.block import BlockPlan
from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.scenarios.table import SCENARIOS, SLICE_S
from loopbench.loadtests.selfcheck.one_block import slices_by_name
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.schema import SLICES, Row, TableWriter
from loopbench.results.stats.intervals import blocks, slices
from loopbench.servers.stacks import CORE

SCENARIO = "async-32"
TWIN = "twin"
BLOCKS = 200
TURNS = 8
WARMUP_S = 0.15
SET = 5
"""Blocks of an interval; a default bench has about as many."""

DIVISIONS = 200
LEAST_COVERED, MOST_COVERED = 0.93, 0.97
FURTHEST_MEAN = 0.005
_METRICS = ("throughput_rps", "cpu_us_per_request")


def check(
    say: Callable[[str], None], out: Path | None = None, blocks: int = BLOCKS
) -> list[Verdict]:
    """Measure the Blocks, half of them of each core stack; about four seconds each.

    out: the folder that slices.csv is written into, to be read again.
    """
    rows: dict[str, tuple[Row, ...]] = {}
    for stack in CORE:
        for number, block in enumerate(twin_blocks(stack, blocks // len(CORE)), start=1):
            for name, of_run in block.items():
                rows[f"{number:04d}.{stack}{name}.{SCENARIO}"] = of_run
            if number % 25 == 0:
                say(f"{stack}: {number} Blocks of {blocks // len(CORE)}")
    if out is not None:
        with TableWriter(out, SLICES) as writer:
            for run_id, of_run in rows.items():
                writer.append([{**row, "run_id": run_id} for row in of_run])
    return [verdict for metric in _METRICS for verdict in judge(rows, metric)]


def twin_blocks(stack: str, count: int) -> Iterator[Mapping[str, tuple[Row, ...]]]:
    """Rows of slices.csv of so many Blocks, by `""` and TWIN; which of the two is started first is
    drawn. Raises HarnessError."""
    cpus = plan_cpus(allowed_cpus())
    scenario = SCENARIOS[SCENARIO]
    with generator_process(cpus=cpus.generator) as generator:
        for number in range(1, count + 1):
            names = random.Random(number).sample(("", TWIN), 2)
            plan = BlockPlan(SLICE_S, WARMUP_S, TURNS, number, cpus)
            yield slices_by_name(dict.fromkeys(names, (stack, scenario)), generator, plan)


def judge(rows: Mapping[str, Sequence[Row]], metric: str) -> list[Verdict]:
    """How often intervals cover 1, and how far the mean over all Blocks is from it."""
    covered, sets, values = 0, 0, []
    for stack in CORE:
        measured = [
            (rows[f"{run_id.partition('.')[0]}.{stack}{TWIN}.{SCENARIO}"], of_run)
            for run_id, of_run in rows.items()
            if run_id.partition(".")[2] == f"{stack}.{SCENARIO}"
        ]
        estimates = [
            estimate
            for estimate in slices.block_estimates(measured, metric)
            if estimate is not None
        ]
        values += [estimate.value for estimate in estimates]
        generator = random.Random(1)
        for _ in range(DIVISIONS):
            drawn = generator.sample(estimates, len(estimates))
            for begin in range(0, len(drawn) - SET + 1, SET):
                interval = blocks.over_blocks(drawn[begin : begin + SET]).interval
                sets += 1
                covered += interval is not None and 1.0 in interval
    share, mean = covered / sets, statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return [
        Verdict(
            f"{metric}: {LEAST_COVERED:.0%} to {MOST_COVERED:.0%} of the intervals of {SET} Blocks "
            "contain 1",
            f"{share:.1%} of {sets:,} sets of {len(values)} Blocks",
            LEAST_COVERED <= share <= MOST_COVERED,
        ),
        Verdict(
            f"{metric}: the mean is within {FURTHEST_MEAN:.1%} of 1",
            f"{math.exp(mean):.4f}, standard error {error:.2%}; a Block's standard deviation "
            f"{statistics.stdev(values):.1%}",
            abs(math.exp(mean) - 1) <= FURTHEST_MEAN,
        ),
    ]
