"""Readings of several processes as one: how, says each field of a reading by its annotation.

`Annotated[int, SUM]`, say. A field that is itself a reading is merged by its own fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast, get_type_hints

Pairs = tuple[tuple[int, int], ...]
"""Counts by value, ascending."""

Rule = Callable[[list[Any]], Any]
R = TypeVar("R")


def merged(readings: Iterable[R]) -> R:
    """One reading of the same class."""
    every = list(readings)
    kind = type(every[0])
    rules = _rules(cast(Any, kind))
    values = {
        name: rule([getattr(reading, name) for reading in every]) for name, rule in rules.items()
    }
    return kind(**values)


@cache
def _rules(kind: type) -> dict[str, Rule]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: getattr(hints[field.name], "__metadata__", (merged,))[0]
        for field in fields(cast(Any, kind))
    }


def FIRST(values: list[Any]) -> Any:
    """All say the same, or the first one's does for all."""
    return values[0]


def FIRST_KNOWN(values: list[Any]) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def SUM(values: list[Any]) -> Any:
    """None where one of them is not known: a sum without it would be too small."""
    return None if None in values else sum(values)


def MEAN(values: list[int]) -> int:
    """In whole numbers."""
    return sum(values) // len(values)


def MOST(values: list[Any]) -> Any:
    """None where one of them is not known."""
    return None if None in values else max(values)


def MOST_KNOWN(values: list[Any]) -> Any:
    """Of those that are known."""
    return max((value for value in values if value is not None), default=None)


def UNKNOWN(values: list[Any]) -> None:
    """Of several it cannot be told."""


def COUNTS(values: list[Pairs]) -> Pairs:
    """Counts of equal values are added."""
    counts: Counter[int] = Counter()
    for pairs in values:
        counts.update(dict(pairs))
    return tuple(sorted(counts.items()))


def JOINED(values: list[Sequence[Any]]) -> tuple[Any, ...]:
    """One after the other."""
    return tuple(element for value in values for element in value)


def SUM_BY_NAME(values: list[Mapping[str, int]]) -> dict[str, int]:
    """Each name's, in the order of the names."""
    names = sorted({name for value in values for name in value})
    return {name: sum(value.get(name, 0) for value in values) for name in names}


def JOINED_BY_NAME(values: list[Mapping[str, Sequence[Any]]]) -> dict[str, tuple[Any, ...]]:
    """Each name's, one after the other."""
    names = dict.fromkeys(name for value in values for name in value)
    return {name: JOINED([value.get(name, ()) for value in values]) for name in names}
