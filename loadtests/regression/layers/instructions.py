"""Layer 2: instructions that a request costs each side, counted by callgrind.

How, and what keeps equal servers alike: `loadtests.observe.request_counts`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import Counter, counting
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import (
    NOT_ASKED,
    REPEATS,
    REQUESTS,
    SETTINGS,
    UNCOUNTED,
    Count,
    Idle,
    Sender,
    WrongAnswer,
    idle_work,
    windows,
)
from loopbench.loadtests.regression.layers.facts import representatives
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.results.schema.regression import (
    GROWTH,
    SEARCHING_GROWTH,
    SPREADS,
    by_searching,
    overlapping,
    settled,
    spread,
    undecided,
)
from loopbench.servers.contract.http import Case

MOST = 6
"""So many repeats are counted of a route, at most: one of each, and more while its counts leave a
growth in doubt. A baseline has REPEATS."""

SMALL_GROWTH = 2 * GROWTH
"""A growth of less is called only when MOST have been counted: what is met in one window and not in
the next has cost as much as 1 % of one. A growth of this size is called by REPEATS."""


SIDE_BY_SIDE = 10
"""Requests of a count where both sides are counted now: they are in the same state then, so that no
more are needed. A baseline has REQUESTS, and is compared with as many."""

Route = tuple[str, str]
"""Stack and case."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted: so many requests a count, in so many fresh processes, and in up to `most`
    of what is in doubt."""

    requests: int = REQUESTS
    repeats: int = 1
    most: int = MOST


def cases_of(side: Side) -> dict[str, Case]:
    """What is counted of a side, in this order: a Case a route of its own contract, but for
    those of UNCOUNTED."""
    counted = [case for route, case in representatives(side).items() if route not in UNCOUNTED]
    chosen = sorted(counted, key=lambda case: case.name in side.in_thread)
    return {case.name: case for case in chosen}


@dataclass(frozen=True, slots=True)
class Counts:
    """rows: of instructions.csv. reasons: why a stack's case could not be counted."""

    rows: list[Row]
    reasons: dict[tuple[str, str], str]


def measure(
    side: Side,
    cases: Mapping[str, Mapping[str, Case]],
    plan: Plan,
    patience: Patience,
    before: int = 0,
    only: Collection[Route] | None = None,
) -> Counts:
    """A row a stack, case and repeat. cases: by stack, then by name. before: repeats that there
    are already. only: these routes, with those that a process is asked before them; None: all.
    A case that is answered wrongly, or ends its server, costs only its own rows.

    Raises HarnessError where nothing can be counted, and ServerError.
    """
    taken: list[_Taken] = []
    idle: dict[str, Idle] = {}
    reasons: dict[tuple[str, str], str] = {}
    for repeat in range(before + 1, before + plan.repeats + 1):
        for stack, remaining in _processes(side, cases, only):
            while remaining:
                patience.check()
                process = _Repeat(side, stack, repeat, plan, patience, taken, reasons, idle)
                ended = process.count(remaining)
                if ended is None:
                    break
                # The case that ended the server is left out, and those after it are counted in
                # a process that has not met it.
                remaining = _behind(remaining, ended)
    if not taken:
        why = next(iter(reasons.values()), "there is no route that could be")
        raise HarnessError(f"no route was counted: {why}")
    return Counts([count.row(side, idle.get(count.stack, NOT_ASKED)) for count in taken], reasons)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A count of a stack's case."""

    stack: str
    route: str
    repeat: int
    count: Count

    def row(self, side: Side, idle: Idle) -> Row:
        count = self.count.per_request(idle)
        return {
            "side": str(side.role),
            "stack": self.stack,
            "route": self.route,
            "repeat": self.repeat,
            "requests": self.count.requests,
            "instructions": count.instructions,
            "searching": count.searching,
        }


