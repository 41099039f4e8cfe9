"""Instructions of a request, counted for chosen Cases of chosen stacks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loadtests.instructions import counting
from results.schema import COUNTS, Row, TableWriter
from servers.contract import CASES
from servers.settings import Settings

REQUESTS = 500
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Count:
    """Instructions a request of one Case, each repeat."""

    stack: str
    case: str
    requests: int
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the repeats."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Their range, as a share of the least."""
        return (max(self.values) - min(self.values)) / min(self.values)

    def row(self) -> Row:
        """As counts.csv has it."""
        return {
            "stack": self.stack,
            "case": self.case,
            "requests": self.requests,
            "repeats": len(self.values),
            "instructions": self.median,
            "spread": self.spread,
        }


def count(
    stacks: Sequence[str], cases: Sequence[str], requests: int, say: Callable[[str], None]
) -> list[Count]:
    """Count each Case REPEATS times on each stack, two stacks at a time: a count does not depend
    on what else the machine does. Raises HarnessError."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda stack: list(_of(stack, cases, requests, say)), stacks)
        return [one for of_stack in found for one in of_stack]


def _of(
    stack: str, cases: Iterable[str], requests: int, say: Callable[[str], None]
) -> Iterator[Count]:
    """One server counts all Cases, one after another: the start is paid for once."""
    settings = Settings(keep_alive_s=600.0)  # under valgrind everything takes fifty times as long
    with counting(stack, settings) as counter:
        for name in cases:
            values = tuple(counter.per_request(CASES[name], requests) for _ in range(REPEATS))
            one = Count(stack, name, requests, values)
            say(
                f"{stack} {name}: {one.median:,.0f} instructions a request "
                f"(median of {REPEATS} x {requests} requests, spread {one.spread:.2%})"
            )
            yield one


def write(folder: Path, counts: Iterable[Count]) -> None:
    """Put counts.csv into a results folder, in place of one that is there. Raises OSError."""
    (folder / COUNTS.filename).unlink(missing_ok=True)
    with TableWriter(folder, COUNTS) as writer:
        writer.append(one.row() for one in counts)
