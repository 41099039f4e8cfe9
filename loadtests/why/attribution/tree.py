"""A request as a tree of functions: each with its own cost under the callers that it had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loopbench.loadtests.why.attribution.callgrind_file import Context, Profile
from loopbench.loadtests.why.attribution.owners import NOBODY, Function, Owners, is_rust
from loopbench.loadtests.why.attribution.perf_map import PerfMap

Path = tuple[Function, ...]
"""Functions from the outermost to one that it called, by way of all between."""


@dataclass(frozen=True, slots=True)
class Cost:
    """own: instructions of the last function of a Path and, on its behalf, of interpreter and C
    library. calls: entries; a coroutine is entered anew each time that it goes on."""

    own: float
    calls: float


Tree = Mapping[Path, Cost]


def tree_of(profile: Profile, functions: PerfMap | None) -> Tree:
    """Every Path of a profile with its cost. What has no owner at all is under (NOBODY,)."""
    owners = Owners(functions, _binaries(profile.contexts), _native(profile.contexts))
    own: dict[Path, int] = defaultdict(int)
    calls: dict[Path, int] = defaultdict(int)
    for context in profile.contexts:
        innermost = owners.of(context.frames[0], context.binary)
        path = _path(context, innermost, owners)
        own[path] += context.own
        if innermost is not None:
            calls[path] += context.calls
    return {path: Cost(own[path], calls[path]) for path in own if own[path] or calls[path]}


def _path(context: Context, innermost: Function | None, owners: Owners) -> Path:
    """Without the frames that work for their callers; a function that calls itself stands once."""
    path: list[Function] = []
    for frame in reversed(context.frames[1:]):
        owner = owners.of_caller(frame)
        if owner is not None and (not path or path[-1] != owner):
            path.append(owner)
    if innermost is not None and (not path or path[-1] != innermost):
        path.append(innermost)
    return tuple(path) or (NOBODY,)


def _binaries(contexts: Iterable[Context]) -> dict[str, str]:
    """The object of each symbol that only one has: a caller is known by its name alone."""
    by_symbol: dict[str, set[str]] = defaultdict(set)
    for context in contexts:
        by_symbol[context.frames[0]].add(context.binary)
    return {
        name: next(iter(binaries)) for name, binaries in by_symbol.items() if len(binaries) == 1
    }


def _native(contexts: Iterable[Context]) -> frozenset[str]:
    """The objects with Rust in them."""
    return frozenset(context.binary for context in contexts if is_rust(context.frames[0]))


def per_request(tree: Tree, requests: int) -> Tree:
    """The costs of one of so many requests."""
    return {path: Cost(cost.own / requests, cost.calls / requests) for path, cost in tree.items()}


def mean(trees: Iterable[Tree]) -> Tree:
    """Path by Path over repeats; a Path that one of them does not have cost nothing there."""
    every = list(trees)
    none = Cost(0.0, 0.0)
    paths = dict.fromkeys(path for tree in every for path in tree)
    return {
        path: Cost(
            sum(tree.get(path, none).own for tree in every) / len(every),
            sum(tree.get(path, none).calls for tree in every) / len(every),
        )
        for path in paths
    }


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one function, over all Paths. inclusive: with all that it called, itself counted once."""

    own: float
    inclusive: float
    calls: float


def by_function(tree: Tree) -> dict[Function, Totals]:
    """What each function of a tree cost."""
    own: dict[Function, float] = defaultdict(float)
    inclusive: dict[Function, float] = defaultdict(float)
    calls: dict[Function, float] = defaultdict(float)
    for path, cost in tree.items():
        own[path[-1]] += cost.own
        calls[path[-1]] += cost.calls
        for function in set(path):
            inclusive[function] += cost.own
    return {
        function: Totals(own[function], value, calls[function])
        for function, value in inclusive.items()
    }
