"""Answers of a side's own harness: all of them, or those before it broke."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.layers import behaviour
from loopbench.loadtests.regression.mutants import Edit, apply
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from tests.conftest import ROOT
from tests.loadtests.regression.trees import STACKS
from tests.trees import copy_suite

ASKED = ("dispatch.sync-route", "parsing.list-of-routes")
"""Quick ones, with an answer of aiohttp each."""

BREAKING = Edit(
    "loadtests/behaviour/framework/scheduler.py",
    "                yield entry, answered\n",
    "                yield entry, answered\n                raise RuntimeError('out of order')\n",
)
"""A harness that meets an error of its own after its first answer."""


def _asked(root: Path, folder: Path) -> Side:
    """Raises HarnessError where the harness did not come to its end."""
    side = look(Role.BASE, "x", root, Path(sys.executable), STACKS)
    behaviour.ask(side, STACKS, folder / "log", folder, ASKED)
    return side


def test_a_harness_that_ends_has_an_answer_to_each_question(tmp_path: Path) -> None:
    """One row an experiment, that is a part by its question and its setting."""
    found = list(behaviour.answered(_asked(ROOT, tmp_path), tmp_path))
    assert {part.what.partition(" ")[0] for part in found} == {*ASKED}
    assert {part.stack for part in found} == {*STACKS}
    assert all(len(part.rows) == 1 for part in found)


def test_a_harness_that_breaks_is_not_taken_for_one_that_has_asked_all(tmp_path: Path) -> None:
    """It ends with 1, as one does that has a question without an answer. What it has answered can
    be had; what it has not is no difference between the sides."""
    root = copy_suite(tmp_path / "tree")
    apply(BREAKING, root)
    with pytest.raises(HarnessError, match=r"^the questions were broken off: .*out of order"):
        _asked(root, tmp_path)
    side = look(Role.BASE, "x", root, Path(sys.executable), STACKS)
    assert len(list(behaviour.answered(side, tmp_path))) == 1
