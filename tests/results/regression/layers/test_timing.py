"""Layer 3: three verdicts, and what may not be called fine."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.finding import Finding, Settings, Verdict, Weight
from loopbench.results.regression.layers import timing
from loopbench.results.regression.layers.slices import SHOWN, SLOWER
from loopbench.results.regression.sides import LayerState, Side
from loopbench.results.regression.simulate import Noise, Shape, judged
from loopbench.results.schema import SLOTS, Row
from loopbench.results.schema.regression import Layer
from tests.results.examples.folders import put
from tests.results.regression.tables import Plan, both, drop, only, put_in, times

Folder = Callable[..., Path]
CPU, RATE, P50 = SLOWER


def _judge(path: Path, settings: Settings | None = None) -> dict[tuple[str, str, str], Finding]:
    found = timing.judge(evidence.read(path), settings or Settings())
    by = {(finding.stack, finding.subject, finding.metric): finding for finding in found}
    assert len(by) == len(found)
    return by


def test_equal_sides_are_ruled_out(folder: Folder) -> None:
    """Four cells of three metrics each, and beside them the p99, which gates nothing."""
    found = _judge(folder())
    gated = [finding for key, finding in found.items() if key[2] in SLOWER]
    assert [finding.verdict for finding in gated] == [Verdict.RULED_OUT] * 12
    shown = [finding for key, finding in found.items() if key[2] == SHOWN]
    assert [finding.verdict for finding in shown] == [Verdict.SHOWN] * 4
    assert {finding.n for finding in gated} == {30}
    assert {finding.weight for finding in found.values()} == {Weight.FINE}


@pytest.mark.parametrize(
    ("metric", "factor"), [(CPU, 1.06), (RATE, 1 / 1.06), (P50, 1.06)], ids=["cpu", "rate", "p50"]
)
def test_six_per_cent_slower_has_regressed(folder: Folder, metric: str, factor: float) -> None:
    """In each gated metric; less throughput is slower, and the ratio is candidate over base."""
    slower = only(times(factor, metric), side="candidate", stack="aiohttp", case="async")
    found = _judge(folder(Plan(slot=slower)))
    finding = found.pop(("aiohttp", "async-32", metric))
    assert finding.verdict is Verdict.REGRESSED
    assert finding.p is not None and finding.p < 0.005
    assert finding.ratio is not None and finding.ratio == pytest.approx(factor, rel=0.02)
    assert finding.ratio_low is not None and finding.ratio_high is not None
    assert finding.ratio_low < finding.ratio < finding.ratio_high
    assert finding.meaning.startswith("slower by ")
    assert Weight.REGRESSION not in {other.weight for other in found.values()}


def test_a_faster_candidate_has_improved(folder: Folder) -> None:
    """Surely and by more than the floor; it is no finding."""
    faster = only(times(0.9, CPU), side="candidate", stack="aiohttp", case="async")
    finding = _judge(folder(Plan(slot=faster)))["aiohttp", "async-32", CPU]
    assert (finding.verdict, finding.weight) == (Verdict.IMPROVED, Weight.FINE)


def test_a_sure_slowdown_below_the_floor_is_none(folder: Folder) -> None:
    """1.5 % with hardly any noise: p says slower, the floor says too little, 5 % is ruled out."""
    slower = only(times(1.015, CPU), side="candidate")
    finding = _judge(folder(Plan(slot=slower, sd=0.001)))["aiohttp", "async-32", CPU]
    assert finding.p is not None and finding.p < 0.005
    assert finding.verdict is Verdict.RULED_OUT


def test_noise_leaves_it_open_and_says_what_could_have_been_caught(folder: Folder) -> None:
    """With 15 % noise a slot, 5 % cannot be ruled out, and the meaning names the size."""
    found = _judge(folder(Plan(sd=0.15, seed=5)))
    finding = found["aiohttp", "async-32", CPU]
    assert (finding.verdict, finding.weight) == (Verdict.CANNOT_TELL, Weight.DOUBT)
    assert finding.detectable is not None and 0.08 < finding.detectable < 0.4
    assert "could have been caught" in finding.meaning


def test_the_verdicts_are_those_of_the_simulated_check() -> None:
    """Simulated tables written as rows: each verdict is the one that the replay counts."""
    shape, noise = Shape(cells=4, rounds=20), Noise(0.03)
    values = noise.readings(np.random.default_rng(11), 6, shape)
    expected = judged(values, Settings(), effect=0.07)
    assert expected.regressed.any() and expected.ruled_out.any() and not expected.ruled_out.all()
    for table in range(len(values)):
        rows = _rows(values[table], shape, math.log1p(0.07))
        found = timing.judge(_evidence(rows, shape.rounds), Settings())
        gated = [finding for finding in found if finding.metric in SLOWER]
        for place, finding in enumerate(gated):
            regressed = bool(expected.regressed[table, place])
            fine = bool(expected.ruled_out[table, place]) and not regressed
            assert (finding.verdict is Verdict.REGRESSED) == regressed
            assert (finding.verdict in (Verdict.RULED_OUT, Verdict.IMPROVED)) == fine


def _rows(values: np.ndarray, shape: Shape, effect: float) -> list[Row]:
    """Logarithms as rows of slots.csv; the effect in the candidate's first test."""
    rows: list[Row] = []
    for cell, number, turn in np.ndindex(shape.cells, shape.rounds, shape.turns):
        for place, side in enumerate(("base", "candidate")):
            row: dict[str, str | int | float | None] = {
                "side": side,
                "round": number + 1,
                "slot": turn + 1,
                "stack": "aiohttp",
                "case": f"case{cell}",
                "users": 32,
                "requests": 1000,
                "failures": 0,
                SHOWN: None,
                "warnings": None,
            }
            for test, (metric, sign) in enumerate(SLOWER.items()):
                log = values[cell * shape.metrics + test, number, turn, place]
                log += effect if side == "candidate" and cell == test == 0 else 0.0
                row[metric] = math.exp(sign * log)
            rows.append(row)
    return rows


