"""What is kept of requests: a growth that every repeat shows, and no growth that one shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Verdict
from loopbench.results.regression.layers import memory
from loopbench.results.schema import MEMORY, Row
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Plan, kept

Folder = Callable[..., Path]
Readings = Sequence[tuple[float, float]]
"""Blocks and resident bytes of a request, a repeat each."""


def _path(folder: Folder, base: Readings, candidate: Readings) -> Path:
    plan = Plan().without("facts", "instructions", "time")
    plan.layers["memory"] = {"run": True, "why_not": None, "bound": {}}
    path = folder(plan)
    rows = [
        kept(side, "aiohttp", "plain", repeat, *reading)
        for side, readings in (("base", base), ("candidate", candidate))
        for repeat, reading in enumerate(readings, start=1)
    ]
    put(path, MEMORY, rows)
    return path


QUIET = [(0.01, 0.0), (0.2, 160.0)]


@pytest.mark.parametrize(
    ("base", "candidate", "blocks", "resident"),
    [
        (QUIET, QUIET, Verdict.SAME, Verdict.SAME),
        (QUIET, [(1.01, 0.0), (1.2, 164.0)], Verdict.REGRESSED, Verdict.SAME),
        (QUIET, [(0.01, 10_300.0), (0.02, 10_400.0)], Verdict.SAME, Verdict.REGRESSED),
        (QUIET, [(0.01, 0.0), (5.0, 40_000.0)], Verdict.SAME, Verdict.SAME),
        ([(3.0, 0.0), (3.1, 0.0)], QUIET, Verdict.IMPROVED, Verdict.SAME),
        ([(125.0, 13e3), (126.0, 13e3)], [(131.0, 14e3), (145.0, 15e3)], *[Verdict.SAME] * 2),
        ([(125.0, 13e3), (126.0, 13e3)], [(155.0, 18e3), (156.0, 18e3)], *[Verdict.REGRESSED] * 2),
    ],
)
def test_a_growth_is_called_where_every_repeat_shows_it(
    folder: Folder, base: Readings, candidate: Readings, blocks: Verdict, resident: Verdict
) -> None:
    """One object a request, or 10 KB; not what one repeat shows, nor a few per cent of much."""
    found = memory.judge(evidence.read(_path(folder, base, candidate)))
    verdicts = {finding.metric: finding.verdict for finding in found}
    assert verdicts == {"blocks": blocks, "resident_bytes": resident}


def test_a_growth_is_a_regression_that_says_how_much(folder: Folder, judge: Judge) -> None:
    """The headline names stack, case and size; without one it says what was ruled out."""
    said = judge(_path(folder, QUIET, [(2.2, 0.0), (2.3, 0.0)]))
    assert said.status == 1
    printed = " ".join(said.out.split())
    assert "REGRESSION: aiohttp plain blocks keeps 2.00 blocks of memory more of every" in printed
    said = judge(_path(folder, QUIET, QUIET))
    assert said.status == 0
    printed = " ".join(said.out.split())
    assert (
        "no request leaves 0.6 objects or 2 KiB behind more than before, nor 20 % more where that "
        "is more" in printed
    )


def test_a_subject_without_readings_is_a_doubt_with_its_reason(folder: Folder) -> None:
    """A wrong answer of the candidate costs that subject, and says so."""
    path = _path(folder, QUIET, QUIET)
    put(path, MEMORY, [kept("base", "aiohttp", "plain", 1, 0.0), _unread(1)])
    found = memory.judge(evidence.read(path))
    assert {finding.verdict for finding in found} == {Verdict.CANNOT_TELL}
    assert found[0].meaning == "candidate: plain: status 204 instead of 200"


def _unread(repeat: int) -> Row:
    return {
        **kept("candidate", "aiohttp", "plain", repeat, 0.0),
        "blocks": None,
        "resident_bytes": None,
        "reason": "plain: status 204 instead of 200",
    }


@pytest.mark.parametrize("blocks", [0.0, 9.0])
def test_a_repeat_without_readings_is_a_doubt_beside_one_that_has_some(
    folder: Folder, blocks: float
) -> None:
    """Neither a growth nor none is called on the repeats that are left."""
    path = _path(folder, QUIET, QUIET)
    base = [kept("base", "aiohttp", "plain", repeat, 0.0) for repeat in (1, 2)]
    put(path, MEMORY, [*base, kept("candidate", "aiohttp", "plain", 1, blocks), _unread(2)])
    found = memory.judge(evidence.read(path))
    assert {finding.verdict for finding in found} == {Verdict.CANNOT_TELL}
    assert found[0].meaning == "candidate: plain: status 204 instead of 200"
