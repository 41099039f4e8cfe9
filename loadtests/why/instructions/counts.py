"""Instructions of a request, counted for chosen Cases of chosen stacks.

Counted as the regression check does, and so as steadily: see
`loadtests.observe.request_counts`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loopbench.loadtests.observe.callgrind import counting
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import (
    REPEATS,
    SETTINGS,
    RequestCount,
    counted,
)
from loopbench.results.schema import COUNTS, Dispatch, Row, TableWriter
from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.routes import LAYERS, route_of

_LAYERS = {f"middleware-{layers}": layers for layers in LAYERS}


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions a request of one Case, each repeat."""

    stack: str
    case: str
    requests: int
    counts: tuple[RequestCount, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """Without searches of classes, where these are known."""
        return tuple(count.instructions for count in self.counts)

    @property
    def median(self) -> float:
        """Over the repeats."""
        return statistics.median(self.values)

    @property
    def searching(self) -> float | None:
        """Spent on searching classes: the median over the repeats; None where it is not known."""
        known = [count.searching for count in self.counts if count.searching is not None]
        return statistics.median(known) if len(known) == len(self.counts) else None

    @property
    def spread(self) -> float | None:
        """Their range, as a share of the least; None of a single one."""
        if len(self.values) < 2:
            return None
        return (max(self.values) - min(self.values)) / min(self.values)

    def row(self) -> Row:
        """As counts.csv has it."""
        return {
            "stack": self.stack,
            "case": self.case,
            "layers": _LAYERS.get(self.case),
            "requests": self.requests,
            "repeats": len(self.values),
            "instructions": self.median,
            "spread": self.spread,
            "searching": self.searching,
        }


def count(
    stacks: Sequence[str],
    cases: Sequence[str],
    requests: int,
    say: Callable[[str], None],
    *,
    repeats: int = REPEATS,
    variables: tuple[str, ...] = (),
) -> list[Count]:
    """Count each Case so many times on each stack, two stacks at a time: a count does not depend
    on what else the machine does. variables: as for `counting`. Raises HarnessError."""

    def of(stack: str) -> list[Count]:
        return list(_of(stack, cases, requests, repeats, say, variables))

    with ThreadPoolExecutor(2) as pool:
        counts = pool.map(of, stacks)
        return [of_case for of_stack in counts for of_case in of_stack]


def _of(
    stack: str,
    cases: Sequence[str],
    requests: int,
    repeats: int,
    say: Callable[[str], None],
    variables: tuple[str, ...],
) -> Iterator[Count]:
    """A fresh server for each repeat counts all Cases, those that work in threads last."""
    ordered = {name: CASES[name] for name in sorted(cases, key=in_thread)}
    taken: dict[str, list[RequestCount]] = {name: [] for name in cases}
    for _ in range(repeats):
        with counting(stack, SETTINGS, still=True, begun=False, variables=variables) as counter:
            for name, request_count in counted(counter, ordered, requests, Patience()):
                taken[name].append(request_count)
    for name in cases:
        of_case = Count(stack, name, requests, tuple(taken[name]))
        say(_line(of_case))
        yield of_case


def _line(count: Count) -> str:
    """For a person."""
    spread = "" if count.spread is None else f", spread {count.spread:.2%}"
    searching = count.searching
    beside = "those included" if searching is None else f"and {searching:,.0f}"
    return (
        f"{count.stack} {count.case}: {count.median:,.0f} instructions a request "
        f"(median of {len(count.counts)} x {count.requests} requests{spread}), "
        f"{beside} for searching classes"
    )


def in_thread(case: str) -> bool:
    """Whether its route works in a thread, which leaves the heap of what comes after as it
    happened."""
    try:
        return route_of(CASES[case].request).dispatch is Dispatch.SYNC
    except LookupError:  # a request that no route is for
        return False


def write(folder: Path, counts: Iterable[Count]) -> None:
    """Put counts.csv into a results folder, in place of one that is there. Raises OSError."""
    (folder / COUNTS.filename).unlink(missing_ok=True)
    with TableWriter(folder, COUNTS) as writer:
        writer.append(of_case.row() for of_case in counts)
