"""The costs of a folder as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from loopbench.results.schema import CostKind
from loopbench.results.schema.regression import other_versions, version_words
from loopbench.results.why import sentences, witness
from loopbench.results.why.costs import Cost, Costs
from loopbench.results.why.groups import differences, grouped
from loopbench.results.why.phases import PHASES, UNKNOWN, by_phase, functions_in

MOST_ROWS = 25
_WIDEST = 70


def overview(costs: Costs, by: str) -> Iterator[str]:
    """Totals, the table by `by`, phases, and what follows from them."""
    yield from _totals(costs)
    for stack, case in costs.totals:
        yield ""
        yield from _groups(costs, stack, case, by)
    yield ""
    yield from _phases(costs)
    for case in costs.cases():
        yield ""
        yield from sentences.of_case(costs, case)
    yield ""
    yield from sentences.of_equality(costs)
    yield from _witness(costs)


def between(costs: Costs, one: str, other: str, by: str) -> Iterator[str]:
    """Where two stacks differ, case by case."""
    for case in costs.cases(one, other):
        total = costs.totals[one, case].instructions, costs.totals[other, case].instructions
        groups = differences(costs, (one, case), (other, case), by)
        rows = [_difference(d.name, d.one, d.other) for d in groups[:MOST_ROWS]]
        rest = groups[MOST_ROWS:]
        if rest:
            sums = sum(d.one for d in rest), sum(d.other for d in rest)
            rows.append(_difference(f"({len(rest)} more)", *sums))
        rows.append(_difference("a request", *total))
        yield f"{case}: instructions of a request by {by}"
        yield from _table((by, one, other, "more"), rows)
        yield ""
    for case in costs.cases(one, other):
        yield from sentences.of_case(costs, case)


def apart(costs: Costs, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """By which interpreter and packages the two sides of these pairs differ, a line each: what a
    function costs is about these, too. pairs: the new one first."""
    lines: dict[str, None] = {}
    for new, old in pairs:
        for case in costs.cases(new, old):
            after, before = costs.totals[new, case], costs.totals[old, case]
            if before.python != after.python:
                lines[f"Python {before.python}, now {after.python}"] = None
            known = _packages(before.versions), _packages(after.versions)
            if all(known) and (differ := other_versions(*known)):
                lines[f"Packages that differ: {version_words(differ)}"] = None
    if lines:
        yield from (*lines, "")


def _packages(versions: str) -> dict[str, str]:
    """As in "aiohttp 3.14.5, yarl 1.25.1"."""
    parts = (part.partition(" ") for part in versions.split(", ") if part)
    return {name: version for name, _, version in parts}


MOST_IN_PHASE = 12


def of_phase(costs: Costs, phase: str, case: str) -> Iterator[str]:
    """The functions that work in one phase of a case, on each stack that was asked it."""
    rows = []
    for stack in costs.stacks:
        if (stack, case) in costs.trees:
            functions = functions_in(costs.trees[stack, case], phase)
            rows += [
                (stack, function.label, f"{calls:,.1f}", f"{own:,.0f}")
                for function, calls, own in functions[:MOST_IN_PHASE]
            ]
            rest = functions[MOST_IN_PHASE:]
            if rest:
                rows.append((stack, f"({len(rest)} more)", "", f"{sum(r[2] for r in rest):,.0f}"))
    yield f"{case}, {phase}"
    yield from _table(("stack", "function", "calls", "own"), rows, names=2)


def _difference(name: str, one: float, other: float) -> tuple[str, ...]:
    return name, f"{one:,.0f}", f"{other:,.0f}", f"{one - other:+,.0f}"


def _totals(costs: Costs) -> Iterator[str]:
    header = ("stack", "case", "Python", "instructions", "spread", "plain", "owned", "the suite's")
    rows = []
    for (stack, case), total in costs.totals.items():
        kinds = grouped(costs, (stack, case), "kind")
        owned = 1 - kinds.get(CostKind.NOBODY, 0.0) / total.instructions
        suite = kinds.get(CostKind.SUITE, 0.0) / total.instructions
        rows.append(
            (
                *(stack, case, total.python),
                f"{total.instructions:,.0f}",
                "" if total.spread is None else f"{total.spread:.3%}",
                "" if total.plain is None else f"{total.plain:,.0f}",
                f"{owned:.1%}" if total.named else "",
                f"{suite:.1%}" if total.named else "",
            )
        )
    yield "Instructions of a request; `plain` is without what names Python's functions"
    yield from _table(header, rows, names=3)


def _groups(costs: Costs, stack: str, case: str, by: str) -> Iterator[str]:
    total = costs.totals[stack, case].instructions
    yield f"{stack}, {case}, by {by}"
    if by == "function":
        header = ("function", "kind", "calls", "own", "inclusive", "share", "spread")
        yield from _table(header, map(_row, costs.functions[stack, case][:MOST_ROWS]), names=2)
        return
    rows = [
        (name, f"{value:,.0f}", f"{value / total:.1%}")
        for name, value in grouped(costs, (stack, case), by).items()
    ]
    yield from _table((by, "own", "share"), rows[:MOST_ROWS])


def _row(cost: Cost) -> tuple[str, ...]:
    return (
        *(cost.function.label, str(cost.function.kind), f"{cost.calls:,.1f}"),
        *(f"{cost.own:,.0f}", f"{cost.inclusive:,.0f}", f"{cost.share:.1%}"),
        "" if cost.spread is None else f"{cost.spread:.2%}",
    )


def _witness(costs: Costs) -> Iterator[str]:
    """Nothing where no time was sampled."""
    for where in costs.samples:
        stack, case = where
        rows = [
            (
                *(share.function.label, f"{share.instructions:.1%}", f"{share.time:.1%}"),
                f"±{1.96 * share.error:.1%}",
                "" if share.kernel is None else f"{share.kernel:.0%}",
            )
            for share in witness.shares(costs, where)[:MOST_IN_PHASE]
        ]
        yield ""
        count = witness.taken(costs, where)
        yield f"{stack}, {case}: shares of instructions and of {count:,} samples of time"
        yield from _table(("function", "instructions", "time", "95%", "in the kernel"), rows)
    if costs.samples:
        yield ""
        yield from witness.sentences(costs)


def _phases(costs: Costs) -> Iterator[str]:
    by_case = {where: by_phase(tree) for where, tree in costs.trees.items()}
    used = [phase for phase in PHASES if any(phase in phases for phases in by_case.values())]
    yield "Instructions of a request by phase; `unknown` is what the table of phases does not know"
    for stack in costs.stacks:
        mine = {case: phases for (name, case), phases in by_case.items() if name == stack}
        rows = [
            (phase, *(f"{phases.get(phase, 0.0):,.0f}" for phases in mine.values()))
            for phase in dict.fromkeys([*used, UNKNOWN])
        ]
        if mine:
            yield ""
            yield from _table((stack, *mine), rows)


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]] | Iterator[Sequence[str]], names: int = 1
) -> Iterator[str]:
    every = [tuple(header), *(tuple(_cut(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    for row in every:
        cells = (
            cell.ljust(width) if place < names else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _cut(text: str) -> str:
    """The end says more than the beginning of a dotted name."""
    return text if len(text) <= _WIDEST else f"…{text[1 - _WIDEST :]}"
