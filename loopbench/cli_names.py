"""Names on the command line: known ones complete, unknown ones get a suggestion."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from loopbench.cli_types import Decorator

T = TypeVar("T")


MOST_NAMES = 30
"""So many can still be read in a message."""

_SOME = 5
"""So many of a longer one show what its names are like."""

_SURE = 0.8
"""A name so near is the one that was meant (`difflib.SequenceMatcher.ratio`)."""


def suggestion(kind: str, name: str, known: Iterable[str]) -> str:
    """One line about an unknown name: the nearest known ones; where none is near, all of a short
    table, and of a long one the first."""
    names = list(known)
    long = len(names) > MOST_NAMES
    near = difflib.get_close_matches(name, names, cutoff=_SURE, n=1)
    if not near:
        near = difflib.get_close_matches(name, names, cutoff=0.5, n=3 if long else 1)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif long:
        hint = f"{len(names)} are known, such as {', '.join(names[:_SOME])}"
    else:
        hint = f"known are {', '.join(names)}"
    return f"unknown {kind} {name!r}; {hint}"


class _InTable(click.ParamType[T]):
    """Names that stand in a table, and complete in a shell. kind: what they are names of."""

    _words: tuple[str, ...] = ()

    def __init__(self, kind: str, table: Mapping[str, Any]) -> None:
        self.name = kind
        self._table = table

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin with what was typed."""
        known = (*self._words, *self._table)
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


class NamesIn(_InTable[tuple[str, ...]]):
    """Keys of a table: one by name, several by a pattern (`cliff-*`), or `all`."""

    _words = ("all",)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The names in the table's order; a usage error where there is none."""
        if isinstance(value, tuple):
            return value
        pattern = "*" if value == "all" else str(value)
        names = tuple(name for name in self._table if fnmatch.fnmatchcase(name, pattern))
        if not names:
            self.fail(suggestion(self.name, str(value), self._table), param, ctx)
        return names


def names_of(kind: str, table: Mapping[str, Any], help: str) -> Decorator:  # noqa: A002  as click's
    """The option --KIND, repeatable, as the argument `KINDs`: the names in the table, each once."""
    return click.option(
        f"--{kind}",
        f"{kind}s",
        multiple=True,
        type=NamesIn(kind, table),
        callback=lambda _, __, given: tuple(dict.fromkeys(chain.from_iterable(given))),
        help=help,
    )


class NameIn(_InTable[str]):
    """A key of a table."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name itself; a usage error for one that the table lacks."""
        if value not in self._table:
            self.fail(suggestion(self.name, str(value), self._table), param, ctx)
        return str(value)
