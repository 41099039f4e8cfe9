"""How tight the ratios of a folder are: for who goes on measuring until they are tight enough.

The one place where the measuring half asks the reading half: it reads the CSV files that were
written so far, as any report does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loopbench.results.folder import folder as folders
from loopbench.results.folder.folder import Folder
from loopbench.results.stats.intervals.blocks import LEAST_SEQUENTIAL_BLOCKS
from loopbench.results.stats.summaries.summary import summarise

CLOSED, COST, SPEED = "closed", "cpu_us_per_request", "throughput_rps"


@dataclass(frozen=True, slots=True)
class Width:
    """How well one ratio is known. reach: the longer side of its 95 % interval as a share of it, as
    the table prints it; None where there is no interval yet, or none that may decide whether to go
    on. n: the Rounds that it comes from. closed: whether of a closed loop."""

    scenario: str
    stack: str
    to: str
    metric: str
    reach: float | None
    n: int
    closed: bool = True


def widths(path: Path) -> tuple[Width, ...]:
    """The ratios that a bench is about, of every Cell that was measured: CPU time a request, and
    of closed loops throughput. Those of the yardstick only where there are no others: it is there
    to show what the generator can see, and how much faster it is than a server interests nobody.
    Raises ResultsError where the folder cannot be read."""
    folder = folders.load(path)
    every = tuple(_widths(folder))
    return tuple(width for width in every if width.stack != folder.yardstick) or every


def _widths(folder: Folder) -> Iterator[Width]:
    summaries = summarise(folder)
    closed = {run.where for run in folder.runs if run.load_model == CLOSED}
    for cell in summaries.cells:
        stack, scenario, load = cell
        loops = (scenario, load) in closed
        for metric in (COST, SPEED) if loops else (COST,):
            summary = summaries.get(cell, metric)
            if summary is None or summary.ratio is None:
                continue
            ratio = summary.ratio
            reach = None
            if ratio.interval is not None and ratio.n >= LEAST_SEQUENTIAL_BLOCKS:
                reach = ratio.interval.reach(ratio.centre)
            yield Width(scenario, stack, ratio.to, metric, reach, ratio.n, loops)
