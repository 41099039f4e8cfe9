"""Does a ratio depend on the length of the Slices? The core stacks, at several lengths in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial

from loopbench.loadtests.bench.block import BlockPlan, Contender, measure_in_slices
from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.stats import slices
from loopbench.servers.lifecycle.process import server_process
from loopbench.servers.stacks import CORE

SCENARIO = "async-32"
LENGTHS_S = (0.05, 0.1, 0.2, 0.4)
ROUNDS = 8
LOADED_S = 1.6
"""Of each stack in a Block, whatever the length of its Slices."""

WARMUP_S = 0.2
_METRICS = ("throughput_rps", "cpu_us_per_request")


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Blocks of every length in each Round; the ratio of each length against that of the longest.
    About three minutes."""
    cpus, scenario = plan_cpus(allowed_cpus()), SCENARIOS[SCENARIO]
    found: defaultdict[tuple[float, str], list[slices.BlockEstimate]] = defaultdict(list)
    with generator_process(cpus=cpus.generator) as generator:
        for number in range(1, ROUNDS + 1):
            for slice_s in LENGTHS_S:
                contenders = [
                    Contender(
                        PlannedRun(stack, number, 1, stack, SCENARIO),
                        scenario,
                        partial(
                            server_process, stack, settings=scenario.settings, cpus=cpus.server
                        ),
                    )
                    for stack in CORE
                ]
                plan = BlockPlan(slice_s, WARMUP_S, round(LOADED_S / slice_s), number, cpus)
                results = measure_in_slices(contenders, generator, plan)
                rows = {result.planned.stack: rows_of(result).slices for result in results}
                for metric in _METRICS:
                    estimate = slices.block_estimate(rows[CORE[1]], rows[CORE[0]], metric)
                    if estimate is None:
                        raise HarnessError(f"a Block of {slice_s:g} s came to nothing")
                    found[slice_s, metric].append(estimate)
    return [_verdict(found, metric, say) for metric in _METRICS]


def _verdict(
    found: dict[tuple[float, str], list[slices.BlockEstimate]],
    metric: str,
    say: Callable[[str], None],
) -> Verdict:
    for slice_s in LENGTHS_S:
        ratio = slices.over_blocks(found[slice_s, metric])
        assert ratio.interval is not None
        say(
            f"{metric}, Slices of {slice_s:g} s: {CORE[1]} over {CORE[0]} {ratio.centre:.3f}, "
            f"95 % {ratio.interval.low:.3f} to {ratio.interval.high:.3f}"
        )
    longest = found[LENGTHS_S[-1], metric]
    flat = {
        slice_s: slices.over_blocks(
            [
                slices.BlockEstimate(one.value - other.value, one.error, one.n)
                for one, other in zip(found[slice_s, metric], longest, strict=True)
            ]
        )
        for slice_s in LENGTHS_S[:-1]
    }
    return Verdict(
        f"{metric}: the ratio at each length is that of the longest, within its interval",
        ", ".join(f"{slice_s:g} s {ratio.centre:.3f}" for slice_s, ratio in flat.items()),
        all(ratio.interval is not None and 1.0 in ratio.interval for ratio in flat.values()),
    )
