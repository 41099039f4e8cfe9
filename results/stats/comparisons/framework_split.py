"""What a framework, a loop and a parser cost: stacks that differ in one trait, subtracted.

Which stacks pair is read from environment.json, where each server said what it
consists of. CPU time is divided by the ratio of the two, which is known far
better than a difference of microseconds, since the machine's speed drops out of
it (`results.stats.summaries.ratios`); everything else in a row follows from the
stack's own figure and that ratio, so that a row has one footing. Instruction
counts are no Samples: a count carries the range of its repeats, and a difference
the sum of both ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import permutations

from loopbench.results.folder.folder import Folder, facts_of
from loopbench.results.folder.scenarios import first_loads
from loopbench.results.folder.tables import Problem, optional_rows
from loopbench.results.schema import COUNTS, Row
from loopbench.results.stats.intervals.location import Interval
from loopbench.results.stats.summaries.ratios import Ratio
from loopbench.results.stats.summaries.sample import Cell
from loopbench.results.stats.summaries.summary import Summaries, loads

CPU = "cpu_us_per_request"

FRAMEWORK, LOOP, PARSER = "framework", "loop", "parser"

BASES: Mapping[str, str] = {FRAMEWORK: "ASGI", LOOP: "asyncio", PARSER: "h11"}
"""The traits that are told apart, each with its value on the side that is subtracted: an
application without a framework, the standard library's loop, the parser in Python."""

Facts = Mapping[str, Mapping[str, object]]
"""What each server said of itself, by stack: `stacks` of environment.json."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a stack consists of. parser: blank where the server's name does not tell one."""

    framework: str
    server: str
    parser: str
    loop: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two stacks that differ in one trait, `kind`. base: the one that is subtracted."""

    kind: str
    base: str
    other: str


@dataclass(frozen=True, slots=True)
class Split:
    """CPU time a request of a Pair in one scenario, in us.

    other: as every table has it. ratio: other over base, as any ratio of stacks. codes: Warnings
    that touch either side.
    """

    pair: Pair
    scenario: str
    load: str
    name: str
    other: float
    ratio: Ratio
    codes: tuple[str, ...]

    @property
    def base(self) -> float:
        """What other is by the ratio without what it has more than the base."""
        return self.other / self.ratio.centre

    @property
    def difference(self) -> float:
        """Other minus base."""
        return self.other - self.base

    @property
    def share(self) -> float:
        """The difference of all that other takes."""
        return 1 - 1 / self.ratio.centre

    @property
    def interval(self) -> Interval | None:
        """The 95 % interval of the share; None where the Rounds are too few. A difference in us
        has none: it is as uncertain as the machine's speed, too."""
        ends = self.ratio.interval
        return None if ends is None else Interval(1 - 1 / ends.low, 1 - 1 / ends.high)

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """Where base and other were measured."""
        where = (self.scenario, self.load)
        return (self.pair.base, *where), (self.pair.other, *where)


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions a request of a Pair in one case. reach: how far the difference may be off,
    the ranges of both sides' counts together; None where either was counted once."""

    pair: Pair
    case: str
    base: float
    other: float
    reach: float | None

    @property
    def difference(self) -> float:
        """Other minus base."""
        return self.other - self.base


def pairs(facts: Facts) -> tuple[Pair, ...]:
    """All that can be subtracted, by kind and then in the order of `facts`."""
    known = {
        stack: traits for stack, stack_facts in facts.items() if (traits := _traits(stack_facts))
    }
    return tuple(
        Pair(kind, base, other)
        for kind, value in BASES.items()
        for base, other in permutations(known, 2)
        if getattr(known[base], kind) == value and _differ(known[base], known[other]) == [kind]
    )


def _traits(stack_facts: Mapping[str, object]) -> Traits | None:
    """None where the facts do not say, and where no loop serves."""
    framework, server, loop = (
        stack_facts.get("framework"),
        stack_facts.get("server"),
        stack_facts.get("loop"),
    )
    kind = loop.get("class") if isinstance(loop, Mapping) else None
    if not (isinstance(framework, str) and isinstance(server, str) and isinstance(kind, str)):
        return None
    name, _, parser = server.partition("/")
    return Traits(framework, name, parser, kind.split(".")[0])


def _differ(one: Traits, other: Traits) -> list[str]:
    names = [field.name for field in fields(Traits)]
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def of_folder(
    folder: Folder, summaries: Summaries, problems: list[Problem]
) -> tuple[tuple[Split, ...], tuple[Counted, ...]]:
    """Everything of a folder that can be told apart. Raises ResultsError where counts.csv is
    there and cannot be opened."""
    facts = facts_of(folder)
    counts = optional_rows(folder.path, COUNTS, problems)
    timed = tuple(splits(facts, summaries, first_loads(loads(folder))))
    return timed, tuple(counted(facts, counts))


def splits(
    facts: Facts, summaries: Summaries, wheres: Iterable[tuple[str, str]]
) -> Iterator[Split]:
    """Every Pair in every scenario and load where both sides have a ratio."""
    all_pairs = pairs(facts)
    for where in wheres:
        for pair in all_pairs:
            split = _split(pair, where, summaries)
            if split is not None:
                yield split


def _split(pair: Pair, where: tuple[str, str], summaries: Summaries) -> Split | None:
    base = summaries.get((pair.base, *where), CPU)
    other = summaries.get((pair.other, *where), CPU)
    if base is None or other is None:
        return None
    ratio = summaries.between((pair.other, *where), (pair.base, *where), CPU)
    if ratio is None:
        return None
    codes = dict.fromkeys(warning.code for side in (base, other) for warning in side.warnings)
    return Split(pair, *where, summaries.names[where], other.centre, ratio, tuple(codes))


def counted(facts: Facts, counts: Iterable[Row]) -> Iterator[Counted]:
    """Every Pair in every case that was counted for both sides."""
    by: dict[str, dict[str, tuple[float, float | None]]] = {}
    for row in counts:
        value, spread = row["instructions"], row["spread"]
        if isinstance(value, float):
            reach = value * spread if isinstance(spread, float) else None
            by.setdefault(str(row["case"]), {})[str(row["stack"])] = value, reach
    all_pairs = pairs(facts)
    for case, by_stack in by.items():
        for pair in all_pairs:
            if pair.base in by_stack and pair.other in by_stack:
                (base, before), (other, after) = by_stack[pair.base], by_stack[pair.other]
                reach = None if before is None or after is None else before + after
                yield Counted(pair, case, base, other, reach)
