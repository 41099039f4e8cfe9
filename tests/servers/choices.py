"""Which stacks a test runs on: all, or those that stand for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from loopbench.servers.contract.http import Case
from loopbench.servers.installed import available
from loopbench.servers.stacks import DEFAULT, NO_LOOP, STACKS, Stack

KINDS = (*DEFAULT, "aiohttp-uvloop", "quart-uvicorn", "quart-granian", "flask-waitress")
"""The default and one of each other kind, for tests that take long."""

STOP_AT_ONCE = tuple(name for name in STACKS if name != "flask-gthread")
"""Those whose stop does not wait for idle connections."""

ON_A_LOOP = tuple(name for name, stack in STACKS.items() if stack.loop != NO_LOOP)
IN_THREADS = tuple(name for name, stack in STACKS.items() if stack.loop == NO_LOOP)


def stacks(names: Iterable[str]) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`; what cannot run here is skipped by name."""
    return [
        pytest.param(name, marks=pytest.mark.skipif(obstacle is not None, reason=str(obstacle)))
        for name in names
        for obstacle in (available(STACKS[name]),)
    ]


def stays_open(stack: Stack, case: Case) -> bool:
    """Whether the connection serves on after this answer: waitress ends it after one in chunks."""
    return not (case.expected.chunked and stack.server == "waitress")


def here(names: Iterable[str]) -> list[str]:
    """Those of the stacks that can run here."""
    return [name for name in names if available(STACKS[name]) is None]
