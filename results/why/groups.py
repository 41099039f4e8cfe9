"""Own costs summed by package, module, function, kind or phase; and two stacks side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.why.costs import Costs, Function, Where
from loopbench.results.why.phases import by_phase

NOBODY = "(nobody's)"

_NAMES: Mapping[str, Callable[[Function], str]] = {
    "package": lambda function: function.package or NOBODY,
    "module": lambda function: function.module or NOBODY,
    "function": lambda function: function.label,
    "kind": lambda function: str(function.kind),
}


def grouped(costs: Costs, where: Where, by: str) -> dict[str, float]:
    """Own instructions a request by group, the dearest first. They add up to the request."""
    sums: dict[str, float] = defaultdict(float)
    if by == "phase":
        sums.update(by_phase(costs.trees.get(where, ())))
    else:
        for cost in costs.functions.get(where, ()):
            sums[_NAMES[by](cost.function)] += cost.own
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass(frozen=True, slots=True)
class Difference:
    """Own instructions a request of one group on two stacks; 0 where a stack has none of it."""

    name: str
    one: float
    other: float

    @property
    def more(self) -> float:
        """What the first stack has more of."""
        return self.one - self.other


def differences(costs: Costs, one: Where, other: Where, by: str) -> Sequence[Difference]:
    """Every group of either, by the size of the difference. They add up to that of the requests."""
    before, after = grouped(costs, one, by), grouped(costs, other, by)
    names = dict.fromkeys([*before, *after])
    differences = [Difference(name, before.get(name, 0.0), after.get(name, 0.0)) for name in names]
    return sorted(differences, key=lambda difference: -abs(difference.more))