def _evidence(rows: list[Row], rounds: int) -> evidence.Evidence:
    layers = {layer: LayerState(layer is Layer.TIME, None, {"rounds": rounds}) for layer in Layer}
    base, candidate = (
        evidence.Measured(
            Side(side),
            Path(side),
            {Layer.TIME: tuple(row for row in rows if row["side"] == side)},
            (),
            layers,
        )
        for side in ("base", "candidate")
    )
    return evidence.Evidence(Path("simulated"), base, candidate, False)


def test_a_cell_that_was_stopped_early_is_not_called_fine(folder: Folder) -> None:
    """Ten Rounds of thirty with hardly any noise: its interval is narrow, and yet it is open.
    The other cells are not touched, and all stay in the family."""

    def stopped(row: dict[str, str | int | float | bool | None]) -> object:
        return None if int(row["round"] or 0) > 10 else row

    early = only(stopped, stack="aiohttp", case="async")  # type: ignore[arg-type]
    found = _judge(folder(Plan(slot=early, sd=0.005)))
    for (stack, subject, metric), finding in found.items():
        if metric in SLOWER:
            here = (stack, subject) == ("aiohttp", "async-32")
            assert finding.verdict is (Verdict.CANNOT_TELL if here else Verdict.RULED_OUT)
    assert found["aiohttp", "async-32", CPU].meaning.endswith("10 of 30 Rounds")


def test_a_cell_that_was_stopped_early_may_have_regressed(folder: Folder) -> None:
    """A slowdown of half again is seen in ten Rounds."""
    early = both(
        only(times(1.5, CPU), side="candidate", stack="aiohttp", case="async"),
        lambda row: (
            None
            if (row["stack"], row["case"]) == ("aiohttp", "async") and int(row["round"] or 0) > 10
            else row
        ),
    )
    finding = _judge(folder(Plan(slot=early)))["aiohttp", "async-32", CPU]
    assert finding.verdict is Verdict.REGRESSED


def test_rounds_that_were_planned_and_not_measured_leave_all_open(folder: Folder) -> None:
    """A check cut short after nine of 30 Rounds."""
    plan = Plan(rounds=9, sd=0.001)
    plan.layers["time"]["bound"] = {"rounds": 30}
    found = _judge(folder(plan))
    gated = {finding.verdict for key, finding in found.items() if key[2] in SLOWER}
    assert gated == {Verdict.CANNOT_TELL}


def test_too_few_rounds_for_a_test(folder: Folder) -> None:
    """Two Rounds: no interval, no p below 1, and nothing called fine."""
    finding = _judge(folder(Plan(rounds=2)))["aiohttp", "async-32", CPU]
    assert (finding.verdict, finding.n, finding.p) == (Verdict.CANNOT_TELL, 2, 1.0)
    assert finding.meaning == "2 Rounds are too few"


def test_a_planned_cell_without_a_slot_is_a_doubt(folder: Folder) -> None:
    """Of its own; the others are judged as without it, since what was not measured cannot alarm."""
    before = _judge(folder())
    plan = Plan()
    plan.layers["time"]["bound"] = {"cells": [[s, "async"] for s in ("aiohttp", "gone", "asyncio")]}
    found = _judge(folder(plan, "again"))
    assert found.pop(("gone", "async", "slots")).verdict is Verdict.CANNOT_TELL
    assert ("asyncio", "async", "slots") not in found
    assert found == before


