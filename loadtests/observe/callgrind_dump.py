"""What callgrind writes down: instructions, calls, and who called whom, by C function."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

from loopbench.loadtests.errors import HarnessError

TYPE_LOOKUP = (
    *("_PyType_Lookup", "_PyType_LookupRef"),
    *("_PyType_LookupRefAndVersion", "_PyType_LookupStackRefAndVersion"),
)
"""The C functions with which CPython finds an attribute of a class: the first up to Python 3.12,
with the second 3.13, with the others 3.14. They look into a cache, and call others only for what is
not there. A place in that cache follows from the name's address, so that two names may share one
and push each other out at each request, or may not, as memory happened to be laid out
(Objects/typeobject.c, MCACHE_HASH_METHOD). A search takes 200 to 300 instructions; what is spent so
says where a process's names lie, and is no cost of the code that is counted."""

_SEARCH = b"find_name_in_mro"
"""The function that they call to search. A distribution's Python may have it inlined, so that its
instructions are its caller's own; then no symbol of that name is in the executable."""

TIMER_FIRED = "math_ulp"
"""The C function that each of asyncio's timers calls as it fires, in a server that is counted
(`callgrind._still`). A stripped interpreter does not name it."""

_TOTALS = re.compile(r"^(?:totals|summary): (\d+)", re.M)


class NotNamed(HarnessError):
    """A dump names none of the functions that were asked for."""


def total(dump: str) -> int:
    """Instructions of a dump. Raises HarnessError."""
    totals = _TOTALS.findall(dump)
    if not totals:
        raise HarnessError("callgrind wrote no count; its log has the reason")
    return int(totals[-1])


@cache
def has_search(interpreter: Path) -> bool:
    """Whether an executable or library has the function that searches classes as one of its own."""
    return _SEARCH in interpreter.read_bytes()


def calls(dump: str, function: str) -> int:
    """How often a function was called, by a dump; 0 where its symbol is not known, too.

    A name stands where it is first met, and a number in its place from then on (valgrind manual,
    Callgrind Format Specification).
    """
    numbered = re.search(rf"^c?fn=\((\d+)\) {re.escape(function)}$", dump, re.M)
    if numbered is None:
        return 0
    called = rf"^cfn=\({numbered[1]}\).*\ncalls=(\d+)"
    return sum(int(times) for times in re.findall(called, dump, re.M))


def below(dump: str, functions: Collection[str]) -> int:
    """Instructions of all that these functions called, but for one another. Raises NotNamed
    where none of them ran: one that was inlined or has no symbol would else seem to call nothing.

    The line after a call has its cost, with all that was called in turn; a function that was
    entered again while it ran has a number behind its name (valgrind manual, Callgrind Format
    Specification).
    """
    names: dict[str, str] = {}
    caller = callee = ""
    ran = cost_next = False
    spent = 0
    for line in dump.splitlines():
        if cost_next:
            cost_next = False
            if caller in functions and callee not in functions:
                spent += int(line.split()[1])
        elif line.startswith("fn="):
            caller = _named(line[3:], names)
            ran = ran or caller in functions
        elif line.startswith("cfn="):
            callee = _named(line[4:], names)
        else:
            cost_next = line.startswith("calls=")
    if not ran:
        raise NotNamed(f"callgrind names none of {', '.join(sorted(functions))}")
    return spent


def _named(text: str, names: dict[str, str]) -> str:
    number, _, name = text.partition(" ")
    if name:
        names[number] = name.partition("'")[0]
    return names[number]
