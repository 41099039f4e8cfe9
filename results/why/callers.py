"""One function by itself: what called it, and what it called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loopbench.results.why.costs import Function, Node

Shares = tuple[tuple[Function, float], ...]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """callers: with the instructions that the function, and all that it called, cost for each.
    callees: with what they cost for it. Both the dearest first."""

    callers: Shares
    callees: Shares


def neighbours(tree: Iterable[Node], function: Function) -> Neighbours:
    """Of a function that stands anywhere in a tree."""
    callers: dict[Function, float] = defaultdict(float)
    callees: dict[Function, float] = defaultdict(float)
    for parent, node in _pairs(tree, None):
        if node.function == function:
            if parent is not None:
                callers[parent.function] += node.inclusive
            for child in node.children:
                callees[child.function] += child.inclusive
    return Neighbours(_sorted(callers), _sorted(callees))


def _pairs(nodes: Iterable[Node], parent: Node | None) -> Iterator[tuple[Node | None, Node]]:
    for node in nodes:
        yield parent, node
        yield from _pairs(node.children, node)


def _sorted(by_function: dict[Function, float]) -> Shares:
    return tuple(sorted(by_function.items(), key=lambda item: -item[1]))