def test_a_missing_slot_takes_its_round_with_it(folder: Folder) -> None:
    """One slot of two in one Round is no pair: 29 Rounds are left, and that is said."""
    gone = only(drop, side="candidate", round=3, slot=2, stack="aiohttp", case="async")
    finding = _judge(folder(Plan(slot=gone, sd=0.001)))["aiohttp", "async-32", CPU]
    assert finding.verdict is Verdict.CANNOT_TELL
    assert "29 of 30 Rounds" in finding.meaning


def test_failures_of_the_candidate_only_are_a_finding(folder: Folder) -> None:
    """One failed request among all, and none of the base."""
    failed = only(
        put_in(failures=1, warnings="failures"),
        side="candidate",
        round=3,
        slot=1,
        stack="aiohttp",
        case="async",
    )
    found = _judge(folder(Plan(slot=failed)))
    finding = found["aiohttp", "async-32", "failures"]
    assert (finding.verdict, finding.weight) == (Verdict.REGRESSED, Weight.REGRESSION)
    assert (finding.base, finding.candidate) == ("0", "1")
    assert finding.meaning == (
        "requests failed of the candidate only: 0 of 900,000, then 1 of 900,000"
    )
    assert "failures in 1 of 60 slots of the candidate" in found["aiohttp", "async-32", CPU].meaning


@pytest.mark.parametrize(
    ("where", "verdict"),
    [({"side": "base"}, Verdict.IMPROVED), ({"stack": "aiohttp"}, Verdict.CANNOT_TELL)],
    ids=["base", "both"],
)
def test_failures_of_the_base(folder: Folder, where: dict[str, str], verdict: Verdict) -> None:
    """Of the base alone: mended. Of both: times of correct answers do not settle it."""
    failed = only(put_in(failures=5), round=3, slot=1, **where)
    found = _judge(folder(Plan(slot=failed)))
    assert found["aiohttp", "async-32", "failures"].verdict is verdict


@pytest.mark.parametrize(("rounds", "verdict"), [(6, Verdict.RULED_OUT), (7, Verdict.CANNOT_TELL)])
def test_warnings_that_disqualify_leave_it_open(
    folder: Folder, rounds: int, verdict: Verdict
) -> None:
    """A generator at its limit in more than a fifth of the Rounds: throughput and p50 compare
    something else, CPU per request does not."""
    limited = both(
        *(
            only(put_in(warnings="generator-cpu"), side="base", stack="aiohttp", round=number)
            for number in range(1, rounds + 1)
        )
    )
    found = _judge(folder(Plan(slot=limited)))
    for metric in (RATE, P50):
        assert found["aiohttp", "async-32", metric].verdict is verdict
    assert found["aiohttp", "async-32", CPU].verdict is Verdict.RULED_OUT
    assert found["quart-hypercorn", "async-32", RATE].verdict is Verdict.RULED_OUT


def test_as_fast_as_the_trivial_responder_says_nothing_of_throughput(folder: Folder) -> None:
    """Within 10 % of the yardstick in the same load the generator is the limit."""
    slow = only(times(1 / 3.5, RATE), side="yardstick")
    found = _judge(folder(Plan(slot=slow)))
    finding = found["aiohttp", "async-32", RATE]
    assert finding.verdict is Verdict.CANNOT_TELL
    assert "generator-limit" in finding.meaning
    assert found["aiohttp", "async-32", CPU].verdict is Verdict.RULED_OUT
    assert found["aiohttp", "sync-32", RATE].verdict is Verdict.RULED_OUT


@pytest.mark.parametrize(
    ("side", "weight"), [("candidate", Weight.REGRESSION), ("base", Weight.FINE)]
)
def test_a_cell_that_one_side_has(folder: Folder, side: str, weight: Weight) -> None:
    """Gone it is a finding, new it is none."""
    found = _judge(folder(Plan(slot=only(drop, side=side, stack="aiohttp", case="sync"))))
    finding = found["aiohttp", "sync-32", "slots"]
    assert (finding.verdict, finding.weight) == (Verdict.MISSING, weight)


def test_a_reading_that_was_not_taken_is_no_zero(folder: Folder) -> None:
    """A base without CPU readings: that metric cannot be told, the others can."""
    found = _judge(folder(Plan(slot=only(put_in(cpu_us_per_request=None), side="base"))))
    finding = found["aiohttp", "async-32", CPU]
    assert (finding.verdict, finding.base, finding.n) == (Verdict.CANNOT_TELL, None, 0)
    assert found["aiohttp", "async-32", RATE].verdict is Verdict.RULED_OUT


def test_users_tell_cells_apart(folder: Folder) -> None:
    """The same case with one user and with 32 are two cells."""
    path = folder()
    rows = list(evidence.read(path).base.rows[Layer.TIME])
    rows += list(evidence.read(path).candidate.rows[Layer.TIME])
    put(path, SLOTS, [*rows, *({**row, "users": 1} for row in rows)])
    assert {subject for _, subject, _ in _judge(path)} == {
        "async-32",
        "sync-32",
        "async-1",
        "sync-1",
    }
