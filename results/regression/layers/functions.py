"""Which functions grew, of the routes whose instructions grew: the one that grew most first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from loopbench.results.regression.evidence import Evidence
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer

MOST = 3
"""So many functions of a route are named."""

LEAST = 0.05
"""A function that made less than this share of a route's growth is not named."""

Route = tuple[str, str]


def grown(evidence: Evidence) -> Mapping[Route, Sequence[tuple[str, float]]]:
    """By stack and route: functions and the instructions that each takes more a request."""
    before, after = (_own(side.functions) for side in (evidence.base, evidence.candidate))
    by_route = {}
    for route in after:
        names = dict.fromkeys((*after[route], *before.get(route, {})))
        more = {
            name: after[route].get(name, 0.0) - before.get(route, {}).get(name, 0.0)
            for name in names
        }
        by_route[route] = sorted(more.items(), key=lambda item: -item[1])
    return by_route


def _other_python(evidence: Evidence) -> str:
    """Which Python named the functions where it is not the sides' own, in which the same code takes
    other counts; blank where it is."""
    known = {str(row["python"]) for row in evidence.candidate.functions if row["python"]}
    others = sorted(known - {evidence.candidate.side.python})
    return f" under Python {', '.join(others)}" if others else ""


def _own(rows: Sequence[Row]) -> Mapping[Route, Mapping[str, float]]:
    by_route: defaultdict[Route, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        value = row["own_instructions"]
        assert isinstance(value, int | float)  # required, so parsed
        by_route[str(row["stack"]), str(row["route"])][str(row["function"])] += value
    return by_route


def lines(evidence: Evidence) -> Iterator[str]:
    """A line a route that grew, or one that says why its functions are not known."""
    other = _other_python(evidence)
    for (stack, route), more in grown(evidence).items():
        whole = sum(size for _, size in more)
        named = [f"{name} {size:+,.0f}" for name, size in more[:MOST] if size >= LEAST * whole]
        if whole > 0 and named:
            yield f"{stack} {route} grew by {whole:,.0f}{other}: {', '.join(named)}"
    why = evidence.layers[Layer.INSTRUCTIONS].bound.get("functions")
    if isinstance(why, str):
        yield why
