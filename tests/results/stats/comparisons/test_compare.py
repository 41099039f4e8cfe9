"""Two runs compared: what can be told, and why something cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loopbench.results.folder.folder import load
from loopbench.results.schema import PLAN_FILE, RUNS, Row, Value
from loopbench.results.stats.comparisons.compare import (
    Comparison,
    Verdict,
    compare,
    differences,
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


def with_cells(path: Path, cells: Row, rounds: int = golden.ROUNDS) -> Path:
    """The golden folder with other cells in the first Rounds of CELL."""
    other = golden.write(path)
    put(
        other,
        RUNS,
        [
            {**row, **cells}
            if (row["stack"], row["scenario"], row["load"]) == CELL
            and row["round"] in range(rounds + 1)
            else row
            for row in golden.run_rows()
        ],
    )
    return other


@pytest.mark.parametrize(
    ("cells", "what", "before", "after"),
    [
        ({"users": 64}, "async-32.users", "32", "64"),
        ({"think_s": 0.5}, "async-32.think_s", "none", "0.5"),
        ({"load_model": "open"}, "async-32.load_model", "closed", "open"),
    ],
)
def test_loads_of_one_name_that_differ_are_told(
    folder: Path, tmp_path: Path, cells: Row, what: str, before: str, after: str
) -> None:
    """A load that a person edited between two runs is another load, and keeps its name. The other
    stacks of that scenario were offered the same."""
    other = load(with_cells(tmp_path / "other", cells))
    (found,) = differences(load(folder), other)
    assert (found.what, found.before) == (what, before)
    assert set(found.after.split(" or ") if found.after else ()) == {before, after}
    assert differences(other, other) == ()


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("processes", 2, "1", "2"),
        ("manager", "own", "children", "own"),
        ("workers", 3, "none", "3"),
        ("server_host", "10.0.0.2", "none", "10.0.0.2"),
    ],
)
def test_what_a_plan_says_only_where_it_is_not_usual_is_known(
    folder: Path, tmp_path: Path, key: str, value: Value, before: str, after: str
) -> None:
    """Several load workers, or a server on another host, are other conditions."""
    other = golden.write(tmp_path / "other")
    file = other / PLAN_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    (found,) = differences(load(folder), load(other))
    assert (found.what, found.before, found.after) == (f"plan.{key}", before, after)


def test_bytes_of_an_answer_that_one_folder_does_not_know_are_no_difference(
    folder: Path, tmp_path: Path
) -> None:
    """An older folder has no column of them."""
    other = load(with_cells(tmp_path / "other", {"answer_body_bytes": 10}))
    assert differences(load(folder), other) == ()
    longer = load(with_cells(tmp_path / "longer", {"answer_body_bytes": 2000}))
    assert [found.what for found in differences(other, longer)] == ["async-32.answer_body_bytes"]


def test_a_verdict_names_the_failures_of_what_it_is_about(folder: Path, tmp_path: Path) -> None:
    """Figures are those of right answers: a stack that fails fast may look fast."""
    other = with_cells(tmp_path / "other", {"warnings": "failures;machine-busy", METRIC: 10.0})
    there, back = compared(folder, other), compared(other, folder)
    assert (there.verdict, there.reason) == (Verdict.LESS, "")
    assert there.remarks == "failures in the second"
    assert back.remarks == "failures in the first"
    assert compared(other, other).remarks == "failures in the first and second"
    assert compared(folder, folder).remarks == ""


def test_zeros_in_every_round_are_the_same(tmp_path: Path) -> None:
    """Nothing lost on either occasion can be told; nothing against something has no ratio."""
    zeros = with_cells(tmp_path / "zeros", {METRIC: 0.0})
    found = compared(zeros, zeros)
    assert (found.verdict, found.reason, found.ratio) == (Verdict.SAME, "", None)
    some = with_cells(tmp_path / "some", {METRIC: 0.0}, 4)
    assert compared(zeros, some).reason == "a zero has no ratio"
    few = edited(tmp_path / "few", 0.0, rounds=2)
    assert compared(zeros, few).reason == "too few Rounds: 5 and 2, 3 needed"


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
