"""Sampled time beside counted instructions: two witnesses of where a request's cost is.

System calls and waiting for memory are in the time and not in the instructions, so that the two
need not agree; where they do not, the share of samples from the kernel says which of both it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loopbench.results.why.costs import Costs, Function, Where

LARGE = 0.05
"""A function with less of both is not looked at."""

APART = 0.05
"""The two shares disagree if they differ by more: 5 points."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Of one function: of the time, with its standard error, and of the instructions.
    kernel: of its samples, those from the kernel; None where that is not known."""

    function: Function
    time: float
    error: float
    instructions: float
    kernel: float | None

    @property
    def large(self) -> bool:
        return max(self.time, self.instructions) > LARGE

    @property
    def apart(self) -> bool:
        """Whether the two disagree about a function that is large."""
        return self.large and abs(self.time - self.instructions) > APART


def taken(costs: Costs, where: Where) -> int:
    """How many samples there are."""
    return sum(sampled.samples for sampled in costs.samples.get(where, ()))


def shares(costs: Costs, where: Where) -> Sequence[Shares]:
    """Every function that was sampled or counted, the largest first; none where no time was
    sampled. The error is that of a share of independent samples."""
    samples = {sampled.function: sampled for sampled in costs.samples.get(where, ())}
    if not samples:
        return ()
    counted = {cost.function: cost.share for cost in costs.functions.get(where, ())}
    total = taken(costs, where)
    function_shares = []
    for function in {**counted, **samples}:
        sampled = samples.get(function)
        time = 0.0 if sampled is None else sampled.share
        error = math.sqrt(time * (1 - time) / total)
        kernel = None if sampled is None else sampled.kernel
        function_shares.append(Shares(function, time, error, counted.get(function, 0.0), kernel))
    return sorted(function_shares, key=lambda share: -max(share.time, share.instructions))


def sentences(costs: Costs) -> Iterator[str]:
    """A sentence for each function about which the witnesses disagree, or that they agree."""
    for where in costs.samples:
        stack, case = where
        function_shares = shares(costs, where)
        apart = [share for share in function_shares if share.apart]
        for share in apart:
            yield (
                f"{stack}, {case}: {share.function.label} has {share.time:.0%} of the sampled time "
                f"and {share.instructions:.0%} of the instructions{_in_kernel(share)}."
            )
        if not apart:
            large = sum(share.large for share in function_shares)
            yield (
                f"{stack}, {case}: sampled time and instructions agree within 5 points on each of "
                f"the {large} functions that have more than 5% of either."
            )


def _in_kernel(share: Shares) -> str:
    if share.kernel is None or share.time < share.instructions:
        return ""
    return f"; {share.kernel:.0%} of these samples are from the kernel, which runs its system calls"
