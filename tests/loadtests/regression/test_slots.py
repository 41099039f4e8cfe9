"""Slots are taken in turn from live servers of both sides, and a server that is lost is told."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from loopbench.loadtests.distributed.generator_process import Generator
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import CpuPlan
from loopbench.loadtests.regression.layers import slices
from loopbench.loadtests.regression.sides.sides import Role, Side, look
from loopbench.results.schema import SLOTS, Row, TableWriter
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


def test_a_round_has_two_slots_a_side_and_two_of_the_yardstick(
    generator: Generator, tmp_path: Path
) -> None:
    """Rows fit the schema, count up in the order of the load, and hold what was measured."""
    plan = _plan(("aiohttp", "async"), yardstick=("async",))
    by_cell = _round(plan, _sides(), generator, tmp_path)
    rows = [row for rows in by_cell for row in rows]
    assert Counter(str(row["side"]) for row in rows) == {
        "base": 2,
        "candidate": 2,
        "yardstick": 2,
    }
    assert [row["position"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {(row["side"], row["slot"]) for row in rows} == {
        (side, slot) for side in ("base", "candidate", "yardstick") for slot in (1, 2)
    }
    for row in rows:
        assert row["failures"] == 0
        assert int(row["requests"] or 0) > 0
        for name in ("throughput_rps", "cpu_us_per_request", "service_time_p50_ms"):
            assert float(row[name] or 0) > 0
    with TableWriter(tmp_path, SLOTS) as writer:
        writer.append(rows)


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
    """Its slots say so and hold no figures; the other side's are as ever."""
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
    """Twice it may be chance, and the slots are empty; the third time the side is given up."""
    plan = _plan(("aiohttp", "async"))
    sides = _sides(ROOT)
    broken = edited(tmp_path, UNSTARTABLE)
    entrants = (slices.Entrant("base", broken, sides[0].python, sides[0].cases),)
    loads = slices.Slots(plan, generator, UNPINNED, tmp_path / "log")
    cell = slices.Cell("aiohttp", "async", entrants)
    for number in (1, 2):
        (rows,) = loads.round(number, [cell])
        assert [(row["requests"], row["warnings"]) for row in rows] == [(0, "server-not-ready")] * 2
    with pytest.raises(HarnessError, match=r"^base: .*this tree is broken"):
        list(loads.round(3, [cell]))
