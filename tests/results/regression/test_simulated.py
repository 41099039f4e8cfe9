"""How often the check is right, over simulated tables: the same code judges that judges runs."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from loopbench.results.regression.finding import Settings
from loopbench.results.regression.layers.slices import steady
from loopbench.results.regression.layers.timing import CAUGHT, smallest
from loopbench.results.regression.layers.trimmed_t import trimmed
from loopbench.results.regression.simulate import (
    NOISES,
    ROUNDS,
    Noise,
    Shape,
    Twins,
    judged,
    judged_at,
    measured_twins,
    rates,
)
from tests.conftest import ROOT

TABLES = 3000
"""With so many, an observed rate of 0.5 % has an upper bound of 0.9 %."""

SURE = 0.99


def _at_most(count: int, of: int) -> float:
    """What the true rate is under, with a confidence of SURE, by the exact binomial bound."""
    # Imported here: it takes long, and each process of the tests reads all their files.
    from scipy.stats import binomtest

    test = binomtest(count, of, alternative="less")
    return float(test.proportion_ci(SURE, method="exact").high)


def _at_least(count: int, of: int) -> float:
    from scipy.stats import binomtest

    test = binomtest(count, of, alternative="greater")
    return float(test.proportion_ci(SURE, method="exact").low)


@pytest.mark.parametrize(
    ("noise", "tables"),
    [(measured_twins(), TABLES // 3), (Noise(0.02), TABLES)],
    ids=["measured", "simulated"],
)
def test_false_alarms_and_power_at_the_default_rounds(noise: Noise | Twins, tables: int) -> None:
    """12 cells of 3 metrics, as equal servers were measured, or with 2 % noise, one slot in twenty
    an outlier, and drift: fewer than one table in a hundred has a false alarm, and a slowdown of
    5 % is caught in more than 95 of a hundred."""
    found = rates(tables, Shape(), noise)
    assert _at_most(found.alarms, tables) < 0.01
    assert _at_least(found.caught, tables) > 0.95
    assert _at_most(found.missed, tables) < 0.01


def test_three_per_cent_are_caught_on_a_machine_as_measured() -> None:
    """In more than 95 of a hundred tables of 8 cells, which is what the core stacks have."""
    found = rates(1500, Shape(cells=8), measured_twins(), 0.03)
    assert _at_least(found.caught, 1500) > 0.95


@pytest.mark.parametrize("rounds", [5, 10, 15])
@pytest.mark.parametrize("outliers", [0.0, 0.05, 0.3])
def test_fewer_rounds_and_a_worse_machine_cost_power_only(rounds: int, outliers: float) -> None:
    """Short of Rounds, or with every third slot disturbed, and so much noise that the floor keeps
    nothing back: the false alarms stay near the nominal half per cent, under two."""
    found = rates(2000, Shape(rounds=rounds), Noise(0.06, 0.03, 0.1, outliers))
    assert _at_most(found.alarms, 2000) < 0.02


def test_too_few_rounds_do_not_have_the_power() -> None:
    """The claim can fail: with 15 Rounds the same slowdown is mostly not caught."""
    assert rates(500, Shape(rounds=15), Noise()).caught < 0.8 * 500


def test_a_slowdown_is_hardly_ever_ruled_out_even_on_a_bad_machine() -> None:
    """5 % in 5 % noise: often it cannot be told, but it is not called fine."""
    found = rates(1000, Shape(rounds=20), Noise(0.05, 0.02, 0.2, 0.1))
    assert found.caught < 500
    assert _at_most(found.missed, 1000) < 0.02


def test_what_could_have_been_caught_is_caught() -> None:
    """A slowdown of the size that equal sides said they could have caught is called about as
    often as promised."""
    settings, shape, noise = Settings(), Shape(), Noise(0.02)
    values = noise.readings(np.random.default_rng(5), 400, shape)
    means = values.mean(axis=-1)
    estimates = trimmed(steady(means[..., 1] - means[..., 0], np.ptp(values, axis=-1).max(axis=-1)))
    family = shape.cells * shape.metrics
    sizes = [
        smallest(type(estimates)(mean, error, estimates.freedom), family, settings)
        for mean, error in zip(estimates.mean[:, 0], estimates.error[:, 0], strict=True)
    ]
    others = noise.readings(np.random.default_rng(6), 1500, shape)
    caught = judged(others, settings, float(np.median(sizes))).regressed[:, 0].mean()
    assert CAUGHT - 0.05 < caught < CAUGHT + 0.04


def test_rounds_are_set_aside_without_a_look_at_the_outcome() -> None:
    """Six of thirty, those whose slots of one side lie furthest apart."""
    differences = np.arange(30.0)
    discord = np.where(np.isin(differences, [0, 7, 8, 15, 28, 29]), 1.0, 0.1)
    kept = steady(differences, discord)
    assert sorted(kept.tolist()) == [n for n in range(30) if n not in (0, 7, 8, 15, 28, 29)]


def test_the_generator_makes_what_it_says() -> None:
    """sd of a slot, share of disturbed slots, drift over the run, each alone."""
    rng, shape = np.random.default_rng(3), Shape(cells=4, metrics=2, rounds=50)
    quiet = Noise(0.0, 0.0, 0.0, 0.0)
    assert not quiet.readings(rng, 3, shape).any()
    noisy = Noise(0.025, 0.0, 0.0, 0.0).readings(rng, 50, shape)
    assert noisy.shape == (50, 8, 50, 2, 2)
    assert noisy.std() == pytest.approx(0.025, rel=0.03)
    hit = Noise(0.0, 0.0, 0.0, 0.05).readings(rng, 50, shape)
    assert (hit > 0).mean() == pytest.approx(0.05, rel=0.15)
    assert math.log(1.3) <= hit[hit > 0].min() and hit.max() <= math.log(3)
    drift = Noise(0.0, 0.0, 0.1, 0.0).readings(rng, 1, shape)
    assert drift.max() - drift.min() == pytest.approx(0.1, rel=0.02)


def test_the_documentation_says_what_the_simulation_says() -> None:
    """The rows for noise as measured in docs/regression.md, within the luck of both simulations."""
    text = (ROOT / "docs" / "regression.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| as measured \| (\d+) \| (.*) \|$", text, re.MULTILINE)
    assert [int(rounds) for rounds, _ in said] == list(ROUNDS)
    tables = 500
    for rounds, cells in said:
        counts = judged_at(tables, Shape(rounds=int(rounds)), NOISES["as measured"](), seed=2)
        for count, cell in zip(counts, cells.split(" | "), strict=True):
            share = float(cell.removesuffix(" %")) / 100
            luck = math.sqrt(max(share * (1 - share), 0.003) / tables)
            assert count / tables == pytest.approx(share, abs=4 * luck)
