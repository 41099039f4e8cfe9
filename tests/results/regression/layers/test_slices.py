"""Slices of both sides as a difference a Turn, freed from the speed of the machine."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from loopbench.results.regression import evidence
from loopbench.results.regression.layers.slices import (
    SHOWN,
    SLOWER,
    Rounds,
    by_cell,
    level,
    paired,
    slopes,
    typical,
)
from loopbench.results.schema import SLOTS, Row
from loopbench.results.schema.regression import Layer
from loopbench.results.schema.tables.slices import SHORT_WORK
from loopbench.results.stats.intervals.covariates import COVARIATES, Slopes
from tests.results.regression.tables import Plan, slot_row, write

ROUNDS, TURNS, SLOWDOWN = 5, 6, 1.03
METRICS = (*SLOWER, SHOWN)
POWER = {metric: -1 if metric == "throughput_rps" else 1 for metric in METRICS}
"""What a figure grows with, where everything takes longer."""


WORK = (SHORT_WORK.name,)


def _following(metric: str, slope: float) -> Slopes:
    """That of the short work."""
    return Slopes(metric, {WORK: (slope,)})


def _rows(side: str, follows: float, *, told: bool = True, turns: int = TURNS) -> Iterator[Row]:
    """Slices of a side on a CPU whose speed changes from one to the next.

    follows: the power of the work's time that each figure follows. told: whether the work is.
    """
    rng = np.random.default_rng([ROUNDS, side == "candidate"])
    slower = SLOWDOWN if side == "candidate" else 1.0
    for number in range(1, ROUNDS + 1):
        for turn in range(1, turns + 1):
            made = dict(slot_row(side, number, turn, 1, "aiohttp", "async", rng, 0.0))
            slow = math.exp(rng.normal(0, 0.3))
            for metric in METRICS:
                made[metric] = float(str(made[metric])) * (slower * slow**follows) ** POWER[metric]
            yield {**made, SHORT_WORK.name: 20.0 * slow if told else None}


def _sides(follows: float, **how: object) -> tuple[Rounds, Rounds]:
    base, candidate = (
        by_cell(_rows(side, follows, **how))["aiohttp", "async-32"]  # type: ignore[arg-type]
        for side in ("base", "candidate")
    )
    return base, candidate


@pytest.mark.parametrize("follows", [1.0, 0.8, 0.0])
def test_a_change_of_speed_drops_out(follows: float) -> None:
    """The work took up to twice as long in one Slice as in another, and the candidate is 3 % slower
    in each Round, to a thousandth."""
    sides = _sides(follows)
    found = slopes([sides])
    for metric in SLOWER:
        (slope,) = found[metric].of[WORK]
        assert POWER[metric] * slope == pytest.approx(follows, abs=0.03)
        pairs = paired(*sides, metric, found[metric])
        assert pairs.rounds == tuple(range(1, ROUNDS + 1))
        wanted = np.full((ROUNDS, TURNS), math.log(SLOWDOWN))
        assert pairs.differences == pytest.approx(wanted, abs=0.03)
        exact = paired(*sides, metric, _following(metric, POWER[metric] * follows)).differences
        assert exact == pytest.approx(wanted, abs=1e-9)


def test_without_the_work_the_speed_stays_in() -> None:
    """As on servers with several CPUs: there is no slope, and the Rounds differ as it did."""
    sides = _sides(1.0, told=False)
    assert all(not found.of for found in slopes([sides]).values())
    assert np.ptp(paired(*sides, "cpu_us_per_request").differences) > 0.1


def test_exchanged_sides_of_a_round_leave_the_slope() -> None:
    """So that a table with flipped signs would have been adjusted alike."""
    base, candidate = _sides(0.9)
    exchanged = {**base, 2: candidate[2], 4: candidate[4]}
    others = {**candidate, 2: base[2], 4: base[4]}
    one, other = slopes([(base, candidate)]), slopes([(exchanged, others)])
    for metric, slope in one.items():
        assert slope.of[WORK] == pytest.approx(other[metric].of[WORK], rel=1e-12)
        signs = np.array([1, -1, 1, -1, 1])[:, None]
        plain = paired(base, candidate, metric, slope).differences
        assert paired(exchanged, others, metric, slope).differences == pytest.approx(signs * plain)


def test_a_slice_without_a_figure_costs_its_round() -> None:
    """The others stay."""
    base, candidate = _sides(1.0)
    lacking = [dict(slot.values) for slot in candidate[3]]
    lacking[0]["cpu_us_per_request"] = None
    short = {**candidate, 3: by_cell(lacking)["aiohttp", "async-32"][3]}
    assert paired(
        base, short, "cpu_us_per_request", _following("cpu_us_per_request", 1.0)
    ).rounds == (1, 2, 4, 5)
    assert paired(base, short, "throughput_rps", _following("throughput_rps", -1.0)).rounds == (
        1,
        2,
        3,
        4,
        5,
    )


def test_slots_of_older_folders_are_turns() -> None:
    """One or two a Round, each of several Slices already."""
    base, candidate = _sides(1.0, told=False, turns=2)
    for metric in SLOWER:
        wanted = [
            [
                math.log(float(str(after.values[metric])) / float(str(before.values[metric])))
                for before, after in zip(base[number], candidate[number], strict=True)
            ]
            for number in base
        ]
        assert paired(base, candidate, metric).differences == pytest.approx(
            SLOWER[metric] * np.array(wanted)
        )


def test_folders_from_before_the_work_are_read(tmp_path: Path) -> None:
    """Such as the committed baseline: their table lacks the column, and every slot its value."""
    write(tmp_path, Plan(rounds=2).without("facts", "instructions"))
    table = tmp_path / SLOTS.filename
    with table.open(newline="", encoding="utf-8") as handle:
        written = list(csv.DictReader(handle))
    older = [name for name in SLOTS.names if name not in COVARIATES]
    with table.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, older, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(written)
    base, candidate = evidence.read(tmp_path).rows(Layer.TIME)
    assert len(base) == len(candidate) == 16
    assert {row[name] for row in (*base, *candidate) for name in COVARIATES} == {None}


def test_people_see_the_undisturbed_end() -> None:
    """A reading is no difference: it keeps the machine's speed. The 99th percentile is read in the
    middle of its Slices."""
    base, _ = _sides(1.0)
    for metric, slots in ((metric, base[1]) for metric in METRICS):
        logs = sorted(math.log(float(str(slot.values[metric]))) for slot in slots)
        found = level(slots, metric)
        assert found is not None
        middle = (logs[2] + logs[3]) / 2
        if metric == SHOWN:
            assert found == pytest.approx(middle, abs=0.2)
        else:
            assert POWER[metric] * (found - middle) < 0
        assert typical(base, metric) is not None
    assert level((), "throughput_rps") is None
    assert typical({}, "throughput_rps") is None
