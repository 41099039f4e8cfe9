"""What callgrind writes down with `--separate-callers`: the cost of each function in each context.

Format: valgrind manual, "Callgrind Format Specification". A function's name is followed by those
of its callers, nearest first, with `'` between (manual, `--separate-callers`); a function without
a symbol is called by its address. Names and objects are written once, and then by their number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_DEFINED = re.compile(r"\((\d+)\)(?: (.*))?")
_COST_BEGINS = frozenset("0123456789+-*")


class BadProfile(Exception):
    """A file that is none of callgrind's, or not one of the kind that is read here."""


@dataclass(slots=True)
class Context:
    """A function, called from just these callers.

    frames: its name and its callers', nearest first. binary: the executable or library that holds
    it, as callgrind says it; `???` where there is none. own: instructions of the function itself,
    without those that it calls. calls: how often it was called.
    """

    frames: tuple[str, ...]
    binary: str
    own: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """contexts: with their costs. total: of all, as callgrind itself added them up."""

    contexts: tuple[Context, ...]
    total: int


def read(lines: Iterable[str]) -> Profile:
    """The profile of one dump. Raises BadProfile."""
    reader = _Reader()
    own = 0
    for line in lines:
        if line[0] not in _COST_BEGINS:
            own = reader.spend(own)
            reader.take(line)
        elif reader.inclusive_next:  # what the call before it cost, as its callee says itself
            reader.inclusive_next = False
        else:  # nine of ten lines; one without a cost has cost nothing
            _, blank, cost = line.rpartition(" ")
            own += int(cost) if blank else 0
    reader.spend(own)
    return reader.profile()


class _Reader:
    """Takes what a dump says line by line, but for costs.

    inclusive_next: the next cost is that of a call, with all that it called.
    """

    def __init__(self) -> None:
        self.inclusive_next = False
        self._contexts: dict[str, Context] = {}
        self._binaries: dict[str, str] = {}
        self._binary = self._callee_binary = "???"
        self._current: Context | None = None
        self._callee: Context | None = None
        self._total: int | None = None

    def spend(self, own: int) -> int:
        """Add to the function at hand; the 0 that goes on."""
        if own:
            if self._current is None:
                raise BadProfile("a cost of no function")
            self._current.own += own
        return 0

    def take(self, line: str) -> None:
        if line.startswith("calls="):
            self._call(line)
        elif line.startswith("fn="):
            self._current = self._context(line[3:], self._binary)
        elif line.startswith("cfn="):
            self._callee = self._context(line[4:], self._callee_binary)
            self._callee_binary = self._binary
        elif line.startswith("ob="):
            self._binary = self._callee_binary = self._object(line[3:])
        elif line.startswith("cob="):
            self._callee_binary = self._object(line[4:])
        elif line.startswith("events:") and line.split() != ["events:", "Ir"]:
            raise BadProfile(f"instructions alone were to be counted, and {line.strip()!r} were")
        elif line.startswith("totals:"):
            self._total = int(line.split()[1])

    def profile(self) -> Profile:
        if self._total is None:
            raise BadProfile("callgrind wrote no total; the dump is not whole")
        return Profile(tuple(self._contexts.values()), self._total)

    def _call(self, line: str) -> None:
        if self._callee is None:
            raise BadProfile(f"a call of no function: {line.strip()!r}")
        self._callee.calls += int(line[6:].split(" ", 1)[0])
        self.inclusive_next = True

    def _context(self, text: str, binary: str) -> Context:
        number, name = _parsed(text)
        if number not in self._contexts:
            if name is None:
                raise BadProfile(f"function {number} is used before it is named")
            self._contexts[number] = Context(tuple(name.split("'")), binary)
        return self._contexts[number]

    def _object(self, text: str) -> str:
        number, name = _parsed(text)
        if name is not None:
            self._binaries[number] = name
        return self._binaries[number]


def _parsed(text: str) -> tuple[str, str | None]:
    match = _DEFINED.fullmatch(text.rstrip("\n"))
    if match is None:
        raise BadProfile(f"{text.strip()!r} is no name as callgrind compresses it")
    return match[1], match[2]
