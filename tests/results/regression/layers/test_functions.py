"""Functions that grew are named under the routes that grew, the one that grew most first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from loopbench.results.schema import FUNCTIONS, Row
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Plan, only, times

Folder = Callable[..., Path]

BEFORE = {"app.plain": 2_000.0, "aiohttp.finish": 30_000.0, "zlib.crc32": 500.0, "gone": 100.0}


def _path(folder: Folder, after: Mapping[str, float], python: str = "3.12.1") -> Path:
    grown = only(times(1.02, "instructions"), side="candidate", stack="aiohttp", route="sync")
    path = folder(Plan(count=grown).without("facts", "time"))
    rows: list[Row] = [
        {
            "side": side,
            "stack": "aiohttp",
            "route": "sync",
            "python": python,
            "function": name,
            "own_instructions": own,
            "spread": 0.0,
        }
        for side, functions in (("base", BEFORE), ("candidate", after))
        for name, own in functions.items()
    ]
    put(path, FUNCTIONS, rows)
    return path


def test_the_function_that_grew_most_comes_first(folder: Folder, judge: Judge) -> None:
    """A new function has grown from nothing; what shrank, or hardly grew, is not named."""
    after = {**BEFORE, "app.plain": 2_010.0, "zlib.crc32": 5_500.0, "new": 900.0}
    del after["gone"]
    said = judge(_path(folder, after))
    assert said.status == 1
    printed = " ".join(said.out.split())
    assert "aiohttp sync grew by 5,810: zlib.crc32 +5,000, new +900" in printed
    assert "app.plain" not in printed


def test_functions_of_another_python_are_said_to_be_that(folder: Folder, judge: Judge) -> None:
    """Its counts are not those of the table."""
    said = judge(_path(folder, {**BEFORE, "new": 900.0}, python="3.13.2"))
    printed = " ".join(said.out.split())
    assert "aiohttp sync grew by 900 under Python 3.13.2: new +900" in printed


def test_why_functions_are_not_known_is_said(folder: Folder, judge: Judge) -> None:
    """One line, and the verdict rests on the counts of whole requests."""
    plan = Plan(count=only(times(1.02, "instructions"), side="candidate"))
    why = "which functions grew is not known: Python 3.12 or later names its functions"
    plan.layers["instructions"] = {"run": True, "why_not": None, "bound": {"functions": why}}
    said = judge(folder(plan.without("facts", "time")))
    assert said.status == 1
    assert why in " ".join(said.out.split())
