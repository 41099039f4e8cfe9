"""Two sides' work goes on at the same time, and ends together when one of them fails."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.patience import BrokenOff, Patience
from loopbench.loadtests.regression.parallel import side_by_side
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def sides() -> list[Side]:
    """Two of this tree."""
    return [look(role, "x", ROOT, Path(sys.executable), ["aiohttp"]) for role in Role]


def test_both_are_at_work_at_once(sides: list[Side]) -> None:
    """Neither could pass the barrier alone; the results come in the sides' order."""
    barrier = threading.Barrier(2, timeout=10)

    def work(side: Side, patience: Patience) -> str:
        barrier.wait()
        return str(side.role)

    assert side_by_side(sides, work) == ["base", "candidate"]


@pytest.mark.parametrize("failing", list(Role))
def test_the_failure_of_one_breaks_off_the_other(sides: list[Side], failing: Role) -> None:
    """What is raised is the failure, whichever side it is of."""

    def work(side: Side, patience: Patience) -> None:
        if side.role is failing:
            raise HarnessError("out of luck")
        while True:
            patience.check()
            time.sleep(0.01)

    with pytest.raises(HarnessError, match="out of luck"):
        side_by_side(sides, work)


def test_the_end_of_the_whole_is_the_end_of_its_parts(sides: list[Side]) -> None:
    """Both sides' work ends where somebody else's failure, or an interrupt, ended the whole."""
    whole = Patience()

    def work(side: Side, patience: Patience) -> None:
        if side.role is Role.BASE:
            whole.end()
        while True:
            patience.check()
            time.sleep(0.01)

    with pytest.raises(BrokenOff):
        side_by_side(sides, work, whole)
