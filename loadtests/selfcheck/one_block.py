"""One Block of a check: servers side by side, and the Slices of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from loopbench.loadtests.bench.loads.block import BlockPlan, Contender, measure_in_slices
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.planned_run import PlannedRun
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.models import Scenario
from loopbench.results.schema import Row
from loopbench.servers.lifecycle.process import server_process

Served = Mapping[str, tuple[str, Scenario]]
"""By a name that tells them apart: each server's stack, and what it is offered, with whose settings
it is started. They are started in this order."""


def slices_by_name(
    served: Served, generator: Generator, plan: BlockPlan
) -> dict[str, tuple[Row, ...]]:
    """Rows of slices.csv of each. Raises HarnessError where a server has none."""
    contenders = [
        Contender(
            PlannedRun(name, plan.seed, 1, name, scenario.name),
            scenario,
            partial(server_process, stack, settings=scenario.settings, cpus=plan.cpus.server),
        )
        for name, (stack, scenario) in served.items()
    ]
    results = measure_in_slices(contenders, generator, plan)
    for result in results:
        if result.report is None:
            stack, _ = served[result.planned.stack]
            raise HarnessError(f"a Block of {stack} came to nothing: {result.cause}")
    return {result.planned.stack: rows_of(result).slices for result in results}
