"""What of the contract a stack keeps, and what not: STACKS beside CASES and EXCHANGES."""

from __future__ import annotations

from fnmatch import fnmatchcase

from loopbench.servers.contract.cases import CASES
from loopbench.servers.contract.http import Case
from loopbench.servers.contract.websockets import EXCHANGES, Exchange
from loopbench.servers.stacks import Stack


def holes(stack: Stack) -> dict[str, str]:
    """The Cases and Exchanges that the stack cannot keep, by name, and why."""
    return {
        name: why
        for pattern, why in stack.holes.items()
        for name in (*CASES, *EXCHANGES)
        if fnmatchcase(name, pattern)
    }


def keeps(stack: Stack) -> dict[str, Case]:
    """The Cases of the contract that the stack keeps: all but its holes."""
    if stack.own is not None:
        return {}
    lacks = holes(stack)
    return {name: case for name, case in CASES.items() if name not in lacks}


def keeps_exchanges(stack: Stack) -> dict[str, Exchange]:
    """The WebSocket exchanges of the contract that the stack keeps: all but its holes."""
    if stack.own is not None:
        return {}
    lacks = holes(stack)
    return {name: exchange for name, exchange in EXCHANGES.items() if name not in lacks}


def hole(stack: Stack, case: Case) -> str | None:
    """Why the stack does not keep this Case, of CASES, EXCHANGES or larger; None where it does."""
    lacks = holes(stack)
    if case.name in CASES or case.name in EXCHANGES:
        return lacks.get(case.name)
    # A larger one promises what the small ones of its route and type do.
    path, headers = case.request.target.partition("?")[0], case.request.headers
    small = [other for other in CASES.values() if other.request.target.partition("?")[0] == path]
    alike = (other.name for other in small if other.request.headers == headers)
    return next((lacks[name] for name in alike if name in lacks), None)
