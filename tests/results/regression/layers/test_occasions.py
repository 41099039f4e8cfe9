"""Time against a baseline from another occasion: the alarm, its threshold, and no more."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from loopbench.results.errors import ResultsError
from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Settings, Verdict, Weight
from loopbench.results.regression.layers import occasions
from loopbench.results.regression.layers.occasions import TABLE
from loopbench.results.regression.layers.slices import SLOWER
from loopbench.results.regression.layers.trimmed_t import student
from loopbench.results.schema import Row
from tests.results.examples.folders import put
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Change, Plan, both, drop, only, same, times

Folder = Callable[..., Path]
CPU, RATE, P50 = SLOWER
ALL = (*SLOWER, "service_time_p99_ms")

LOGS = (-0.02, 0.0, 0.02, 0.01, -0.01)
"""Of one cell on five occasions: squares add up to 0.001, so the standard deviation is 0.01581."""


def _rows(logs: Sequence[float] = LOGS) -> list[Row]:
    return [
        {
            "occasion": f"day {number}",
            "stack": stack,
            "case": "async-32",
            "metric": metric,
            "over_yardstick": level * math.exp(log),
        }
        for number, log in enumerate(logs)
        for stack, level in (("aiohttp", 3.75), ("quart-hypercorn", 28.75))
        for metric in SLOWER
    ]


def _apart(
    folder: Folder,
    now: Change = same,
    then: Change = same,
    logs: Sequence[float] | None = LOGS,
    **bound: object,
) -> Path:
    """A folder with one side, and a baseline beside it, with occasions.csv unless logs is None."""
    plan = Plan(sides=("candidate",), slot=now, sd=0.005, seed=1)
    plan.layers["time"]["bound"] = bound
    path = folder(plan)
    names = {"base": "baseline"}
    kept = folder(Plan(sides=("base",), names=names, slot=then, sd=0.005), "checked/baseline")
    if logs is not None:
        put(kept, TABLE, _rows(logs))
    return path


def _judge(path: Path) -> list[Finding]:
    return list(occasions.judge(evidence.read(path), Settings()))


def test_the_spread_is_worked_on_paper() -> None:
    """Two cells with the same logarithms: pooled sd sqrt(0.002 / 8)."""
    spread = occasions.between(_rows())
    assert spread == pytest.approx(dict.fromkeys(SLOWER, math.sqrt(0.001 / 4)))


def test_the_threshold_for_eight_tests(tmp_path: Path) -> None:
    """Student's t at 0.5 % / 8 with four degrees of freedom, times sqrt(2) times the spread."""
    put(tmp_path, TABLE, _rows())
    known, why = occasions.thresholds(tmp_path, 8, Settings())
    reach = student(0.005 / 8, 4) * math.sqrt(2) * math.sqrt(0.001 / 4)
    assert known == pytest.approx(dict.fromkeys((CPU, RATE), math.exp(reach) - 1), rel=1e-5)
    assert 0.19 < known[CPU] < 0.21
    assert why == ""


def test_equal_occasions_still_have_a_floor(tmp_path: Path) -> None:
    """Without any spread the smallest slowdown that counts at all is the threshold."""
    put(tmp_path, TABLE, _rows((0.0, 0.0, 0.0)))
    assert occasions.thresholds(tmp_path, 8, Settings())[0] == dict.fromkeys((CPU, RATE), 0.02)


def test_an_equal_machine_and_code_raise_no_alarm(folder: Folder) -> None:
    """All figures are shown with the threshold, and none is called ruled out."""
    found = _judge(_apart(folder))
    assert [finding.verdict for finding in found] == [Verdict.SHOWN] * 12
    assert {finding.weight for finding in found} == {Weight.FINE}
    reach = student(0.005 / 8, 4) * math.sqrt(2) * math.sqrt(0.001 / 4)
    assert found[0].detectable == pytest.approx(math.exp(reach) - 1, rel=1e-5)
    assert "an alarm from 19.9 % on" in found[0].meaning


def test_a_yardstick_whose_median_is_another_raises_no_alarm(folder: Folder) -> None:
    """It is the generator's own, and a third on one processor of what it is on another."""
    shorter = only(times(1 / 3, P50), side="yardstick")
    found = _judge(_apart(folder, now=shorter))
    assert {finding.verdict for finding in found} == {Verdict.SHOWN}
    medians = [finding for finding in found if finding.metric == P50]
    assert len(medians) == 4
    assert all("an alarm" not in finding.meaning for finding in medians)


def test_a_machine_of_half_the_speed_raises_no_alarm(folder: Folder) -> None:
    """Everything takes twice the CPU and time, the yardstick too: the ratios stay."""
    slow = both(times(2, CPU, P50), times(0.5, RATE))
    assert {finding.verdict for finding in _judge(_apart(folder, now=slow))} == {Verdict.SHOWN}


