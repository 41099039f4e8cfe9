"""What `loadtests instructions` counted, as tables of the report."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Table, table
from loopbench.results.report.data import Material
from loopbench.results.schema import Value
from loopbench.results.stats import formatting


def tables(material: Material) -> Iterator[Table]:
    """Instructions by case and stack, and what a layer of middleware costs."""
    by_case = _by(material, "case")
    if not by_case:
        return
    stacks = [stack for stack in material.stacks if any(stack in by for by in by_case.values())]
    stacks += sorted({stack for by in by_case.values() for stack in by} - set(stacks))
    spreads = [value for row in material.counts if isinstance(value := row["spread"], float)]
    known = f"spread of the counts at most {max(spreads):.2%}" if spreads else "one count of each"
    yield table(
        f"Instructions of a request, by case and stack ({known})",
        ("case", *stacks),
        (
            (str(case), *(formatting.digits(by[stack]) if stack in by else "–" for stack in stacks))
            for case, by in by_case.items()
        ),
    )
    layers = {int(key): by for key, by in _by(material, "layers").items() if key is not None}
    if len(layers) < 2:
        return
    least, most = min(layers), max(layers)
    yield table(
        f"Instructions of one layer: the difference of {most} layers and {least}, divided",
        ("stack", "a layer", "as a share of the request without layers"),
        (
            (stack, formatting.digits(each), f"{each / layers[least][stack]:.2%}")
            for stack in stacks
            if stack in layers[least] and stack in layers[most]
            for each in ((layers[most][stack] - layers[least][stack]) / (most - least),)
        ),
    )


def _by(material: Material, column: str) -> dict[Value, dict[str, float]]:
    """Instructions by what stands in a column, and by stack; without rows where it is blank."""
    counts: dict[Value, dict[str, float]] = {}
    for row in material.counts:
        key, value = row[column], row["instructions"]
        if key is not None and isinstance(value, float):
            counts.setdefault(key, {})[str(row["stack"])] = value
    return counts
