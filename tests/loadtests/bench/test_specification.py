"""What a bench does by its plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.bench.specification import Bench
from loopbench.loadtests.distributed.fleet import Fleet
from loopbench.loadtests.hosts.server_location import Place
from loopbench.loadtests.scenarios.custom.scenarios import Own
from loopbench.loadtests.scenarios.table import SCENARIOS
from loopbench.results.schema.warnings import Code, wording
from loopbench.servers.stacks import STACKS

PLAN = Bench(
    stacks=("aiohttp",),
    scenarios=("cliff-4",),
    rounds=1,
    warmup_s=1.0,
    measured_s=1.0,
    seed=1,
    folder=Path("run"),
    resume=False,
    probe=True,
    command=(),
)


@pytest.mark.parametrize(
    ("plan", "kept"),
    [
        (PLAN, True),
        (replace(PLAN, awake=False), False),
        (replace(PLAN, fleet=Fleet(2)), True),
        (replace(PLAN, fleet=Fleet(2, remote=True)), False),
        (replace(PLAN, place=Place(("ssh", "there"), "192.0.2.1")), False),
    ],
)
def test_cpus_are_kept_awake_where_all_of_a_bench_is_here(plan: Bench, kept: bool) -> None:
    """Those of another host would sleep; the plan says it where nobody wished it."""
    assert plan.keeps_awake == kept
    assert plan.to_json().get("awake", True) == plan.awake


def test_a_run_of_an_application_that_starts_slowly_is_expected_to_last() -> None:
    """As long as its start, first requests and stop have taken, which is known by then."""
    scenarios = {"cliff-4": SCENARIOS["cliff-4"]}
    plans = [
        replace(PLAN, own=Own({"aiohttp": STACKS["aiohttp"]}, scenarios, {}, around_s=around_s))
        for around_s in (1.0, 21.0)
    ]
    assert plans[1].expected_s() == plans[0].expected_s() + 20.0


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (replace(PLAN, own=Own({}, {}, {})), "for stacks of the suite"),
        (replace(PLAN, fleet=Fleet(2)), "that one generator loads"),
        (replace(PLAN, budget_s=60.0), "--rounds and without a budget"),
    ],
)
def test_the_remedy_of_probe_share_helps_wherever_it_is_told(plan: Bench, words: str) -> None:
    """Without the probe, always; while it rests, only where a bench lets it rest, which the words
    say of each kind that does not."""
    remedy = wording(Code.PROBE_SHARE).do
    assert remedy.startswith("measure with --no-probe; ")
    assert words in remedy
    assert PLAN.rests and not plan.rests
