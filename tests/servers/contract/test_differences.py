"""docs/differences.md is what is seen."""

from __future__ import annotations

import asyncio
import re
import sys

import pytest

from loopbench.servers.installed import available
from loopbench.servers.stacks import CORE, STACKS
from tests.servers.choices import here
from tests.servers.contract.differences import (
    COMPARED,
    DOCUMENT,
    FAMILIES,
    HABITS,
    Habit,
    Rows,
    core_row,
    render,
    render_core,
    see_all,
)
from tests.servers.contract.odd_requests import ALIKE, ODD_REQUESTS, OddRequest

Seen = tuple[Rows, Rows]

REMEDY = "`python -m tests.servers.contract.differences` writes docs/differences.md anew"


@pytest.fixture(scope="module")
def seen() -> Seen:
    return asyncio.run(see_all(tuple(here(COMPARED))))


@pytest.fixture(scope="module")
def document() -> str:
    return DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("odd", ODD_REQUESTS, ids=lambda odd: re.sub(r"\W+", "-", odd.name))
def test_odd_request(seen: Seen, document: str, odd: OddRequest) -> None:
    """The document says what each stack makes of these bytes, and whether they differ in it."""
    cells = seen[0][odd.name]
    assert core_row(odd.name, cells) in document.splitlines(), REMEDY
    assert (len({cells[name] for name in CORE}) == 1) == (odd.group == ALIKE)


def test_only_a_server_that_speaks_http2_is_said_to_speak_it(seen: Seen) -> None:
    """An answer without a length ends with its connection, and its body begins no protocol."""
    speakers = {name for row in seen[0].values() for name, cell in row.items() if "HTTP/2" in cell}
    assert speakers == {"quart-hypercorn"}


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_habit(seen: Seen, document: str, habit: Habit) -> None:
    """The document says how each stack writes an ordinary answer, and they differ in it."""
    if habit.name not in seen[1]:
        pytest.skip("on Linux only: TCP segments")
    cells = seen[1][habit.name]
    assert core_row(habit.name, cells) in document.splitlines(), REMEDY
    assert len({cells[name] for name in CORE}) > 1


@pytest.mark.alone
@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: TCP segments")
def test_document(seen: Seen, document: str) -> None:
    """There is nothing else in the document: no row without its request, no order of its own."""
    assert document.startswith(render_core(*seen)), REMEDY
    absent = [name for name in COMPARED if available(STACKS[name]) is not None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    assert document == render(*seen), REMEDY


def test_families_leave_no_server_of_a_framework_out() -> None:
    """Every framework and server has a column, on whichever loop."""
    shown = {(STACKS[name].framework, STACKS[name].server) for name in COMPARED}
    there = {
        (stack.framework, stack.server)
        for stack in STACKS.values()
        if stack.framework not in {"none", "ASGI"}
    }
    assert shown == there
    assert all(family.stacks[0] in CORE for family in FAMILIES)


def test_names_are_unique() -> None:
    """No row of the document hides another one."""
    names = [odd.name for odd in ODD_REQUESTS]
    assert len(set(names)) == len(names)
