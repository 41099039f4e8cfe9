"""Which Block comes when, and which Slice within it. Pure: a plan follows from its arguments."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from loopbench.loadtests.rows.planned_run import PlannedRun, run_id


@dataclass(frozen=True, slots=True)
class PlannedBlock:
    """One Scenario in one Round, with a Run of each Stack. runs: in the order of their start."""

    round: int
    scenario: str
    runs: tuple[PlannedRun, ...]


def plan_blocks(
    cells: Sequence[tuple[str, str]], rounds: int, seed: int
) -> tuple[PlannedBlock, ...]:
    """Every Scenario once a Round, with all its Stacks, each Round shuffled anew from `seed`.

    Shuffling keeps drift of the machine (heat, neighbours, caches) from falling on the same
    Scenario every time; the Stacks of a Scenario stay together, so that it falls on all of them.
    """
    positions = count(1)
    blocks = []
    for number in range(1, rounds + 1):
        scenarios = list(dict.fromkeys(scenario for _, scenario in cells))
        random.Random(f"{seed}/{number}").shuffle(scenarios)
        blocks += [plan_block(cells, scenario, number, seed, positions) for scenario in scenarios]
    return tuple(blocks)


def plan_block(
    cells: Sequence[tuple[str, str]],
    scenario: str,
    number: int,
    seed: int,
    positions: Iterator[int],
) -> PlannedBlock:
    """One Scenario in Round `number`; its Stacks in an order that is drawn from the seed.

    positions: gives the place of each Run in the order of the whole bench.
    """
    stacks = [stack for stack, of in cells if of == scenario]
    random.Random(f"{seed}/{number}/{scenario}").shuffle(stacks)
    runs = (
        PlannedRun(run_id(number, stack, scenario), number, next(positions), stack, scenario)
        for stack in stacks
    )
    return PlannedBlock(number, scenario, tuple(runs))


def turns(names: Sequence[str], seed: str) -> Iterator[tuple[str, ...]]:
    """Orders of the names, without end: one for each Turn of a Block.

    Within a set of Turns (as many as there are names, twice as many where their number is odd)
    each name stands equally often at each place, and directly behind each other name: a Latin
    square balanced for carry-over. Sets are drawn anew. Source: E. J. Williams, "Experimental
    designs balanced for the estimation of residual effects of treatments", Australian Journal of
    Scientific Research A2 (1949) 149-168.
    """
    generator = random.Random(seed)
    size = len(names)
    zigzag = [((place + 1) // 2 if place % 2 else -place // 2) % size for place in range(size)]
    while True:
        labels = generator.sample(list(names), size)
        rows = [tuple(labels[(place + shift) % size] for place in zigzag) for shift in range(size)]
        if size % 2:
            rows += [row[::-1] for row in rows]
        generator.shuffle(rows)
        yield from rows


MOST_ROUNDS = 1000


def arrivals_seed(seed: int, round_number: int) -> int:
    """The seed of a Round's arrivals: another one for each Round of each plan.

    Drawn anew, so that the intervals over Rounds hold the luck of the arrivals
    too; the same for every stack, since stacks are compared within a Round.
    """
    return seed * (MOST_ROUNDS + 1) + round_number
