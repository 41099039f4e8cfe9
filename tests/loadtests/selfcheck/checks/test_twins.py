"""Intervals of stacks that are equal, whose Slices were measured for real."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping

import pytest

from loopbench.loadtests.selfcheck.checks.twins import SCENARIO, TWIN, judge
from loopbench.results.regression.simulate import NOISE
from loopbench.results.schema import SLOTS, Row, read_table
from loopbench.results.schema.tables.slices import SHORT_WORK
from loopbench.results.stats.intervals.slices import block_estimates
from loopbench.servers.stacks import CORE

METRICS = ("throughput_rps", "cpu_us_per_request")


@pytest.fixture(scope="module")
def twins() -> Mapping[str, tuple[Row, ...]]:
    """Equal sides of the regression check's layer of times, on a Xeon that changed its speed: by
    the names that the check gives a stack and its twin."""
    found: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in read_table(NOISE, SLOTS):
        block = f"{row['round']}-{row['case']}"
        twin = TWIN if row["side"] == "candidate" else ""
        found[block, str(row["stack"]), twin].append({**row, "turn": row["slot"]})
    return {
        f"{block}.{stack}{twin}.{SCENARIO}": tuple(rows)
        for (block, stack, twin), rows in found.items()
        if stack in CORE
    }


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_of_equal_stacks_contain_one(
    twins: Mapping[str, tuple[Row, ...]], metric: str
) -> None:
    """Of 256 Blocks: in 93 to 97 of 100 sets of five, and the mean is within 0.5 % of 1."""
    assert len(twins) == 2 * 256
    assert [verdict for verdict in judge(twins, metric) if not verdict.met] == []


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("stack", CORE)
def test_blocks_differ_less_where_the_short_work_tells_the_speed(
    twins: Mapping[str, tuple[Row, ...]], metric: str, stack: str
) -> None:
    """By a third at least, on either stack."""
    pairs = [
        (twins[run_id.replace(f".{stack}.", f".{stack}{TWIN}.")], rows)
        for run_id, rows in twins.items()
        if f".{stack}." in run_id
    ]
    untold = [
        tuple(tuple({**row, SHORT_WORK.name: None} for row in rows) for rows in pair)
        for pair in pairs
    ]
    freed, plain = (
        statistics.stdev(one.value for one in block_estimates(of, metric) if one is not None)
        for of in (pairs, [(run, reference) for run, reference in untold])
    )
    assert freed < plain * 2 / 3
