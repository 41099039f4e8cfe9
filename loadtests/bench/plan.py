"""Which Run comes when. Pure: a plan is a function of its arguments."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One Cell in one Round. `round` and `position` count from 1."""

    run_id: str
    round: int
    position: int
    stack: str
    scenario: str


def run_id(round_number: int, stack: str, scenario: str) -> str:
    """The key of a Run in every table of a results folder."""
    return f"{round_number:02d}.{stack}.{scenario}"


def plan_runs(cells: Sequence[tuple[str, str]], rounds: int, seed: int) -> tuple[PlannedRun, ...]:
    """Every Cell (stack, scenario) once a Round, each Round shuffled anew from `seed`.

    Shuffling keeps drift of the machine (heat, neighbours, caches) from
    falling on the same Cell every time.
    """
    generator = random.Random(seed)
    runs: list[PlannedRun] = []
    for number in range(1, rounds + 1):
        shuffled = list(cells)
        generator.shuffle(shuffled)
        for stack, scenario in shuffled:
            runs.append(
                PlannedRun(run_id(number, stack, scenario), number, len(runs) + 1, stack, scenario)
            )
    return tuple(runs)


MOST_ROUNDS = 1000


def arrivals_seed(seed: int, round_number: int) -> int:
    """The seed of a Round's arrivals: another one for each Round of each plan.

    Drawn anew, so that the intervals over Rounds hold the luck of the arrivals
    too; the same for every stack, since stacks are compared within a Round.
    """
    return seed * (MOST_ROUNDS + 1) + round_number
