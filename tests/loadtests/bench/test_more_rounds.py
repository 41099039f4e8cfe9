"""A bench that goes on after its plan: until the ratios are as tight as asked for."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from loopbench.loadtests.bench.plan import plan_block
from loopbench.loadtests.bench.precision import unsettled
from loopbench.results.stats.intervals.blocks import LEAST_SEQUENTIAL_BLOCKS
from loopbench.results.stats.summaries.precision import widths
from tests.loadtests.bench.benches import SHORT, Bench, ended

STACKS = ("aiohttp", "asyncio")
SCENARIO = "async-1"
CELLS = [part for stack in STACKS for part in ("--stack", stack)] + ["--scenario", SCENARIO]


def test_rounds_are_added_until_every_ratio_is_known_well_enough(tmp_path: Path) -> None:
    """Of one Round there is no interval: more are measured, each of all stacks in the order that
    the seed gives, and none of them again where the same bench is resumed."""
    goal = 0.9
    asked = (*CELLS, *SHORT, "--rounds", "1", "--precision", f"{goal:.0%}")
    with Bench(tmp_path / "run", *asked) as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    known = widths(bench.folder)
    assert len(known) > 1
    for one in known:
        assert one.reach is not None and one.reach <= goal
        assert one.n >= LEAST_SEQUENTIAL_BLOCKS

    cells, positions = [(stack, SCENARIO) for stack in STACKS], count(1)
    planned = [
        (run.run_id, run.position)
        for number in range(1, len(done.rows) // len(STACKS) + 1)
        for run in plan_block(cells, SCENARIO, number, 7, positions).runs
    ]
    assert [(row["run_id"], row["position"]) for row in done.rows] == planned

    with Bench(tmp_path / "run", *asked, "--resume") as again:
        resumed = ended(again)
    assert resumed.status == 0, resumed.errors
    assert resumed.rows == done.rows


def test_a_ratio_that_the_time_was_too_short_for_has_a_line(tmp_path: Path) -> None:
    """However many Rounds there was time for."""
    asked = (*CELLS, *SHORT, "--rounds", "1", "--precision", "0.1%", "--budget", "5s")
    with Bench(tmp_path / "run", *asked) as bench:
        done = ended(bench)
    expected = unsettled(widths(bench.folder), 0.001, {}) if done.rows else []
    said = re.sub(r", needs about \d+ s more", "", done.errors)
    for line in expected:
        assert line in said
    assert said.count("has no interval yet") + said.count(" only\n") == len(expected)
