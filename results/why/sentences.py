"""What the rows say, as sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loopbench.results.schema import CostKind
from loopbench.results.why.costs import Costs, Total
from loopbench.results.why.groups import Difference, differences, grouped
from loopbench.results.why.phases import THREADS, UNKNOWN, by_phase

_MOST_GROUPS = 3
_WORTH = 0.05
"""Of the largest difference between phases: where some cancel others, less is not named."""
_ALIKE = 0.005
"""Of a request: counts of equal code in two sittings, whose heaps differ, differ by less."""


def of_case(costs: Costs, case: str) -> Iterator[str]:
    """One case on every stack that was asked it, in the order of what it costs."""
    stacks = [stack for stack in costs.stacks if (stack, case) in costs.totals]
    stacks.sort(key=lambda stack: costs.totals[stack, case].instructions)
    for stack in stacks:
        yield _made_of(costs, stack, case)
    for stack in stacks[1:]:
        yield _against(costs, stack, stacks[0], case)
    for stack in stacks:
        yield from _hand_over(costs, stack, case)


def of_equality(costs: Costs) -> Iterator[str]:
    """What it costs a stack to answer as all do: beside its framework's own documentation."""
    for (stack, case), total in costs.totals.items():
        counterpart = costs.totals.get((total.counterpart or "", case))
        if counterpart is None or counterpart.plain is None or total.plain is None:
            continue
        more = counterpart.plain - total.plain
        yield (
            f"{case}: equal answers cost {total.counterpart} {_signed(more)} instructions "
            f"({more / total.plain:+.1%}): {_short(counterpart.plain)}, where {stack}, the "
            f"application of the framework's documentation, takes {_short(total.plain)}."
        )


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−'}{_short(abs(value))}"


def _made_of(costs: Costs, stack: str, case: str) -> str:
    total = costs.totals[stack, case]
    groups = list(grouped(costs, (stack, case), "package").items())[:_MOST_GROUPS]
    parts = [f"{_short(value)} {_in(name)}" for name, value in groups]
    return (
        f"{stack}, {case}: of {_short(total.instructions)} instructions {_listed(parts)}; "
        f"the suite's own code has {_share(costs, stack, case):.1%}.{_plainly(total)}"
    )


def _plainly(total: Total) -> str:
    if total.plain is None:
        return ""
    return f" Without trampolines the request costs {_short(total.plain)}."


def _share(costs: Costs, stack: str, case: str) -> float:
    kinds = grouped(costs, (stack, case), "kind")
    return kinds.get(str(CostKind.SUITE), 0.0) / costs.totals[stack, case].instructions


def _against(costs: Costs, stack: str, base: str, case: str) -> str:
    one, other = costs.totals[stack, case], costs.totals[base, case]
    if abs(one.instructions / other.instructions - 1) < _ALIKE:
        return f"{case}: {stack} takes as much as {base}, within {_ALIKE:.1%}."
    times = f"{one.instructions / other.instructions:.2f} times as much"
    return (
        f"{case}: {stack} spends {_short(one.instructions - other.instructions)} more than {base} "
        f"({times}){_where(costs, stack, base, case)}."
    )


def _where(costs: Costs, stack: str, base: str, case: str) -> str:
    """The phases in which it spends more; those in which it spends less as well, where these make
    up for more than half as much as is left."""
    phases = differences(costs, (stack, case), (base, case), "phase")
    left = sum(phase.more for phase in phases)
    named = [phase for phase in phases if phase.name != UNKNOWN]
    more = [phase for phase in named if phase.more > 0][:_MOST_GROUPS]
    less = [phase for phase in named if phase.more < 0]
    if not more:
        return ""
    saved = -sum(phase.more for phase in less)
    if saved <= left / 2 <= sum(phase.more for phase in more):
        return f", most of it in {_phases(more)}"
    least = _WORTH * max(phase.more for phase in more)
    more, less = ([phase for phase in some if abs(phase.more) >= least] for some in (more, less))
    end = f", and less in {_phases(less[:_MOST_GROUPS])}" if less else ""
    return f": more in {_phases(more)}{end}"


def _phases(phases: Sequence[Difference]) -> str:
    return _listed(
        [f"{phase.name} ({_short(phase.one)} for {_short(phase.other)})" for phase in phases]
    )


def _hand_over(costs: Costs, stack: str, case: str) -> Iterator[str]:
    value = by_phase(costs.trees.get((stack, case), ())).get(THREADS)
    if value:
        share = value / costs.totals[stack, case].instructions
        yield (
            f"{stack}, {case}: handing the work over to a thread and its answer back takes "
            f"{_short(value)} instructions, {share:.0%} of the request; switching between the "
            "threads, which is the kernel's work, is not in it."
        )


def _in(package: str) -> str:
    return f"are {package}" if package.startswith("(") else f"are in {package}"


def _short(value: float) -> str:
    """Three significant digits of a number of instructions."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{float(f'{value:.3g}'):,.0f}"


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
