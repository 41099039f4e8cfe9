"""The costs of a folder as one object, of the form that `json_forms.WHY` describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from loopbench.results.schema.json_forms import WHY
from loopbench.results.why import witness
from loopbench.results.why.costs import Costs
from loopbench.results.why.groups import differences, grouped
from loopbench.results.why.phases import by_phase, functions_in

Object = dict[str, object]


def of(
    costs: Costs, folder: Path, by: str, pairs: Sequence[tuple[str, str]], phase: str | None
) -> Object:
    """pairs: stacks to lay side by side. phase: whose functions are wanted; None: of none."""
    return {
        "schema": WHY.name,
        "run": folder.resolve().name,
        "by": by,
        "totals": list(_totals(costs)),
        "groups": list(_groups(costs, by)),
        "phases": list(_phases(costs)),
        "differences": [
            difference for pair in pairs for difference in _differences(costs, *pair, by)
        ],
        "functions": [] if phase is None else list(_functions(costs, phase)),
        "samples": list(_samples(costs)),
        "problems": [str(problem) for problem in costs.problems],
    }


def _totals(costs: Costs) -> Iterator[Object]:
    for (stack, case), total in costs.totals.items():
        yield {
            "stack": stack,
            "case": case,
            "python": total.python,
            "requests": total.requests,
            "repeats": total.repeats,
            "instructions": total.instructions,
            "spread": total.spread,
            "plain_instructions": total.plain,
            "versions": total.versions,
        }


def _groups(costs: Costs, by: str) -> Iterator[Object]:
    for (stack, case), total in costs.totals.items():
        for name, own in grouped(costs, (stack, case), by).items():
            share = own / total.instructions
            yield {"stack": stack, "case": case, "name": name, "instructions": own, "share": share}


def _phases(costs: Costs) -> Iterator[Object]:
    for (stack, case), tree in costs.trees.items():
        for phase, own in by_phase(tree).items():
            yield {"stack": stack, "case": case, "phase": phase, "instructions": own}


def _differences(costs: Costs, one: str, other: str, by: str) -> Iterator[Object]:
    for case in costs.cases(one, other):
        for difference in differences(costs, (one, case), (other, case), by):
            yield {
                "case": case,
                "first": one,
                "second": other,
                "name": difference.name,
                "first_instructions": difference.one,
                "second_instructions": difference.other,
            }


def _samples(costs: Costs) -> Iterator[Object]:
    for where in costs.samples:
        stack, case = where
        for share in witness.shares(costs, where):
            yield {
                "stack": stack,
                "case": case,
                "function": share.function.label,
                "time": share.time,
                "instructions": share.instructions,
                "kernel": share.kernel,
                "apart": share.apart,
            }


def _functions(costs: Costs, phase: str) -> Iterator[Object]:
    for (stack, case), tree in costs.trees.items():
        for function, calls, own in functions_in(tree, phase):
            yield {
                "stack": stack,
                "case": case,
                "function": function.label,
                "calls": calls,
                "instructions": own,
            }
