"""The order of the Runs: complete, shuffled, and the same again from the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise, product

import pytest

from loopbench.loadtests.bench.plan import MOST_ROUNDS, arrivals_seed, plan_blocks, turns
from loopbench.loadtests.rows.planned_run import run_id
from tests.loadtests.bench.benches import plan_runs

CELLS = tuple(product(("one", "two", "three"), ("a", "b", "c", "d")))


def test_every_cell_comes_once_a_round() -> None:
    """No Cell is left out or measured twice, in any Round."""
    runs = plan_runs(CELLS, 5, seed=11)
    cells = Counter((run.round, run.stack, run.scenario) for run in runs)
    assert cells == Counter((number, *cell) for number in range(1, 6) for cell in CELLS)


def test_rounds_follow_each_other_and_positions_count_from_one() -> None:
    """A Round ends before the next begins, and a position is the place in the whole plan."""
    runs = plan_runs(CELLS, 3, seed=11)
    assert [run.position for run in runs] == list(range(1, 37))
    assert [run.round for run in runs] == [1] * 12 + [2] * 12 + [3] * 12


def test_a_seed_fixes_the_order() -> None:
    """The same arguments give the same plan; another seed gives another order of the same Runs."""
    plan = plan_runs(CELLS, 2, seed=11)
    assert plan == plan_runs(CELLS, 2, seed=11)
    other = plan_runs(CELLS, 2, seed=12)
    assert [run.run_id for run in other] != [run.run_id for run in plan]
    assert {run.run_id for run in other} == {run.run_id for run in plan}


def test_each_round_is_shuffled_anew() -> None:
    """Rounds do not repeat the first one's order."""
    runs = plan_runs(CELLS, 10, seed=4)
    orders = {
        tuple((run.stack, run.scenario) for run in runs if run.round == number)
        for number in range(1, 11)
    }
    assert len(orders) == 10


def test_more_rounds_do_not_change_the_first_ones() -> None:
    """A plan of ten Rounds begins as the plan of two does."""
    assert plan_runs(CELLS, 10, seed=3)[:24] == plan_runs(CELLS, 2, seed=3)


def test_no_scenario_and_no_stack_is_favoured_by_the_shuffle() -> None:
    """Over many Rounds every Scenario's Block comes first about equally often, and in it every
    Stack."""
    blocks = plan_blocks(CELLS, 1200, seed=5)
    first = Counter(block.scenario for block in blocks[::4])
    started = Counter(block.runs[0].stack for block in blocks)
    # 300 and 1,600 expected of each, with standard deviations of 15 and 33.
    assert len(first) == 4
    assert all(240 < count < 360 for count in first.values())
    assert len(started) == 3
    assert all(1468 < count < 1732 for count in started.values())


def test_the_stacks_of_a_scenario_stay_together() -> None:
    """A Block has every Stack of its Scenario once, also where some Stacks leave it out."""
    cells = [cell for cell in CELLS if cell != ("two", "b")]
    for block in plan_blocks(cells, 3, seed=2):
        assert {run.scenario for run in block.runs} == {block.scenario}
        assert {run.round for run in block.runs} == {block.round}
        stacks = sorted(run.stack for run in block.runs)
        assert stacks == sorted(stack for stack, of in cells if of == block.scenario)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 14])
def test_turns_are_balanced(size: int) -> None:
    """In a set of Turns each Stack stands equally often at each place, and directly behind each
    other one; in each Turn it comes once."""
    names = [f"stack {number}" for number in range(size)]
    rows = size if size % 2 == 0 else 2 * size
    for number in range(3):
        orders = list(islice(turns(names, f"{number}"), 2 * rows))
        assert all(sorted(order) == sorted(names) for order in orders)
        for part in (orders[:rows], orders[rows:]):
            places = Counter((place, name) for order in part for place, name in enumerate(order))
            assert set(places.values()) == {rows // size}
            assert len(places) == size * size
            behind = Counter(pair for order in part for pair in pairwise(order))
            assert len(behind) == size * (size - 1)
            assert set(behind.values()) <= {rows // size}


def test_turns_follow_from_their_seed() -> None:
    """The same seed gives the same Turns; another one gives others."""
    names = ["one", "two", "three", "four"]
    assert list(islice(turns(names, "1"), 20)) == list(islice(turns(names, "1"), 20))
    assert list(islice(turns(names, "1"), 20)) != list(islice(turns(names, "2"), 20))


def test_run_ids_name_round_stack_and_scenario() -> None:
    """A Run's key is readable, sorts by Round, and is unique in its plan."""
    assert run_id(3, "aiohttp", "async-32") == "03.aiohttp.async-32"
    runs = plan_runs(CELLS, 4, seed=1)
    assert len({run.run_id for run in runs}) == len(runs)
    for run in runs:
        assert run.run_id == run_id(run.round, run.stack, run.scenario)


def test_nothing_to_measure_is_an_empty_plan() -> None:
    """Without Cells there is no Run."""
    assert plan_runs((), 3, seed=1) == ()


def test_the_cells_themselves_are_left_alone() -> None:
    """Shuffling works on a copy."""
    cells = list(CELLS)
    plan_runs(cells, 3, seed=1)
    assert tuple(cells) == CELLS


def test_every_round_of_every_plan_has_arrivals_of_its_own() -> None:
    """No two of them share a seed, up to the last Round that can be asked for."""
    seeds = [
        arrivals_seed(seed, number) for seed in range(50) for number in range(1, MOST_ROUNDS + 1)
    ]
    assert len(set(seeds)) == len(seeds)
