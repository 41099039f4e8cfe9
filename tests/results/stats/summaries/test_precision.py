"""Which ratios decide how long a bench goes on."""

from __future__ import annotations

from pathlib import Path

from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS
from loopbench.results.stats import formatting
from loopbench.results.stats.summaries.precision import widths
from loopbench.results.stats.summaries.summary import summarise


def test_the_yardstick_decides_nothing_beside_other_stacks(folder: Path) -> None:
    """Of the golden folder's three stacks, one is the reference and one the yardstick."""
    assert {width.stack for width in widths(folder)} == {"quart-hypercorn"}


def test_the_yardstick_decides_where_there_is_no_other(folder: Path) -> None:
    """Whoever measures a server beside it alone asks for that ratio."""
    rows = (folder / RUNS.filename).read_text().splitlines(keepends=True)
    (folder / RUNS.filename).write_text("".join(row for row in rows if "quart" not in row))
    assert {width.stack for width in widths(folder)} == {"asyncio"}


def test_the_reach_is_what_the_table_prints(folder: Path) -> None:
    """So that whoever asks for 4 % is shown 4 % or less."""
    found = {(one.scenario, one.metric): one for one in widths(folder)}
    cell = ("quart-hypercorn", "async-32", "main")
    summary = summarise(load(folder)).get(cell, "throughput_rps")
    assert summary is not None
    assert summary.ratio is not None
    reach = found["async-32", "throughput_rps"].reach
    assert formatting.ratio(summary.ratio).endswith(f"±{reach:.1%}")


def test_an_interval_of_few_rounds_decides_nothing(folder: Path) -> None:
    """With five Rounds it does; of open loops CPU time alone."""
    found = {(one.scenario, one.metric): one for one in widths(folder)}
    assert found["async-32", "throughput_rps"].reach is not None
    assert found["async-32", "throughput_rps"].closed
    assert ("open-low", "throughput_rps") not in found
    rows = (folder / RUNS.filename).read_text().splitlines(keepends=True)
    kept = [row for row in rows if not row.startswith(("04.", "05."))]
    (folder / RUNS.filename).write_text("".join(kept))
    assert {one.reach for one in widths(folder)} == {None}
