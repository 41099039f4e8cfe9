"""Layer 3: loads of both sides in Slices, both alive, in fresh processes every Round.

It is `loadtests.bench.loads.block` with two sides in place of stacks. A stack's cases are loaded
one after another in the same processes, since most of a short Block is the start of its servers.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from loopbench.loadtests.bench.loads.block import BlockPlan, Contender, load_in_turn, start_all
from loopbench.loadtests.bench.loads.block import Entrant as Loaded
from loopbench.loadtests.bench.plan import MOST_ROUNDS
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.rows.planned_run import PlannedRun, run_id
from loopbench.loadtests.rows.run_result import Slice
from loopbench.loadtests.rows.run_rows import rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Scenario
from loopbench.results.schema import ROOT, Row
from loopbench.results.schema.regression import SLOTS, TIME_TURNS
from loopbench.servers.contract.cases import CASES as CONTRACT
from loopbench.servers.contract.http import Case
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import CORE, YARDSTICKS

YARDSTICK = "yardstick"
CASES = ("async", "sync", "plain", "form")
YARDSTICK_CASES = ("async", "plain")
USERS = 32
SLICE_S = 0.1
YARDSTICK_EVERY = 4
"""Beside two sides the yardstick only says what the generator can do, which so many Rounds share. A
side that stands alone is compared by it, and has it in every Round."""

LEAD_IN_S = 0.05
"""Before the first Slice of each case: caches fill, and 32 users come into step."""

LEAST_ROUNDS = 12
"""With fewer no slowdown of some per cent is told, so that these are measured however long they
take."""

BUDGET_S = 285.0
"""Of the cells of the two core stacks, and of fewer; more cells have as much each."""

_STARTS_LOST_IN_A_ROW = 3
"""A server that does not start so often will not start."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is loaded. Times in seconds.

    cells: stack and case, of both sides. yardstick: cases of the yardstick's stack.
    seed: of the order of cells and of slots. rounds: at most. budget_s: no Round is begun that
    would end later, but for the LEAST_ROUNDS; None: all are measured.
    """

    cells: tuple[tuple[str, str], ...]
    yardstick: tuple[str, ...]
    rounds: int
    slice_s: float
    users: int
    seed: int
    budget_s: float | None = None


@dataclass(frozen=True, slots=True)
class Entrant:
    """What takes part in a cell: a side, or the yardstick, which is this tree's."""

    name: str
    root: Path
    python: Path
    cases: Mapping[str, Case]


def entrants(sides: Sequence[Side]) -> tuple[Entrant, ...]:
    """The sides as Entrants."""
    return tuple(Entrant(str(side.role), side.root, side.python, side.cases) for side in sides)


@dataclass(frozen=True, slots=True)
class Cell:
    """Slots of the same load on the same stack, of one Entrant or of two."""

    stack: str
    case: str
    entrants: tuple[Entrant, ...]


def cells(plan: Plan, sides: Sequence[Side], number: int = 1) -> tuple[Cell, ...]:
    """Every cell of a Round; the yardstick's come beside the sides', see YARDSTICK_EVERY."""
    measured = [Cell(stack, case, entrants(sides)) for stack, case in plan.cells]
    if len(sides) == 1 or number % YARDSTICK_EVERY == 1:
        ruler = Entrant(YARDSTICK, ROOT, Path(sys.executable), CONTRACT)
        measured += [Cell(stack, case, (ruler,)) for stack in YARDSTICKS for case in plan.yardstick]
    return tuple(measured)


def budget_s(cells: Sequence[tuple[str, str]]) -> float:
    """How long so many cells may take."""
    return BUDGET_S * max(1.0, len(cells) / (len(CORE) * len(CASES)))


def numbers(plan: Plan, clock: Callable[[], float] = time.monotonic) -> Iterator[int]:
    """The Rounds that are to be measured, as far as the budget allows by what those before took."""
    began = clock()
    for number in range(1, plan.rounds + 1):
        done = number - 1
        if plan.budget_s is not None and done >= LEAST_ROUNDS:
            taken_s = clock() - began
            if taken_s * number / done > plan.budget_s:
                return
        yield number


