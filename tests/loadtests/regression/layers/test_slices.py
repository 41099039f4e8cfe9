"""Slots are taken in turn from live servers of both sides, and a server that is lost is told."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.regression.layers import slices
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema import SLOTS, Row, TableWriter
from loopbench.results.schema.regression import TIME_TURNS
from tests.conftest import ROOT
from tests.loadtests.regression.trees import CRASHING, STACKS, UNSTARTABLE, edited

UNPINNED = CpuPlan(None, None, ())


def _plan(*cells: tuple[str, str], yardstick: tuple[str, ...] = ()) -> slices.Plan:
    return slices.Plan(cells=cells, yardstick=yardstick, rounds=1, slice_s=0.05, users=4, seed=3)


def _sides(candidate: Path = ROOT) -> list[Side]:
    python = Path(sys.executable)
    return [
        look(Role.BASE, "x", ROOT, python, STACKS),
        look(Role.CANDIDATE, "y", candidate, python, STACKS),
    ]


def _round(
    plan: slices.Plan, sides: list[Side], generator: Generator, folder: Path
) -> list[list[Row]]:
    loads = slices.Slots(plan, generator, UNPINNED, folder / "log")
    return list(loads.round(1, slices.cells(plan, sides)))


def test_a_round_has_a_row_a_slice_of_each_side_and_of_the_yardstick(
    generator: Generator, tmp_path: Path
) -> None:
    """Rows fit the schema, count up in the order of the load, and hold what was measured."""
    plan = _plan(("aiohttp", "async"), yardstick=("async",))
    by_cell = _round(plan, _sides(), generator, tmp_path)
    rows = [row for rows in by_cell for row in rows]
    assert Counter((str(row["side"]), row["slot"]) for row in rows) == {
        (side, turn): 1
        for side in ("base", "candidate", "yardstick")
        for turn in range(1, TIME_TURNS + 1)
    }
    assert [row["position"] for row in rows] == list(range(1, 3 * TIME_TURNS + 1))
    assert {row["short_work_us"] for row in rows} == {None}  # on no CPU of their own
    for row in rows:
        assert row["failures"] == 0
        assert int(row["requests"] or 0) > 0
        for name in ("throughput_rps", "cpu_us_per_request", "service_time_p50_ms"):
            assert float(row[name] or 0) > 0
    with TableWriter(tmp_path, SLOTS) as writer:
        writer.append(rows)


def test_the_yardstick_is_loaded_in_every_fourth_round_beside_two_sides() -> None:
    """In every Round beside one, which is compared by it."""
    plan, sides = _plan(("aiohttp", "async"), yardstick=("async",)), _sides()
    for compared, loaded in ((sides, [1, 5, 9]), (sides[:1], list(range(1, 10)))):
        stacks = {n: [c.stack for c in slices.cells(plan, compared, n)] for n in range(1, 10)}
        assert [number for number, names in stacks.items() if "asyncio" in names] == loaded
        assert all(names[0] == "aiohttp" for names in stacks.values())


@pytest.mark.parametrize(
    ("budget_s", "round_s", "measured"),
    [(None, 100.0, 24), (285.0, 10.0, 24), (285.0, 14.0, 20), (285.0, 100.0, 12)],
)
def test_rounds_end_within_the_budget(
    budget_s: float | None, round_s: float, measured: int
) -> None:
    """None is begun that would end later, as long as those before took; twelve are measured however
    long they take."""
    plan = replace(_plan(), rounds=24, budget_s=budget_s)
    instants, seen = [0.0], []
    for number in slices.numbers(plan, lambda: instants[-1]):
        seen.append(number)
        instants.append(instants[-1] + round_s)
    assert seen == list(range(1, measured + 1))


def test_more_cells_have_more_time() -> None:
    """As much a cell; fewer have all of it."""
    cells = [(stack, case) for stack in ("a", "b", "c", "d") for case in slices.CASES]
    budgets = [slices.budget_s(cells[:size]) for size in (4, 8, 16)]
    assert budgets == [slices.BUDGET_S, slices.BUDGET_S, 2 * slices.BUDGET_S]


def test_the_order_follows_the_seed_and_differs_between_rounds(
    generator: Generator, tmp_path: Path
) -> None:
    """The same seed gives the same orders, one after another."""
    plan = _plan(*(("aiohttp", case) for case in slices.CASES))
    measured = slices.cells(plan, _sides()[:1])
    first, second = (
        [loads.shuffled(measured) for _ in range(3)]
        for loads in (slices.Slots(plan, generator, UNPINNED, tmp_path / "log") for _ in range(2))
    )
    assert first == second
    assert first[0] != first[1] or first[1] != first[2]
    assert all(sorted(order, key=measured.index) == list(measured) for order in first)


def test_a_server_that_crashes_under_load(generator: Generator, tmp_path: Path) -> None:
    """Its rows say so and hold no figures; the other side's are as ever."""
    sides = _sides(edited(tmp_path, CRASHING))
    (rows,) = _round(_plan(("aiohttp", "async")), sides, generator, tmp_path)
    for row in rows:
        died = row["side"] == "candidate"
        assert ("server-died" in str(row["warnings"])) is died
        assert (row.get("throughput_rps") is None) is died
        assert (row.get("cpu_us_per_request") is None) is died
    with TableWriter(tmp_path, SLOTS) as writer:
        writer.append(rows)


def test_a_server_that_never_starts(generator: Generator, tmp_path: Path) -> None:
    """Twice it may be chance, and its rows are empty; the third time the side is given up."""
    plan = _plan(("aiohttp", "async"))
    sides = _sides(ROOT)
    broken = edited(tmp_path, UNSTARTABLE)
    entrants = (slices.Entrant("base", broken, sides[0].python, sides[0].cases),)
    loads = slices.Slots(plan, generator, UNPINNED, tmp_path / "log")
    cell = slices.Cell("aiohttp", "async", entrants)
    for number in (1, 2):
        (rows,) = loads.round(number, [cell])
        told = [(row["requests"], row["warnings"]) for row in rows]
        assert told == [(0, "server-not-ready")] * TIME_TURNS
    with pytest.raises(HarnessError, match=r"^base: .*this tree is broken"):
        list(loads.round(3, [cell]))
