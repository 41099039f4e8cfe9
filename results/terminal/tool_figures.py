"""What `compare` prints of two files of other load tools: figures side by side, and no verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from loopbench.results.folder.tool_figures import READERS, Figures, ToolFile, pairs

_TITLES = {
    "requests": "requests",
    "failures": "failures",
    "rps": "requests/s",
    "mean_ms": "mean ms",
    "p50_ms": "p50 ms",
    "p90_ms": "p90 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
}
_COUNTS = ("requests", "failures")
"""They depend on how long the load lasted: no ratio is made of them."""

_NOTHING = "–"


def lines(first: ToolFile, second: ToolFile) -> Iterator[str]:
    """The whole output."""
    yield f"first:  {first.path} ({first.tool})"
    yield f"second: {second.path} ({second.tool})"
    alike = first.tool == second.tool
    for name, one, other in pairs(first, second):
        yield ""
        yield name
        yield f"  {'':<12}{'first':>14}{'second':>14}{'ratio':>10}"
        for field in fields(Figures):
            before, after = getattr(one, field.name), getattr(other, field.name)
            if before is None and after is None:
                continue
            ratio = alike and before and after is not None and field.name not in _COUNTS
            yield (
                f"  {_TITLES[field.name]:<12}{_shown(before):>14}{_shown(after):>14}"
                f"{f'{after / before:.3g}x' if ratio else _NOTHING:>10}"
            )
    yield ""
    yield "What cannot be compared:"
    yield from (f"- {line}" for line in _cannot(first, second))


def _shown(value: float | None) -> str:
    if value is None:
        return _NOTHING
    whole = isinstance(value, int) or value >= 1000
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def _cannot(first: ToolFile, second: ToolFile) -> Iterator[str]:
    yield (
        "Whether a ratio is more than chance: each file has one figure of each kind, without "
        "Rounds to take an interval from. No verdict is given; `bench` on both sides gives one."
    )
    yield (
        "Whether the answers were right: no tool here checks their bytes. Failures are, of "
        + "; of ".join(f"{tool}: {READERS[tool].failures}" for tool in _tools(first, second))
        + "."
    )
    yield "The server: its CPU time, memory, loop and threads stand in neither file."
    if first.tool != second.tool:
        yield (
            "Rates and times of two tools, so that no ratio is made: another client offers another "
            "load. Times are, of "
            + "; of ".join(f"{tool}: {READERS[tool].times}" for tool in _tools(first, second))
            + "."
        )
    for where, here, there in (("first", first, second), ("second", second, first)):
        only = [name for name in here.by_name if name not in there.by_name]
        if only:
            yield f"Only in the {where}: {', '.join(only[:8])}{', …' if len(only) > 8 else ''}."


def _tools(first: ToolFile, second: ToolFile) -> list[str]:
    return list(dict.fromkeys((first.tool, second.tool)))
