"""Why a request costs what it costs: instructions by function, from the tables of
`loadtests why`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from loopbench.results.report.blocks import (
    Bullets,
    Drawing,
    Heading,
    Part,
    Table,
    paragraph,
)
from loopbench.results.report.data import Material
from loopbench.results.why import flame, sentences, witness
from loopbench.results.why.callers import Neighbours, neighbours
from loopbench.results.why.costs import Cost, Costs, Where, read
from loopbench.results.why.groups import differences
from loopbench.results.why.phases import PHASES, by_phase

MOST_FUNCTIONS = 60
MOST_OPENED = 12
"""Functions of a request whose callers and callees are shown, the dearest."""

MOST_DIFFERENCES = 40


def parts(material: Material) -> tuple[Part, ...]:
    """None where the folder has no such tables."""
    return of_costs(read(material.folder.path))


Pairs = Sequence[tuple[str, str]]
"""Stacks to be drawn side by side."""


def of_costs(costs: Costs, pairs: Pairs | None = None) -> tuple[Part, ...]:
    """Sentences, totals, phases; then each case with its pictures.

    pairs: None: each stack with each other one.
    """
    if not costs.totals:
        return ()
    lines = [line for case in costs.cases() for line in sentences.of_case(costs, case)]
    lines += [*sentences.of_equality(costs), *witness.sentences(costs)]
    parts: list[Part] = [
        paragraph(
            "User-space instructions under callgrind, which do not depend on the machine's load. A "
            "function's own instructions include what the interpreter and the C library did for "
            "it. System calls and waiting for memory are not in them. What names Python's "
            "functions, the trampolines of `-X perf`, costs instructions too, so that the plain "
            "count stands beside the total.",
        ),
        Bullets(tuple((line,) for line in lines)),
        _totals(costs),
        _phases(costs),
        *(_witness(costs, where) for where in costs.samples),
    ]
    for place, case in enumerate(costs.cases()):
        parts += _case(costs, case, pairs, folded=place > 0)
    return tuple(parts)


def _totals(costs: Costs) -> Table:
    rows = tuple(
        (
            *(stack, case, total.python, f"{total.instructions:,.0f}"),
            "–" if total.spread is None else f"{total.spread:.3%}",
            "–" if total.plain is None else f"{total.plain:,.0f}",
            total.versions,
        )
        for (stack, case), total in costs.totals.items()
    )
    header = ("stack", "case", "Python", "with trampolines", "spread", "plain", "versions")
    return Table("Instructions of a request", header, rows, names=3)


def _phases(costs: Costs) -> Table:
    by_case = {where: by_phase(tree) for where, tree in costs.trees.items()}
    rows = tuple(
        (stack, case, *(f"{phases.get(phase, 0.0):,.0f}" for phase in PHASES))
        for (stack, case), phases in by_case.items()
    )
    title = "Instructions by phase; unknown: functions that the table of phases does not know"
    return Table(title, ("stack", "case", *PHASES), rows, names=2)


def _witness(costs: Costs, where: Where) -> Table:
    """Sampled time beside counted instructions."""
    stack, case = where
    rows = tuple(
        (
            *(share.function.label, f"{share.instructions:.1%}", f"{share.time:.1%}"),
            f"±{1.96 * share.error:.1%}",
            "–" if share.kernel is None else f"{share.kernel:.0%}",
        )
        for share in witness.shares(costs, where)[:MOST_OPENED]
    )
    title = (
        f"{stack}, {case}: shares of instructions and of {witness.taken(costs, where):,} samples "
        "of CPU time"
    )
    header = ("function", "instructions", "time", "95 % interval", "of these in the kernel")
    return Table(title, header, rows, folded=True)


def _case(costs: Costs, case: str, pairs: Pairs | None, folded: bool) -> Iterator[Part]:
    stacks = [stack for stack in costs.stacks if (stack, case) in costs.trees]
    yield Heading(f"{case}, function by function")
    for stack in stacks:
        yield _flame(costs, (stack, case), folded)
        for cost in costs.functions[stack, case][:MOST_OPENED]:
            yield _opened(cost, stack, neighbours(costs.trees[stack, case], cost.function))
    for one, other in combinations(stacks, 2) if pairs is None else pairs:
        yield _differential(costs, (one, case), (other, case), folded)


def _flame(costs: Costs, where: Where, folded: bool) -> Drawing:
    stack, case = where
    name = f"A request of {case} on {stack}"
    caption = (
        "The outermost call is at the top, and below each function what it called; a box is as "
        f"wide as its instructions with all that it called. {flame.KEYS} Pointing at a box shows "
        "its figures."
    )
    rows = tuple(_function(cost) for cost in costs.functions[where][:MOST_FUNCTIONS])
    header = ("function", "kind", "entries", "own", "inclusive", "share", "spread")
    title = f"The {len(rows)} dearest functions of {stack}, {case}"
    table = Table(title, header, rows, names=2, folded=True)
    tree = costs.trees[where]
    return Drawing(name, caption, partial(flame.flame, tree, name), table, folded)


def _function(cost: Cost) -> tuple[str, ...]:
    return (
        *(cost.function.label, str(cost.function.kind), f"{cost.calls:,.1f}"),
        *(f"{cost.own:,.0f}", f"{cost.inclusive:,.0f}", f"{cost.share:.1%}"),
        "–" if cost.spread is None else f"{cost.spread:.2%}",
    )


def _opened(cost: Cost, stack: str, adjacent: Neighbours) -> Table:
    """One function by itself: who called it, and what it called."""
    rows = [("called by", function.label, f"{value:,.0f}") for function, value in adjacent.callers]
    rows.append(("itself", cost.function.label, f"{cost.own:,.0f}"))
    rows += [("calls", function.label, f"{value:,.0f}") for function, value in adjacent.callees]
    title = f"{stack}: {cost.function.label}, {cost.share:.1%}"
    return Table(title, ("", "function", "instructions"), tuple(rows), names=2, folded=True)


def _differential(costs: Costs, one: Where, other: Where, folded: bool) -> Drawing:
    name = f"{one[0]} and {other[0]}, {one[1]}: where they differ"
    caption = (
        f"By phase, package and function. A box is as wide as both together; its hatched part is "
        f"{one[0]}'s, the plain part {other[0]}'s. The figures are {one[0]} : {other[0]} "
        "(difference)."
    )
    rows = tuple(
        (
            difference.name,
            f"{difference.one:,.0f}",
            f"{difference.other:,.0f}",
            f"{difference.more:+,.0f}",
        )
        for difference in differences(costs, one, other, "function")[:MOST_DIFFERENCES]
    )
    title = f"The {len(rows)} largest differences by function, {one[1]}"
    table = Table(title, ("function", one[0], other[0], "more"), rows, folded=True)
    draw = partial(flame.differential, costs.trees[one], costs.trees[other], name)
    return Drawing(name, caption, draw, table, folded)