class Slots:
    """The slots of a check under way."""

    def __init__(self, plan: Plan, generator: Generator, cpus: CpuPlan, log: Path) -> None:
        self._plan = plan
        self._generator = generator
        self._cpus = cpus
        self._log = log
        self._random = random.Random(plan.seed)
        self._positions = count(1)
        self._lost: dict[tuple[str, str], int] = {}

    def round(self, number: int, measured: Sequence[Cell]) -> Iterator[list[Row]]:
        """One Round: the stacks in an order of its own, and the cases of each; the rows of a cell
        as it ends.

        Raises HarnessError where a server does not start again and again, and GeneratorDied.
        """
        stacks = list(dict.fromkeys(cell.stack for cell in measured))
        for stack in self.shuffled(stacks):
            yield from self._stack(number, [cell for cell in measured if cell.stack == stack])

    def shuffled(self, of: Sequence[Any]) -> list[Any]:
        """Stacks or cells in their next order."""
        return self._random.sample(of, len(of))

    def _stack(self, number: int, cells: Sequence[Cell]) -> Iterator[list[Row]]:
        """Start a server for each Entrant of a stack, load them with each case, stop them."""
        stack, sides = cells[0].stack, self.shuffled(cells[0].entrants)
        order = self.shuffled(cells)
        contenders = [
            Contender(
                _planned(number, side.name, stack),
                _scenario(side.cases[order[0].case], self._plan.users),
                partial(self._server, stack, side),
            )
            for side in sides
        ]
        block = BlockPlan(
            slice_s=self._plan.slice_s,
            warmup_s=LEAD_IN_S,
            turns=TIME_TURNS,
            seed=self._plan.seed * MOST_ROUNDS + number,
            cpus=self._cpus,
        )
        with ExitStack() as cleanup:
            live = start_all(contenders, block, cleanup)
            for entrant, side in zip(live, sides, strict=True):
                self._count_lost(entrant, side.name, stack)
            for place, cell in enumerate(order):
                if place:
                    for entrant, side in zip(live, sides, strict=True):
                        case = _scenario(side.cases[cell.case], self._plan.users)
                        entrant.go_on(_planned(number, side.name, cell.case), case)
                load_in_turn(live, self._generator, block)
                yield [row for entrant in live for row in self._rows(number, cell, entrant)]

    def _server(self, stack: str, side: Entrant) -> AbstractContextManager[ServerProcess]:
        return server_process(
            stack,
            settings=Settings(),  # without the probe, which trees from before cannot pause
            cpus=self._cpus.server,
            log=self._log,
            python=side.python,
            root=side.root,
        )

    def _count_lost(self, entrant: Loaded, name: str, stack: str) -> None:
        """Raises HarnessError for a server that has not started several times in a row."""
        key = name, stack
        if entrant.server is not None:
            self._lost[key] = 0
            return
        self._lost[key] = self._lost.get(key, 0) + 1
        if self._lost[key] >= _STARTS_LOST_IN_A_ROW:
            raise HarnessError(f"{name}: {entrant.result.cause}")

    def _rows(self, number: int, cell: Cell, entrant: Loaded) -> Iterator[Row]:
        """A row a Turn of a side; without figures where the server took no part in it."""
        by_turn = {run_slice.turn: run_slice for run_slice in entrant.slices}
        warnings = rows_of(entrant.result).runs[0]["warnings"]
        for turn in range(1, TIME_TURNS + 1):
            yield {
                "side": entrant.planned.stack,
                "round": number,
                "slot": turn,
                "position": next(self._positions),
                "stack": cell.stack,
                "case": cell.case,
                "users": self._plan.users,
                **_figures(by_turn.get(turn)),
                "warnings": warnings,
            }


def _figures(run_slice: Slice | None) -> Row:
    if run_slice is None:
        return {"measured_s": 0.0, "requests": 0, "failures": 0}
    made = run_slice.result
    return SLOTS.row_of(
        made,
        measured_s=made.seconds,
        throughput_rps=made.requests / made.seconds or None,
        cpu_us_per_request=run_slice.cpu_us_per_request,
    )


def _planned(number: int, side: str, scenario: str) -> PlannedRun:
    return PlannedRun(run_id(number, side, scenario), number, 1, side, scenario)


def _scenario(case: Case, users: int) -> Scenario:
    settings = Settings(probe=False)
    return Scenario("slot", "", (Load("main", case, Closed(users)),), settings=settings)
