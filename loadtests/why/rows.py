"""What was counted, as rows of cost_totals.csv, costs.csv and cost_tree.csv."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from loopbench.loadtests.why.attribution.owners import Function
from loopbench.loadtests.why.attribution.tree import Tree, by_function, mean
from loopbench.loadtests.why.interpreter import Interpreter
from loopbench.loadtests.why.measure import Measured, Plan, Profiled
from loopbench.loadtests.why.repeating import spread
from loopbench.loadtests.why.sampling import Samples
from loopbench.results.schema import (
    COST_SAMPLES,
    COST_TOTALS,
    COST_TREE,
    COSTS,
    Row,
    TableWriter,
    Value,
)

SampledStacks = Mapping[str, Mapping[str, Samples]]
"""By stack and case."""


def write(
    folder: Path,
    measured: Sequence[Measured],
    plan: Plan,
    python: Interpreter,
    samples: SampledStacks | None = None,
) -> None:
    """Put the tables into a folder, in place of those that are there. Raises OSError.

    samples: None: no time was sampled, and no table of it is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        COST_TOTALS: (row for of_subject in measured for row in _totals(of_subject, plan, python)),
        COSTS: (row for of_subject in measured for row in _costs(of_subject)),
        COST_TREE: (row for of_subject in measured for row in _trees(of_subject)),
    }
    for table, rows in tables.items():
        (folder / table.filename).unlink(missing_ok=True)
        with TableWriter(folder, table) as writer:
            writer.append(rows)
    (folder / COST_SAMPLES.filename).unlink(missing_ok=True)
    if samples:
        with TableWriter(folder, COST_SAMPLES) as writer:
            writer.append(_samples(samples))


def _totals(measured: Measured, plan: Plan, python: Interpreter) -> Iterator[Row]:
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    for case, profiled in measured.profiles.items():
        plain = [count.instructions for count in measured.plain[case]]
        searching = [count.searching for count in measured.plain[case]]
        yield {
            **_where(measured, case),
            "python": python.version,
            "named": plan.named,
            "requests": plan.requests,
            "repeats": len(profiled.totals),
            "instructions": statistics.mean(profiled.totals),
            "spread": spread(profiled.totals),
            "plain_instructions": statistics.mean(plain) if plain else None,
            "plain_spread": spread(plain),
            "plain_repeats": len(plain),
            "plain_searching": _mean(searching),
            "counterpart": measured.subject.counterpart,
            "versions": versions,
        }


def _mean(values: Sequence[float | None]) -> float | None:
    """None where there are none, or one is not known."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known and len(known) == len(values) else None


def _costs(measured: Measured) -> Iterator[Row]:
    for case, profiled in measured.profiles.items():
        yield from ({**_where(measured, case), **row} for row in function_rows(profiled))


def function_rows(profiled: Profiled) -> Iterator[Row]:
    """A row a function, the dearest first."""
    repeats = [by_function(tree) for tree in profiled.trees]
    whole = statistics.mean(profiled.totals)
    together = by_function(mean(profiled.trees))
    for function, totals in sorted(together.items(), key=lambda item: -item[1].own):
        own = [repeat[function].own if function in repeat else 0.0 for repeat in repeats]
        yield {
            **_named(function),
            "calls": totals.calls,
            "own_instructions": totals.own,
            "inclusive_instructions": totals.inclusive,
            "share": totals.own / whole,
            "spread": spread(own),
        }


def _trees(measured: Measured) -> Iterator[Row]:
    for case, profiled in measured.profiles.items():
        yield from ({**_where(measured, case), **row} for row in tree_rows(mean(profiled.trees)))


def tree_rows(tree: Tree) -> Iterator[Row]:
    """A row a path, parents first; a path that cost nothing itself, too, where others go on."""
    numbers: dict[tuple[Function, ...], int] = {}
    paths = {path[:length] for path in tree for length in range(1, len(path) + 1)}
    for path in sorted(paths, key=lambda path: [_sortable(function) for function in path]):
        numbers[path] = len(numbers)
        cost = tree.get(path)
        yield {
            "node": numbers[path],
            "parent": numbers.get(path[:-1]),
            **_named(path[-1]),
            "calls": 0.0 if cost is None else cost.calls,
            "own_instructions": 0.0 if cost is None else cost.own,
        }


def _samples(samples: SampledStacks) -> Iterator[Row]:
    """A row a function, that with the most samples first."""
    for stack, cases in samples.items():
        for case, of_case in cases.items():
            for function, taken in sorted(of_case.functions.items(), key=lambda item: -item[1]):
                kernel = None if of_case.kernel is None else of_case.kernel[function] / taken
                yield {
                    "stack": stack,
                    "case": case,
                    **_named(function),
                    "samples": taken,
                    "share": taken / of_case.total,
                    "kernel_share": kernel,
                }


def _sortable(function: Function) -> tuple[str, ...]:
    return function.kind, function.package, function.module, function.name


def _where(measured: Measured, case: str) -> dict[str, Value]:
    return {"stack": measured.subject.stack.name, "case": case}


def _named(function: Function) -> dict[str, Value]:
    return {
        "kind": str(function.kind),
        "package": function.package or None,
        "module": function.module or None,
        "function": function.name or None,
    }
