"""Two runs compared: what can be told, and why something cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, Value
from loopbench.results.stats.comparisons.compare import (
    Comparison,
    Verdict,
    compare,
    word_for,
)
from loopbench.results.stats.summaries.summary import summarise
from tests.results.examples import golden
from tests.results.examples.folders import put

CELL = ("aiohttp", "async-32", "main")
METRIC = "cpu_us_per_request"


def compared(one: Path, other: Path) -> Comparison:
    """The comparison of METRIC in CELL."""
    folders = load(one), load(other)
    before, after = map(summarise, folders)
    (found,) = (
        comparison
        for comparison in compare(folders[0], before, folders[1], after)
        if (comparison.cell, comparison.metric) == (CELL, METRIC)
    )
    return found


def edited(path: Path, value: Value, *, rounds: int | None = None) -> Path:
    """The golden folder with another METRIC in CELL, and no more Rounds of it than these."""
    other = golden.write(path)
    rows = list(golden.run_rows())
    ours = [row for row in rows if (row["stack"], row["scenario"], row["load"]) == CELL]
    kept = [{**row, METRIC: value} for row in ours[:rounds]]
    put(other, RUNS, [*(row for row in rows if row not in ours), *kept])
    return other


def test_what_one_run_lacks_cannot_be_told(folder: Path, tmp_path: Path) -> None:
    """The figure of the other is there, and the reason says which run has it."""
    other = edited(tmp_path / "other", None)
    ahead, back = compared(folder, other), compared(other, folder)
    assert (ahead.before is None, ahead.after) == (False, None)
    assert (ahead.reason, back.reason) == ("only the first has it", "only the second has it")
    for one in (ahead, back):
        assert (one.ratio, one.interval, one.verdict) == (None, None, Verdict.CANNOT_TELL)


@pytest.mark.parametrize(
    ("value", "rounds", "reason"),
    [(0.0, None, "a zero has no ratio"), (30.0, 2, "too few Rounds: 5 and 2, 3 needed")],
)
def test_what_has_no_interval_says_why(
    folder: Path, tmp_path: Path, value: float, rounds: int | None, reason: str
) -> None:
    """A figure of zero, which has no ratio, and too few Rounds."""
    found = compared(folder, edited(tmp_path / "other", value, rounds=rounds))
    assert (found.reason, found.interval) == (reason, None)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.after == value


def test_what_shrank_is_no_zero(tmp_path: Path) -> None:
    """Memory that a process gave back, over a growth."""
    runs = []
    for name, growth in (("one", 12.0), ("other", -12.0)):
        path = golden.write(tmp_path / name)
        column = {"memory_growth_bytes_per_request": growth}
        put(path, RUNS, [{**row, **column} for row in golden.run_rows()])
        runs.append(load(path))
    first, second = runs
    (found,) = (
        one
        for one in compare(first, summarise(first), second, summarise(second), every=True)
        if (one.cell, one.metric) == (CELL, "memory_growth_bytes_per_request")
    )
    assert (found.verdict, found.reason) == (
        Verdict.CANNOT_TELL,
        "a figure below zero has no ratio",
    )


@pytest.mark.parametrize(
    ("metric", "rise", "fall"),
    [
        ("throughput_rps", Verdict.FASTER, Verdict.SLOWER),
        ("response_time_p99_ms", Verdict.SLOWER, Verdict.FASTER),
        ("cpu_us_per_request", Verdict.MORE, Verdict.LESS),
        ("database_cpu_s", Verdict.MORE, Verdict.LESS),
        ("redis_cpu_s", Verdict.MORE, Verdict.LESS),
        ("gc_pause_total_ms", Verdict.MORE, Verdict.LESS),
        ("task_oldest_ms", Verdict.MORE, Verdict.LESS),
        ("instructions a request", Verdict.MORE, Verdict.LESS),
    ],
)
def test_what_a_window_has_more_of_is_not_slower(metric: str, rise: Verdict, fall: Verdict) -> None:
    """A server that answers more has more of its database's CPU time, and of the collector's."""
    assert (word_for(metric, 1.5), word_for(metric, 0.5)) == (rise, fall)
