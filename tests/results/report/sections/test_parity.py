"""Parity in the report: what the harness found unequal, why, and a word where it is trusted."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.report.blocks import Code, Link, Part, Table, Text
from loopbench.results.report.data import Material, gather
from loopbench.results.report.sections import environment as surroundings
from loopbench.results.report.sections import warnings
from loopbench.results.stats.summaries.summary import summarise
from tests.results.examples import report_folder

KNOWN = {
    "stack": "quart-hypercorn",
    "setting": "in_force.http_parser",
    "value": "h11",
    "reference": "C",
    "why": "each server brings its own",
}
UNKNOWN = {**KNOWN, "setting": "in_force.backlog", "value": 7, "reference": 2048, "why": None}


def _material(folder: Path, parity: Any) -> Material:
    loaded = load(report_folder.write(folder))
    environment = {**loaded.environment, "parity": parity}
    loaded = dataclasses.replace(loaded, environment=environment)
    return gather(loaded, summarise(loaded))


def _said(parts: list[Part]) -> list[str]:
    return [
        "".join(span.text if isinstance(span, Code | Link) else span for span in part.words)
        for part in parts
        if isinstance(part, Text)
    ]


def _table(material: Material) -> Table | None:
    wanted = "Settings that are not those of aiohttp, and why"
    parts = surroundings.parts(material)
    return next((p for p in parts if isinstance(p, Table) and p.title == wanted), None)


def test_every_difference_has_its_reason_or_says_that_none_is_known(tmp_path: Path) -> None:
    """In the section on the environment, and counted where Warnings are told."""
    parity = {"reference": "aiohttp", "differences": [KNOWN, UNKNOWN]}
    material = _material(tmp_path / "run", parity)
    shown = _table(material)
    assert shown is not None
    assert shown.rows == (
        ("in_force.http_parser", "quart-hypercorn", "h11", "C", "each server brings its own"),
        ("in_force.backlog", "quart-hypercorn", "7", "2048", "nothing explains it"),
    )
    assert (
        "Parity: 2 settings in force differ from those of aiohttp, 1 of them without a reason: "
        "in_force.backlog of quart-hypercorn. The table stands under Environment."
    ) in _said(list(warnings.parts(material)))


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ([], "Parity: no setting in force differed between the stacks."),
        (
            [KNOWN],
            (
                "Parity: 1 setting in force differs from those of aiohttp, each with its reason. "
                "The table stands under Environment."
            ),
        ),
    ],
)
def test_equal_terms_are_said_too(tmp_path: Path, differences: list[Any], said: str) -> None:
    """So that silence never means that nobody looked."""
    material = _material(tmp_path / "run", {"reference": "aiohttp", "differences": differences})
    assert said in _said(list(warnings.parts(material)))
    assert (_table(material) is None) == (not differences)


@pytest.mark.parametrize("parity", [None, [], {"reference": 3, "differences": "x"}])
def test_what_is_no_parity_is_passed_over(tmp_path: Path, parity: Any) -> None:
    """A folder of an older version, or one that somebody has edited."""
    material = _material(tmp_path / "run", parity)
    assert _table(material) is None
    list(warnings.parts(material))
