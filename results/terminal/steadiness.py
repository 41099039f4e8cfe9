"""Why intervals are wide, where they are, and what would make them narrower."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from loopbench.results.folder.folder import Folder
from loopbench.results.grouping import grouped
from loopbench.results.schema import Row
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.schema.tables.slices import STOLEN
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.summary import Summaries, load_models

NARROW = 0.05
"""Half of an interval, as a share of its ratio, from which on nothing is said."""

MOST_TIMES = 100
"""More than so many times as long nobody measures."""

ROUNDED_FROM = 2
"""So many times and more are given as a whole number."""

_METRIC = "throughput_rps"
TOLD_FROM = 0.01
"""Share of the servers' CPU time that is worth a word where a hypervisor took it."""

_FEWEST_SLICES = 4


def lines(folder: Folder, summaries: Summaries) -> Iterator[str]:
    """How well the ratios of closed loops are known in the median, what the machine did meanwhile,
    and how much longer would do; nothing where they are known to NARROW, or to no interval."""
    widths = list(_half_widths(folder, summaries))
    if not widths or (middle := statistics.median(widths)) <= NARROW:
        return
    known = f"Ratios of closed loops are known to {formatting.reach(middle)} in the median"
    yield f"{known}{_why(folder.slices)}."
    longer = (middle / NARROW) ** 2
    if longer <= MOST_TIMES:
        times = f"{longer:.0f}" if longer >= ROUNDED_FROM else f"{longer:.1f}"
        narrow = f"±{NARROW:.0%}"
        yield f"{narrow} takes about {times} times as long here, and less on a quieter machine."


def _why(slices: Sequence[Row]) -> str:
    """What the machine did meanwhile, as far as it was read."""
    varied, taken = variation(slices), stolen(slices)
    clauses = []
    if varied is not None:
        clauses.append(f"a fixed piece of work varied by {varied:.0%} meanwhile")
    if taken is not None and taken >= TOLD_FROM:
        clauses.append(f"the hypervisor took {taken:.0%} of the servers' CPU")
    return "; " + ", and ".join(clauses) if clauses else ""


def stolen(slices: Iterable[Row]) -> float | None:
    """Share of the windows for which the hypervisor ran others in place of the servers' CPUs, in
    the mean; None where none tells."""
    shares = [share for row in slices if isinstance(share := row.get(STOLEN.name), float)]
    return statistics.fmean(shares) if shares else None


def variation(slices: Iterable[Row]) -> float | None:
    """By how much the time of a fixed piece of work differed between the Slices of a Run: the
    standard deviation of its logarithm, in the median over Runs; None where it was not timed."""
    by_run = grouped(
        (str(row["run_id"]), math.log(work_ms))
        for row in slices
        if isinstance(work_ms := row["work_ms"], float) and work_ms > 0
    )
    of_each = [
        statistics.stdev(logarithms)
        for logarithms in by_run.values()
        if len(logarithms) >= _FEWEST_SLICES
    ]
    return statistics.median(of_each) if of_each else None


def _half_widths(folder: Folder, summaries: Summaries) -> Iterator[float]:
    """Of every ratio of throughput in a closed loop that was measured in Slices."""
    in_slices = {str(row["run_id"]) for row in folder.slices}
    sliced = {run.cell for run in folder.runs if run.run_id in in_slices}
    for where, models in load_models(folder).items():
        if models[-1] != LoadKind.CLOSED:
            continue
        for stack in folder.stacks:
            summary = summaries.get((stack, *where), _METRIC)
            if stack == summaries.yardstick or summary is None or (stack, *where) not in sliced:
                continue
            if summary.ratio is None or summary.ratio.interval is None:
                continue
            width = summary.ratio.interval.reach(summary.ratio.centre)
            if width is not None:
                yield width
