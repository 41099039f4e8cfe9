"""Does a ratio depend on the length of the Slices? The core stacks, at several lengths in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from loopbench.loadtests.bench.loads.block import BlockPlan
from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import allowed_cpus, plan_cpus
from loopbench.loadtests.scenarios.models import Scenario
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.loadtests.selfcheck.one_block import slices_by_name
from loopbench.loadtests.selfcheck.verdict import Verdict
from loopbench.results.stats.intervals import blocks, slices
from loopbench.servers.stacks import CORE

LOADED = ("async-32", "sync-32")
"""One that answers one after another, and one whose answers come in waves of all users."""

LENGTHS_S = (0.05, 0.1, 0.2, 0.4)
ROUNDS = 8
LOADED_S = 1.6
"""Of each stack in a Block, whatever the length of its Slices."""

WARMUP_S = 0.2
_METRICS = ("throughput_rps", "cpu_us_per_request")


def check(say: Callable[[str], None]) -> list[Verdict]:
    """Blocks of every length in each Round; the ratio of each length against that of the longest.
    About three minutes a scenario."""
    return [verdict for name in LOADED for verdict in _check_one(SCENARIOS[name], say)]


def _check_one(scenario: Scenario, say: Callable[[str], None]) -> Iterator[Verdict]:
    cpus = plan_cpus(allowed_cpus())
    measured: defaultdict[float, list[slices.Block]] = defaultdict(list)
    with generator_process(cpus=cpus.generator) as generator:
        for number in range(1, ROUNDS + 1):
            for slice_s in LENGTHS_S:
                turns = round(LOADED_S / slice_s)
                plan = BlockPlan(slice_s, WARMUP_S, turns, number, cpus)
                served = {stack: (stack, scenario) for stack in CORE}
                rows = slices_by_name(served, generator, plan)
                measured[slice_s].append((rows[CORE[1]], rows[CORE[0]]))
    for metric in _METRICS:
        estimates = {slice_s: _estimates(of, slice_s, metric) for slice_s, of in measured.items()}
        yield _verdict(estimates, scenario.name, metric, say)


def _estimates(
    measured: Sequence[slices.Block], slice_s: float, metric: str
) -> tuple[blocks.BlockEstimate, ...]:
    made = slices.block_estimates(measured, metric)
    kept = tuple(estimate for estimate in made if estimate is not None)
    if len(kept) < len(made):
        raise HarnessError(f"a Block of {slice_s:g} s came to nothing")
    return kept


def _verdict(
    estimates: Mapping[float, Sequence[blocks.BlockEstimate]],
    scenario: str,
    metric: str,
    say: Callable[[str], None],
) -> Verdict:
    for slice_s in LENGTHS_S:
        ratio = blocks.over_blocks(estimates[slice_s])
        assert ratio.interval is not None
        say(
            f"{scenario}, {metric}, Slices of {slice_s:g} s: {CORE[1]} over {CORE[0]} "
            f"{ratio.centre:.3f}, 95 % {ratio.interval.low:.3f} to {ratio.interval.high:.3f}"
        )
    longest = estimates[LENGTHS_S[-1]]
    flat = {
        slice_s: blocks.over_blocks(
            [
                blocks.BlockEstimate(one.value - other.value, one.error, one.n)
                for one, other in zip(estimates[slice_s], longest, strict=True)
            ]
        )
        for slice_s in LENGTHS_S[:-1]
    }
    return Verdict(
        f"{scenario}, {metric}: the ratio at each length is the longest's, within its interval",
        ", ".join(f"{slice_s:g} s {ratio.centre:.3f}" for slice_s, ratio in flat.items()),
        all(ratio.interval is not None and 1.0 in ratio.interval for ratio in flat.values()),
    )
