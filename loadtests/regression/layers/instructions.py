"""Layer 2: instructions that a request costs each side, counted by callgrind.

How, and what keeps equal servers alike: `loadtests.observe.request_counts`.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.callgrind import counting
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import (
    REPEATS,
    REQUESTS,
    UNCOUNTED,
    Sender,
    WrongAnswer,
    windows,
)
from loopbench.loadtests.regression.layers.facts import representatives
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.results.schema import Row
from loopbench.results.schema.regression import spread, undecided
from loopbench.servers.contract.http import Case
from loopbench.servers.settings import Settings

AGAIN = 3
"""So many repeats more, at most, of a stack that has a route whose repeats leave a growth in
doubt."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is counted: so many requests a count, in so many fresh processes."""

    requests: int = REQUESTS
    repeats: int = REPEATS


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
) -> Counts:
    """A row a stack, case and repeat. cases: by stack, then by name. before: repeats that there
    are already. A case that is answered wrongly, or ends its server, costs only its own rows.

    Raises HarnessError where nothing can be counted, and ServerError.
    """
    counts = Counts([], {})
    for repeat in range(before + 1, before + plan.repeats + 1):
        for stack, asked in cases.items():
            remaining = dict(asked)
            while remaining:
                ended = _repeat(side, stack, remaining, plan, patience, repeat, counts)
                if ended is None:
                    break
                # The case that ended the server is left out, and those after it are counted in
                # a process that has not met it.
                remaining = _behind(remaining, ended)
    if not counts.rows:
        why = next(iter(counts.reasons.values()), "there is no route that could be")
        raise HarnessError(f"no route was counted: {why}")
    return counts


def in_doubt(base: Iterable[Row], candidate: Iterable[Row]) -> tuple[str, ...]:
    """The stacks with a route of which the repeats do not say whether it grew."""
    before, after = _repeats(base), _repeats(candidate)
    return tuple(
        dict.fromkeys(
            key[0] for key in before if key in after and _doubtful(before[key], after[key])
        )
    )


def _repeats(rows: Iterable[Row]) -> dict[tuple[str, str], list[float]]:
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        value = row["instructions"]
        assert isinstance(value, int | float)  # required, so there
        found[str(row["stack"]), str(row["route"])].append(float(value))
    return dict(found)


def _doubtful(before: list[float], after: list[float]) -> bool:
    change = statistics.median(after) / statistics.median(before) - 1
    return undecided(change, max(spread(before), spread(after)))


def _behind(cases: Mapping[str, Case], name: str) -> dict[str, Case]:
    names = list(cases)
    return {later: cases[later] for later in names[names.index(name) + 1 :]}


def _repeat(
    side: Side,
    stack: str,
    cases: Mapping[str, Case],
    plan: Plan,
    patience: Patience,
    repeat: int,
    counts: Counts,
) -> str | None:
    """Count every case in one fresh process; the name of the one that ended it, if one did."""
    under_way = next(iter(cases))
    with counting(
        stack, Settings(), python=side.python, root=side.root, collector=False
    ) as counter:
        try:
            for name, taken in windows(counter, cases, plan.requests, patience, Sender.count):
                under_way = next(iter(_behind(cases, name)), name)
                if isinstance(taken, WrongAnswer):
                    counts.reasons[stack, name] = str(taken)
                    continue
                counts.rows.append(
                    {
                        "side": str(side.role),
                        "stack": stack,
                        "route": name,
                        "repeat": repeat,
                        "requests": plan.requests,
                        "instructions": taken,
                    }
                )
        except HarnessError as error:
            if counter.server.alive:
                raise
            counts.reasons[stack, under_way] = str(error)
            return under_way
    return None
