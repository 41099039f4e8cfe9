"""What `loadtests instructions` counted, as tables of the report."""

from __future__ import annotations

from collections.abc import Iterator

from loopbench.results.report.blocks import Table, table
from loopbench.results.report.data import Material
from loopbench.results.stats import formatting


def tables(material: Material) -> Iterator[Table]:
    """Instructions by case and stack, and what a layer of middleware costs."""
    found = _by_case(material)
    if not found:
        return
    stacks = [stack for stack in material.stacks if any(stack in by for by in found.values())]
    stacks += sorted({stack for by in found.values() for stack in by} - set(stacks))
    spreads = [value for row in material.counts if isinstance(value := row["spread"], float)]
    known = f"spread of the counts at most {max(spreads):.2%}" if spreads else "one count of each"
    yield table(
        f"Instructions of a request, by case and stack ({known})",
        ("case", *stacks),
        (
            (case, *(formatting.digits(by[stack]) if stack in by else "–" for stack in stacks))
            for case, by in found.items()
        ),
    )
    layers = _by_layers(material)
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


def _by_layers(material: Material) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for row in material.counts:
        layers, value = row["layers"], row["instructions"]
        if isinstance(layers, int) and isinstance(value, float):
            found.setdefault(layers, {})[str(row["stack"])] = value
    return found


def _by_case(material: Material) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in material.counts:
        value = row["instructions"]
        if isinstance(value, float):
            found.setdefault(str(row["case"]), {})[str(row["stack"])] = value
    return found
