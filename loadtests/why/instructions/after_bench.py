"""Instructions of a request, counted after the loads of a bench for the routes that were loaded.

CPU time a request depends on the machine and on its state; the number of instructions hardly does,
so that it says beside each ratio of CPU time what it would be on a machine at rest. Nothing is
timed while it is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from loopbench.loadtests.bench.specification import Bench
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.observe.request_counts import UNCOUNTED
from loopbench.loadtests.why.instructions import counts as instruction_counts
from loopbench.loadtests.why.instructions.counts import Count
from loopbench.results.schema import COUNTS

REQUESTS = 40
"""In the one count of a route. Another count differs by some tenths of a per cent."""


def cases(bench: Bench) -> tuple[str, ...]:
    """The Cases of the scenarios that are measured in Slices, each once: their requests cost the
    server CPU time and little else."""
    loads = [
        load
        for name in bench.scenarios
        if bench.sliced(name) is not None
        for load in bench.scenario(name).loads
    ]
    return tuple(dict.fromkeys(load.case.name for load in loads if load.route not in UNCOUNTED))


def count(bench: Bench, left_out: frozenset[str], say: Callable[[str], None]) -> None:
    """Write counts.csv into the bench's folder; where nothing can be counted, say why.

    left_out: stacks that cannot be started here, or broke the contract.
    """
    chosen = cases(bench)
    stacks = [
        name for name in bench.stacks if name not in left_out and not bench.stack(name).yardstick
    ]
    if not chosen or not stacks:
        return
    say(f"counting the instructions of a request: {', '.join(chosen)}")
    lacking = missing()
    if lacking is not None:
        say(f"the instructions of a request are not counted: {lacking}")
        return
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda stack: _counted(stack, chosen), stacks))
    for stack, outcome in zip(stacks, outcomes, strict=True):
        if isinstance(outcome, HarnessError):
            say(f"the instructions of a request of {stack} are not counted: {outcome}")
    counts = [of_case for outcome in outcomes if isinstance(outcome, list) for of_case in outcome]
    if not counts:
        return
    try:
        instruction_counts.write(bench.folder, counts)
    except OSError as error:
        say(f"{COUNTS.filename} cannot be written: {error.strerror}")


def _counted(stack: str, chosen: Sequence[str]) -> list[Count] | HarnessError:
    """The counts of a stack, or why there are none: that of one stack costs the others nothing."""
    try:
        return instruction_counts.count([stack], chosen, REQUESTS, _silent, repeats=1)
    except HarnessError as error:
        return error


def _silent(_: str) -> None:
    """The table shows the counts."""
