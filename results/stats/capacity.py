"""How many processes a given rate needs, from a run's open loops: an estimate with its limits.

A stack holds a rate where no Warning forbids reading it as held (missed
arrivals above all) and, if one is asked for, the p99 response time keeps a
bound. Of the rates that it holds, the highest gives the CPU time a request and
the share of one CPU that may be used; a rate is then divided by what one
process can do: share / CPU time. That is the utilisation law, U = X · S
(Denning and Buzen, The Operational Analysis of Queueing Network Models, 1978).
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopbench.results.folder.folder import Folder, RunRow
from loopbench.results.grouping import grouped
from loopbench.results.schema.load_kinds import LoadKind
from loopbench.results.stats import formatting
from loopbench.results.stats.intervals.location import locate
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries, Summary
from loopbench.results.stats.summaries.warned import Warning  # noqa: A004  the project's noun

RATE, P99, CPU, SHARE = (
    "arrival_rate_rps",
    "response_time_p99_ms",
    "cpu_us_per_request",
    "server_cpu_utilisation",
)

_BEFORE = "rss_start_bytes"

ASSUMPTIONS = (
    "each process has a CPU of its own, and requests are spread evenly over the processes",
    "the requests are those of the scenarios named, on the machine that was measured",
    "whatever the handlers call (databases, other servers) keeps up",
    "nothing is set aside for peaks, deploys or a lost machine",
)


@dataclass(frozen=True, slots=True)
class Point:
    """One rate that was offered to a stack. utilisation: of one CPU, by all its processes together.
    None: of no Run there is a figure. why_not: blank: it held. processes: that served it."""

    scenario: str
    rate_rps: float
    p99_ms: float | None
    cpu_us: float | None
    utilisation: float | None
    why_not: str
    processes: int = 1

    @property
    def held(self) -> bool:
        """Whether the stack held the rate."""
        return not self.why_not

    @property
    def per_process_rps(self) -> float | None:
        """What one process can do, by the share of a CPU that each used."""
        if self.utilisation is None or not self.cpu_us:
            return None
        return self.utilisation / self.processes / self.cpu_us * 1e6


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one process of a stack can do, and what is needed for `wanted_rps`.

    best: the highest rate that held below the first that did not; None where none did.
    beyond: the lowest rate that did not hold, or has no figure; None where all held, and
    the capacity is at least what is said. process_bytes: resident memory of a process before
    the load. connection_bytes: what an idle connection added. None: not measured.
    """

    stack: str
    wanted_rps: float
    points: tuple[Point, ...]
    best: Point | None
    beyond: Point | None
    process_bytes: float | None
    connection_bytes: float | None

    @property
    def per_process_rps(self) -> float | None:
        """The rate that one process can hold."""
        return None if self.best is None else self.best.per_process_rps

    @property
    def processes(self) -> int | None:
        """How many processes it takes; None where no rate was held."""
        rate = self.per_process_rps
        return None if rate is None else math.ceil(round(self.wanted_rps / rate, 9))


def capacities(
    folder: Folder,
    summaries: Summaries,
    wanted_rps: float,
    slo_ms: float | None,
    pattern: str = "*",
) -> tuple[Capacity, ...]:
    """One for each stack with open loops of that name, without the yardstick.

    slo_ms: the bound on the p99 response time; None: it only has to keep up.
    """
    of_stacks = []
    for stack in folder.stacks:
        points = tuple(_points(folder, summaries, stack, slo_ms, pattern))
        if points and stack != summaries.yardstick:
            failing = next((place for place, point in enumerate(points) if not point.held), None)
            below = points if failing is None else points[:failing]
            of_stacks.append(
                Capacity(
                    stack,
                    wanted_rps,
                    points,
                    below[-1] if below else None,
                    None if failing is None else points[failing],
                    *_memory(folder, summaries, stack),
                )
            )
    return tuple(of_stacks)