def _processes(
    side: Side, cases: Mapping[str, Mapping[str, Case]], only: Collection[Route] | None
) -> Iterator[tuple[str, Mapping[str, Case]]]:
    """What one process each is asked, no further than the last of `only`. Routes that work in
    threads are asked of another one: they alone differ from process to process, so that they alone
    are then counted again."""
    for stack, asked in cases.items():
        for in_thread in (False, True):
            kept = {
                name: case for name, case in asked.items() if (name in side.in_thread) is in_thread
            }
            names = list(kept)
            while names and only is not None and (stack, names[-1]) not in only:
                names.pop()  # what was asked before a route may change its count, and the rest not
            if names:
                yield stack, {name: kept[name] for name in names}


def in_doubt(base: Iterable[Row], candidate: Iterable[Row]) -> tuple[Route, ...]:
    """The routes of which the repeats do not say whether they grew."""
    before, after = _by_route(base), _by_route(candidate)
    return tuple(
        key
        for key in before
        if key in after
        and any(_doubtful(*figures) for figures in _figures(before[key], after[key]))
    )


def _figures(
    base: Sequence[Row], candidate: Sequence[Row]
) -> Iterator[tuple[list[float], list[float], float]]:
    """What may have grown of a route, and by how much it has to: instructions, and searches of
    classes where known."""
    yield _counts(base), _counts(candidate), GROWTH
    searching = by_searching(base, candidate)
    if searching is not None:
        yield *searching, SEARCHING_GROWTH


def repeats(rows: Iterable[Row]) -> dict[Route, list[float]]:
    """The counts of one side, by route."""
    return {route: _counts(each) for route, each in _by_route(rows).items()}


def _by_route(rows: Iterable[Row]) -> dict[Route, list[Row]]:
    by_route: defaultdict[Route, list[Row]] = defaultdict(list)
    for row in rows:
        by_route[str(row["stack"]), str(row["route"])].append(row)
    return dict(by_route)


def _counts(rows: Iterable[Row]) -> list[float]:
    return [float(value) for row in rows if isinstance(value := row["instructions"], int | float)]


def _doubtful(before: list[float], after: list[float], growth: float) -> bool:
    if min(len(before), len(after)) < 2:
        return not settled(before, after, growth)
    change = statistics.median(after) / statistics.median(before) - 1
    wider = max(spread(before), spread(after))
    if change >= max(growth, SPREADS * wider):
        needed = MOST if change < SMALL_GROWTH else REPEATS
        return len(after) < needed or overlapping(before, after)
    return undecided(change, wider, growth)


def _behind(cases: Mapping[str, Case], name: str) -> dict[str, Case]:
    names = list(cases)
    return {later: cases[later] for later in names[names.index(name) + 1 :]}


@dataclass(frozen=True, slots=True)
class _Repeat:
    """A fresh process of a stack, and where what is counted in it goes. idle: by stack, what the
    server does while nobody asks it."""

    side: Side
    stack: str
    repeat: int
    plan: Plan
    patience: Patience
    taken: list[_Taken]
    reasons: dict[tuple[str, str], str]
    idle: dict[str, Idle]

    def count(self, cases: Mapping[str, Case]) -> str | None:
        """Every case once; the name of the one that ended the process, if one did."""
        python, root = self.side.python, self.side.root
        with counting(
            *(self.stack, SETTINGS),
            python=python,
            root=root,
            still=True,
            begun=False,
            patience=self.patience,
        ) as counter:
            ended = self._windows(counter, cases)
            if ended is None:
                if self.stack not in self.idle:
                    self.idle[self.stack] = idle_work(counter)
                counter.cease()
        return ended

    def _windows(self, counter: Counter, cases: Mapping[str, Case]) -> str | None:
        under_way = next(iter(cases))
        asked = windows(counter, cases, self.plan.requests, self.patience, Sender.count)
        try:
            for name, count in asked:
                under_way = next(iter(_behind(cases, name)), name)
                if isinstance(count, WrongAnswer):
                    self.reasons[self.stack, name] = str(count)
                else:
                    self.taken.append(_Taken(self.stack, name, self.repeat, count))
        except HarnessError as error:
            self.patience.check()  # where it was given up the server was killed
            if counter.server.alive:
                raise
            self.reasons[self.stack, under_way] = str(error)
            return under_way
        return None
