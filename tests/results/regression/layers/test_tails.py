"""A share of slow requests is called, and machines that make all requests slow are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Settings, Verdict
from loopbench.results.regression.layers import tails
from loopbench.results.schema import TAILS
from loopbench.results.schema.regression import SIDES_FILE
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Plan, batch

Folder = Callable[..., Path]
BATCHES = 25


def _path(folder: Folder, base: Sequence[int], candidate: Sequence[int], failures: int = 0) -> Path:
    plan = Plan().without("facts", "instructions", "time")
    plan.layers["tails"] = {"run": True, "why_not": None, "bound": {}}
    path = folder(plan)
    rows = [
        batch(side, "aiohttp", "plain", number, slow, failures if side == "candidate" else 0)
        for side, counts in (("base", base), ("candidate", candidate))
        for number, slow in enumerate(counts, start=1)
    ]
    put(path, TAILS, rows)
    return path


def _found(path: Path) -> Finding:
    (found,) = tails.judge(evidence.read(path), Settings())
    return found


@pytest.mark.parametrize(
    ("base", "candidate", "verdict"),
    [
        ([0] * BATCHES, [0] * BATCHES, Verdict.SAME),
        ([0] * BATCHES, [1] * BATCHES, Verdict.REGRESSED),
        ([0] * BATCHES, [30] * 4 + [0] * 21, Verdict.SAME),
        ([1] * BATCHES, [0] * BATCHES, Verdict.IMPROVED),
        ([5] * BATCHES, [5] * BATCHES, Verdict.CANNOT_TELL),
    ],
)
def test_signs_of_batches_decide(
    folder: Folder, base: list[int], candidate: list[int], verdict: Verdict
) -> None:
    """One slow request in a hundred is seen; a burst of a few batches is the machine's; where
    everything is slow now and then, little can be seen."""
    assert _found(_path(folder, base, candidate)).verdict is verdict


def test_the_stated_power_is_the_power() -> None:
    """Simulated: 1 % of slow requests beside none, in a table of eight cells."""
    random = np.random.default_rng(3)
    level = Settings().alpha / 8
    stated = tails.power(0.0, 1.0, BATCHES, level)
    slow = random.poisson(1.0, (20_000, BATCHES))
    signs = (slow > 0).sum(axis=1)
    called = np.mean(0.5**signs <= level)
    assert abs(called - stated) < 0.01
    assert stated > 0.97


def test_equal_sides_seldom_differ() -> None:
    """Slow requests that cluster on both sides alike: the level holds."""
    random = np.random.default_rng(4)
    mood = random.gamma(0.3, 3.0, (20_000, BATCHES))
    base, candidate = random.poisson(mood), random.poisson(mood)
    more, fewer = (candidate > base).sum(axis=1), (candidate < base).sum(axis=1)
    alarms = [tails._needed(int(signs), 0.005) for signs in more + fewer]
    called = [needed is not None and m >= needed for needed, m in zip(alarms, more, strict=True)]
    assert np.mean(called) < 0.0065


def test_wrong_answers_of_the_candidate_are_a_regression(folder: Folder, judge: Judge) -> None:
    """They are no slow requests, and are not passed over."""
    path = _path(folder, [0] * BATCHES, [0] * BATCHES, failures=2)
    found = _found(path)
    assert (found.verdict, found.meaning) == (
        Verdict.REGRESSED,
        "50 wrong answers, of the candidate only",
    )
    assert judge(path).status == 1


def test_wrong_answers_of_both_sides_are_told_of_both(folder: Folder) -> None:
    """The base is not blamed for those of the candidate."""
    path = _path(folder, [0] * BATCHES, [0] * BATCHES)
    put(path, TAILS, [batch(side, "a", "plain", 1, 0, n) for side, n in (("base", 3), CANDIDATE)])
    found = _found(path)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.meaning == "3 wrong answers of the base, and 5 of the candidate"


CANDIDATE = ("candidate", 5)


@pytest.mark.parametrize("not_reached", [False, True])
def test_a_cell_that_neither_side_was_asked_for_is_a_doubt(
    folder: Folder, judge: Judge, not_reached: bool
) -> None:
    """Not both sides have it: nothing of it is ruled out. One that was not reached is said to be
    that."""
    path = _path(folder, [0] * BATCHES, [0] * BATCHES)
    bound = {"cells": [["aiohttp", "plain"], ["aiohttp", "form"]]}
    if not_reached:
        bound |= {"not_reached": [["aiohttp", "form"]]}
    sides = json.loads((path / SIDES_FILE).read_text())
    sides["layers"]["tails"]["bound"] = bound
    (path / SIDES_FILE).write_text(json.dumps(sides))
    said = judge(path)
    assert said.status == 2
    why = "aiohttp form slow requests cannot-tell: not asked: not both sides have it, with the same"
    reached = "aiohttp not-run: not reached: form."
    printed = " ".join(said.out.split())
    assert f"CANNOT TELL: {reached if not_reached else why}" in printed
    assert (why in printed, reached in printed) == (not not_reached, not_reached)


def test_what_came_more_often_is_said_in_words(folder: Folder, judge: Judge) -> None:
    """Of slow requests, in how many batches, and what counts as slow."""
    said = judge(_path(folder, [0] * BATCHES, [1] * BATCHES))
    assert (
        "REGRESSION: aiohttp plain slow requests come more often, in 25 of 25 batches (slow: 2 ms "
        "above the median, or more)." in " ".join(said.out.split())
    )


def test_what_was_ruled_out_is_said(folder: Folder, judge: Judge) -> None:
    """With the share of slow requests that would have been seen."""
    said = judge(_path(folder, [0] * BATCHES, [0] * BATCHES))
    assert said.status == 0
    assert "tails: no further 0.63 % of requests became slow" in " ".join(said.out.split())