def offered_rates(
    folder: Folder, summaries: Summaries, stack: str, pattern: str = "*"
) -> dict[tuple[str, str], tuple[float, int]]:
    """The rates offered to a stack by open loops of that name, in requests a second, and to how
    many processes; by scenario and load."""
    return {
        run.where: (rate, int(run.number("processes") or 1))
        for run in folder.runs
        if run.stack == stack and fnmatch.fnmatchcase(run.scenario, pattern)
        if summaries.facts[run.where].is_rate
        if (rate := run.number(RATE)) is not None
    }


def _points(
    folder: Folder, summaries: Summaries, stack: str, slo_ms: float | None, pattern: str
) -> Iterator[Point]:
    """The rates that were offered, the lowest first. One without any figure was not held, as far
    as anybody knows; one whose CPU time alone is missing says nothing here."""
    rates = offered_rates(folder, summaries, stack, pattern)
    for where, (rate, processes) in sorted(rates.items(), key=lambda pair: pair[1][0]):
        cell: Cell = (stack, *where)
        p99, cpu, share = (summaries.get(cell, metric) for metric in (P99, CPU, SHARE))
        why_not = _why_not(p99, summaries.cells[cell], slo_ms)
        if why_not or (cpu is not None and share is not None):
            ms, cpu_us, used = map(_centre, (p99, cpu, share))
            yield Point(where[0], rate, ms, cpu_us, used, why_not, processes)


def _centre(summary: Summary | None) -> float | None:
    return None if summary is None else summary.centre


def _why_not(p99: Summary | None, noted: Iterable[Warning], slo_ms: float | None) -> str:
    if p99 is None:
        codes = formatting.listed(warning.code for warning in noted if warning.wording.disqualifies)
        return f"no figures{f' ({codes})' if codes else ''}"
    if p99.disqualifying:
        return formatting.listed(p99.disqualifying)
    most = p99.highest if p99.interval is None else p99.interval.high
    if slo_ms is not None and most > slo_ms:
        return f"p99 up to {formatting.digits(most)} ms"
    return ""


def _memory(folder: Folder, summaries: Summaries, stack: str) -> tuple[float | None, float | None]:
    """Of a process before its load, and of a connection: from the first idle scenario. What the
    load beside the idle connections took is shared among all, as in the report."""
    idle = (run for run in folder.runs if (run.stack, run.load_model) == (stack, LoadKind.IDLE))
    for idle_run in idle:
        here = (
            run for run in folder.runs if (run.stack, run.scenario) == (stack, idle_run.scenario)
        )
        shares = list(_shares(grouped((run.round, run) for run in here).values()))
        start = summaries.get(idle_run.cell, _BEFORE)
        if start is not None and shares:
            return start.centre / (idle_run.number("processes") or 1), locate(shares).centre
    return None, None


def _shares(rounds: Iterable[Sequence[RunRow]]) -> Iterator[float]:
    """How much the server grew by each connection, a value a Round. rounds: the loads of each."""
    for loads in rounds:
        before, end = loads[0].number(_BEFORE), loads[0].number("rss_end_bytes")
        users = sum(run.number("users") or 0 for run in loads)
        if before is not None and end is not None and users:
            yield (end - before) / users


@dataclass(frozen=True, slots=True)
class Check:
    """A measured utilisation, and what the two rates below it would have said."""

    stack: str
    scenario: str
    predicted: float
    measured: float

    @property
    def off(self) -> float:
        """How far the prediction is off, as a share of what was measured."""
        return self.predicted / self.measured - 1


def checks(capacities: Sequence[Capacity]) -> Iterator[Check]:
    """Each rate that held, its utilisation predicted by the straight line through the two next
    lower ones that held; of several scenarios of one rate the first by name."""
    for capacity in capacities:
        held: dict[float, tuple[str, float]] = {}
        for point in capacity.points:
            if point.held and point.utilisation:
                held.setdefault(point.rate_rps, (point.scenario, point.utilisation))
        known = [(rate, *reading) for rate, reading in held.items()]
        for first, second, third in zip(known, known[1:], known[2:], strict=False):
            slope = (second[2] - first[2]) / (second[0] - first[0])
            predicted = second[2] + slope * (third[0] - second[0])
            yield Check(capacity.stack, third[1], predicted, third[2])