@pytest.mark.parametrize(("metric", "factor"), [(CPU, 1.3), (RATE, 1 / 1.3)])
def test_a_gross_change_is_an_alarm(folder: Folder, metric: str, factor: float) -> None:
    """30 % in one cell, in each judged metric; 30 % faster is none."""
    slower = only(times(factor, metric), stack="aiohttp", case="sync")
    alarms = [f for f in _judge(_apart(folder, now=slower)) if f.verdict is Verdict.REGRESSED]
    assert [(f.stack, f.subject, f.metric) for f in alarms] == [("aiohttp", "sync-32", metric)]
    assert alarms[0].ratio == pytest.approx(factor, rel=0.02)
    faster = only(times(1 / factor, metric), stack="aiohttp", case="sync")
    assert {f.verdict for f in _judge(_apart(folder, now=faster))} == {Verdict.SHOWN}


@pytest.mark.parametrize(
    ("logs", "why"),
    [
        (None, "occasions.csv is not there to say what occasions differ by"),
        ((0.0, 0.01), "occasions.csv has 2 occasions, and 3 are the least"),
    ],
)
def test_without_the_spread_there_is_no_alarm_and_that_is_said(
    folder: Folder, logs: Sequence[float] | None, why: str
) -> None:
    """The figures are shown all the same, and the whole is not called fine."""
    first, *others = _judge(_apart(folder, logs=logs))
    assert first.meaning == f"there is no alarm: {why}"
    assert first.weight is Weight.DOUBT
    assert [finding.verdict for finding in others] == [Verdict.SHOWN] * 12


@pytest.mark.parametrize("where", ["now", "then"])
def test_without_the_yardstick_nothing_can_be_told(folder: Folder, where: str) -> None:
    """On either occasion."""
    gone = only(drop, side="yardstick")
    found = _judge(_apart(folder, **{where: gone}))  # type: ignore[arg-type]
    assert {finding.verdict for finding in found} == {Verdict.CANNOT_TELL}
    assert found[0].meaning.startswith("there is no alarm: the yardstick was not measured with ")


def test_a_stack_that_was_not_asked_for_is_not_gone(folder: Folder) -> None:
    """`--stack aiohttp` against a baseline of two: with the list of stacks nothing is to be
    said, without it nobody knows whether the other one broke."""
    alone = only(drop, stack="quart-hypercorn")
    found = _judge(_apart(folder, now=alone, stacks=["aiohttp"]))
    assert {(f.stack, f.weight) for f in found} == {("aiohttp", Weight.FINE)}
    found = _judge(_apart(folder, now=alone))
    assert [(f.stack, f.weight) for f in found if f.weight] == [("quart-hypercorn", Weight.DOUBT)]
    found = _judge(_apart(folder, now=alone, stacks=["aiohttp", "quart-hypercorn"]))
    assert [f.weight for f in found if f.verdict is Verdict.MISSING] == [Weight.REGRESSION] * 2


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("occasion,stack\n", "column case, metric, over_yardstick is missing"),
        (",".join(TABLE.names) + "\na,b,c,d,e\n", "row 2, column over_yardstick"),
        (",".join(TABLE.names) + "\na,b,c,d,0\n", "a ratio of zero"),
    ],
)
def test_occasions_that_cannot_be_read(folder: Folder, text: str, error: str) -> None:
    """One line with the file, and no threshold made of half of it."""
    path = _apart(folder, logs=None)
    (path / "baseline" / "occasions.csv").write_text(text)
    with pytest.raises(ResultsError, match=error):
        _judge(path)


def test_occasions_are_made_from_folders(folder: Folder, command: Judge) -> None:
    """The command prints the table that the alarm reads: a row a folder, cell and metric."""
    plans = [Plan(seed=seed, sd=0.001) for seed in (1, 2, 3)]
    said = command("occasions", *(folder(plan, f"day{n}") for n, plan in enumerate(plans)))
    assert (said.status, said.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert len(rows) == 3 * 4 * len(SLOWER)
    cpu = [float(row["over_yardstick"]) for row in rows if row["metric"] == CPU]
    assert np.median(cpu[:2]) == pytest.approx(30 / 8, rel=0.01)


def test_a_folder_without_the_yardstick_is_no_occasion(folder: Folder, command: Judge) -> None:
    """One line, exit 3."""
    said = command("occasions", folder(Plan(slot=only(drop, side="yardstick"))))
    assert (said.status, said.out) == (3, "")
    assert said.err.endswith("has no slots of a side and of the yardstick\n")
