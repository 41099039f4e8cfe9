"""A Sample over that of the reference stack.

Stacks are compared within a Round, since the Runs of a Round share the machine's state: the
logarithms of value over reference value, one a Round, are summarised as other values are
(`results.stats.intervals.location`), and the results raised to e again. How much Rounds differ is
learned from all ratios of a column that were measured in whole Runs
(`results.stats.intervals.moderation`). Of Runs that were measured in Slices the value of a Round
comes from the ratios of Slices in the same Turn (`results.stats.intervals.slices`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder
from loopbench.results.grouping import grouped
from loopbench.results.stats.intervals import blocks, moderation, slices
from loopbench.results.stats.intervals.location import Interval, Location, locate, raised
from loopbench.results.stats.summaries.sample import METRICS, Cell, Sample


@dataclass(frozen=True, slots=True)
class Ratio:
    """A Sample over that of the reference stack in the same scenario and load.

    n: Rounds that have both. interval: None where n is too small. overloaded: those of the two
    stacks that did not hold the offered rate, so that the ratio says how long the load lasted.
    """

    to: str
    n: int
    centre: float
    interval: Interval | None
    overloaded: tuple[str, ...] = ()

    @property
    def significant(self) -> bool | None:
        """Whether the interval leaves out 1; None without an interval."""
        return None if self.interval is None else 1.0 not in self.interval


def ratios(
    folder: Folder,
    taken: Mapping[tuple[Cell, str], Sample],
    to: str,
    metrics: Iterable[str] = METRICS,
) -> dict[tuple[Cell, str], Ratio]:
    """Every ratio of these metrics to a stack: by Slices where there are some, else by whole
    Runs."""
    wanted = frozenset(metrics)
    sliced = sliced_ratios(folder, to, wanted)
    whole = {key: sample for key, sample in taken.items() if key[1] in wanted and key not in sliced}
    return whole_ratios(whole, to) | sliced


def paired_ratio(sample: Sample, reference: Sample) -> Ratio | None:
    """Paired by Round, by these values alone. None where a Round has a zero, of which there is no
    ratio, or none has both."""
    located = _logarithm(sample, reference)
    return None if located is None else _raised(reference.stack, located)


def _logarithm(sample: Sample, reference: Sample) -> Location | None:
    shared = sorted(sample.values.keys() & reference.values.keys())
    pairs = [(sample.values[number], reference.values[number]) for number in shared]
    if not pairs or any(value <= 0 or other <= 0 for value, other in pairs):
        return None
    return locate(math.log(value / other) for value, other in pairs)


def _raised(to: str, located: Location) -> Ratio:
    return Ratio(to, located.n, math.exp(located.centre), raised(located.interval))


def whole_ratios(
    taken: Mapping[tuple[Cell, str], Sample], to: str
) -> dict[tuple[Cell, str], Ratio]:
    """Ratios of whole Runs to the reference stack. How much Rounds differ is learned from all of a
    column, see `stats.intervals.moderation`."""
    located = {}
    for (cell, metric), sample in taken.items():
        reference = taken.get(((to, *cell[1:]), metric))
        if cell[0] == to or reference is None:
            continue
        log_ratio = _logarithm(sample, reference)
        if log_ratio is not None:
            located[cell, metric] = log_ratio
    spreads = {key: moderation.spread_over_rounds(location) for key, location in located.items()}
    priors = _priors(spreads, most=moderation.WHOLE_FREEDOM)
    return {
        key: _raised(to, moderation.moderated(location, priors[key[1]]))
        for key, location in located.items()
    }


def sliced_ratios(
    folder: Folder, to: str, metrics: Set[str] = frozenset(slices.METRICS)
) -> dict[tuple[Cell, str], Ratio]:
    """Ratios of Runs that were measured in Slices, by their Turns; see `stats.intervals.slices`."""
    rows = slices.by_run(folder.slices)
    references = {(run.round, run.scenario): run for run in folder.runs if run.stack == to}
    measured: defaultdict[tuple[str, str], list[tuple[Cell, slices.Block]]] = defaultdict(list)
    for run in folder.runs:
        reference = references.get((run.round, run.scenario))
        if reference is None or run.stack == to or not rows.get(run.run_id):
            continue
        pair = rows[run.run_id], rows.get(reference.run_id, ())
        for metric in filter(metrics.__contains__, slices.METRICS):
            if run.number(metric) is not None and reference.number(metric) is not None:
                measured[run.stack, metric].append((run.cell, pair))  # not what was cut short
    estimates: defaultdict[tuple[Cell, str], list[blocks.BlockEstimate]] = defaultdict(list)
    for (_, metric), of_stack in measured.items():
        cells, of_blocks = zip(*of_stack, strict=True)
        made = slices.block_estimates(of_blocks, slices.METRICS[metric])
        for cell, estimate in zip(cells, made, strict=True):
            if estimate is not None:
                estimates[cell, metric].append(estimate)
    priors = _priors({key: blocks.spread_of(every) for key, every in estimates.items()})
    sequential = folder.plan.sequential
    sliced = {
        key: blocks.over_blocks(every, prior=priors[key[1]], sequential=sequential)
        for key, every in estimates.items()
    }
    return {key: Ratio(to, ratio.n, ratio.centre, ratio.interval) for key, ratio in sliced.items()}


def _priors(
    spreads: Mapping[tuple[Cell, str], moderation.Spread | None], most: float = math.inf
) -> dict[str, moderation.Prior | None]:
    """By metric: what its ratios have in common of how much their Rounds differ."""
    by_metric = grouped((metric, spread) for (_, metric), spread in spreads.items())
    return {
        metric: moderation.learn([spread for spread in of_metric if spread is not None], most)
        for metric, of_metric in by_metric.items()
    }
