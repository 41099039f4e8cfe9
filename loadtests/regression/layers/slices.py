"""Layer 3: loads of both sides in turn, both alive, in fresh processes every Round."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from loopbench.loadtests.bench.plan import PlannedRun, run_id
from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.observe.observer import Observer
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.rows.run_rows import RunResult, rows_of
from loopbench.loadtests.scenarios.table import Closed, Load, Scenario, load_to_json
from loopbench.results.schema import ROOT, WARNING_SEPARATOR, Code, Row
from loopbench.servers.contract.cases import CASES as CONTRACT
from loopbench.servers.contract.cases import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.lifecycle.process import ServerProcess, server_process
from loopbench.servers.settings import Settings
from loopbench.servers.stacks import YARDSTICKS

YARDSTICK = "yardstick"
CASES = ("async", "sync", "plain", "form")
YARDSTICK_CASES = ("async", "plain")
USERS = 32
ROUNDS = 30
"""docs/regression.md has the simulation that says why not fewer."""

SLOT_S = 0.5
SLOTS_A_SIDE = 2
LEAD_IN_S = 0.25
"""Before each slot: caches fill, and 32 users come into step."""

_DRAIN_S = 2.0
_TIMEOUT_S = 10.0
_STARTS_LOST_IN_A_ROW = 3
"""A server that does not start so often will not start."""

_FIGURES = ("throughput_rps", "cpu_us_per_request", "service_time_p50_ms", "service_time_p99_ms")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is loaded. Times in seconds.

    cells: stack and case, of both sides. yardstick: cases of the yardstick's stack.
    seed: of the order of cells and of slots.
    """

    cells: tuple[tuple[str, str], ...]
    yardstick: tuple[str, ...]
    rounds: int
    slot_s: float
    users: int
    seed: int


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


def cells(plan: Plan, sides: Sequence[Side]) -> tuple[Cell, ...]:
    """Every cell of a Round; the yardstick's come beside the sides'."""
    ruler = Entrant(YARDSTICK, ROOT, Path(sys.executable), CONTRACT)
    measured = [Cell(stack, case, entrants(sides)) for stack, case in plan.cells]
    measured += [Cell(stack, case, (ruler,)) for stack in YARDSTICKS for case in plan.yardstick]
    return tuple(measured)


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
        """One Round: the cells in an order of its own, the rows of each as it ends.

        Raises HarnessError where a server does not start again and again, and GeneratorDied.
        """
        for cell in self.shuffled(measured):
            yield self._cell(number, cell)

    def shuffled(self, measured: Sequence[Cell]) -> list[Cell]:
        """The cells in their next order."""
        return self._random.sample(measured, len(measured))

    def _cell(self, number: int, cell: Cell) -> list[Row]:
        """Start a server for each Entrant, load them in turn, stop them."""
        order = [entrant for entrant in cell.entrants for _ in range(SLOTS_A_SIDE)]
        starting = list(cell.entrants)
        self._random.shuffle(starting)
        self._random.shuffle(order)
        with ExitStack() as cleanup:
            live = {entrant.name: self._start(cleanup, cell.stack, entrant) for entrant in starting}
            taken = dict.fromkeys(live, 0)
            rows: list[Row] = []
            for entrant in order:
                taken[entrant.name] += 1
                rows.append(
                    {
                        "side": entrant.name,
                        "round": number,
                        "slot": taken[entrant.name],
                        "position": next(self._positions),
                        "stack": cell.stack,
                        "case": cell.case,
                        "users": self._plan.users,
                        **self._slot(live[entrant.name], entrant.cases[cell.case]),
                    }
                )
            return rows

    def _start(self, cleanup: ExitStack, stack: str, entrant: Entrant) -> ServerProcess | None:
        """A server that answers; None where it did not start this time."""
        key = entrant.name, stack
        try:
            server = cleanup.enter_context(
                server_process(
                    stack,
                    settings=Settings(),  # without the probe, whose beat would disturb the other
                    cpus=self._cpus.server,
                    log=self._log,
                    python=entrant.python,
                    root=entrant.root,
                )
            )
        except ServerError as error:
            self._lost[key] = self._lost.get(key, 0) + 1
            if self._lost[key] >= _STARTS_LOST_IN_A_ROW:
                raise HarnessError(f"{entrant.name}: {error}") from error
            return None
        self._lost[key] = 0
        return server

    def _slot(self, server: ServerProcess | None, case: Case) -> Row:
        """The figures of one slot; without a live server it is a slot without requests."""
        if server is None:
            return self._without_load(Code.SERVER_NOT_READY)
        if not server.alive:
            return self._without_load(Code.SERVER_DIED)
        scenario = Scenario("slot", "", (Load("main", case, Closed(self._plan.users)),))
        observer = Observer(server, probe=False)
        observer.begin()
        report = self._generator.load(
            self._command(server, scenario),
            bound_s=LEAD_IN_S + self._plan.slot_s + _DRAIN_S,
            at=observer.at,
            give_up=lambda: not server.alive,
        )
        told = _told(scenario, report, observer, server, self._cpus)
        return {
            "measured_s": report["measured_s"],
            "requests": told["requests"],
            "failures": told["failures"],
            **{name: told.get(name) for name in _FIGURES},
            "warnings": told["warnings"],
        }

    def _without_load(self, code: Code) -> Row:
        codes = WARNING_SEPARATOR.join((*self._cpus.codes, code))
        return {"measured_s": self._plan.slot_s, "requests": 0, "failures": 0, "warnings": codes}

    def _command(self, server: ServerProcess, scenario: Scenario) -> dict[str, object]:
        return {
            "host": server.host,
            "port": server.port,
            "loads": [load_to_json(load) for load in scenario.loads],
            "warmup_s": LEAD_IN_S,
            "measured_s": self._plan.slot_s,
            "drain_s": _DRAIN_S,
            "timeout_s": _TIMEOUT_S,
            "seed": self._plan.seed,
        }


def _told(
    scenario: Scenario,
    report: dict[str, object],
    observer: Observer,
    server: ServerProcess,
    cpus: CpuPlan,
) -> Row:
    """The row that a bench would write for this load."""
    codes = list(cpus.codes)
    if not server.alive:
        codes.append(Code.SERVER_DIED)
    if observer.observed.unreadable:
        codes.append(Code.SERVER_NOT_READABLE)
    planned = PlannedRun(
        run_id(1, server.stack.name, scenario.name), 1, 1, server.stack.name, scenario.name
    )
    result = RunResult(
        planned,
        scenario,
        datetime.now(UTC).isoformat(timespec="milliseconds"),
        tuple(codes),
        report=report,
        observed=observer.observed,
    )
    return rows_of(result).runs[0]
