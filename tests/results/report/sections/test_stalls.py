"""Stalls of a folder, as the terminal and the report tell them."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from loopbench.results import schema
from loopbench.results.folder.folder import load
from loopbench.results.report.markdown import render
from loopbench.results.schema import Row
from loopbench.results.terminal import stalls
from tests.results.examples import folders, report_folder
from tests.results.report.reports import made, table


def row(run_id: str, duration_ms: float, cause: str, **more: str | int) -> Row:
    """A row of stalls.csv."""
    known: Row = {"run_id": run_id, "pid": 7, "started_s": 1.5, "duration_ms": duration_ms}
    return {**known, "cause": cause, "detail": "seen", **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stalls of two Cells, of a cause that is not known yet, and of a Run that is not there."""
    written = report_folder.write(tmp_path / "held")
    folders.put(
        written,
        schema.STALLS,
        [
            row("01.aiohttp.async-32", 20.0, "python", file="a.py", line=3, function="add"),
            row("02.aiohttp.async-32", 60.0, "blocking-call", file="a.py", line=9, function="nap"),
            row("01.quart-hypercorn.async-32", 30.0, "of-tomorrow"),
            row("01.unheard-of.async-32", 900.0, "python"),
        ],
    )
    return written


def shown(path: Path, width: int = 100, most: int = stalls.MOST, more: str = "") -> list[str]:
    """What the terminal prints of a folder's stalls, without the blank line before it."""
    console = Console(width=width, highlight=False, markup=False)
    with console.capture() as capture:
        stalls.show(console, stalls.of_folder(load(path)), most, more)
    return [line.rstrip() for line in capture.get().splitlines()[1:]]


def test_the_terminal_has_a_line_a_cell(folder: Path) -> None:
    """The Cell with the longest stall first: how many, how long that one, and its cause and line,
    which stand beside it, since the others may have another."""
    assert shown(folder) == [
        "Who held the loop         stalls  longest  its cause",
        "aiohttp async-32               2  60.0 ms  a call waited: a.py:9 nap",
        "quart-hypercorn async-32       1  30.0 ms  of-tomorrow",
    ]


def test_where_nobody_saw_the_longest_the_longest_with_a_line_is_named(folder: Path) -> None:
    """With its length, since it is another one."""
    folders.put(
        folder,
        schema.STALLS,
        [
            row("01.aiohttp.async-32", 70.0, "unknown"),
            row("01.aiohttp.async-32", 65.0, "no-cpu"),
            row("01.aiohttp.async-32", 60.0, "blocking-call", file="a.py", line=9, function="nap"),
            row("01.quart-hypercorn.async-32", 30.0, "unknown"),
        ],
    )
    told, untold = shown(folder, width=120)[1:]
    assert told.endswith("3  70.0 ms  cannot be told; of one of 60.0 ms: a call waited: a.py:9 nap")
    assert untold.endswith("1  30.0 ms  cannot be told")


def test_a_loop_that_was_away_all_the_time_is_named_first(folder: Path) -> None:
    """Its stretch began before the window or ended after it, and has no row in stalls.csv."""
    runs = [
        {**run, "measured_s": 1.0, "loop_longest_stretch_ms": 1076.0}
        if run["run_id"] == "02.aiohttp.async-32"
        else run
        for run in report_folder.run_rows()
    ]
    folders.put(folder, schema.RUNS, runs)
    _, first, second, *_ = shown(folder, width=120)
    assert first == f"aiohttp async-32               –  1,080 ms  {stalls.WHOLE}"
    assert second == "aiohttp async-32               2   60.0 ms  a call waited: a.py:9 nap"
    said = (
        "a loop returned to no other request on aiohttp in async-32 (1,080 ms). Such a stretch has "
        "no row in"
    )
    assert said in render(made(folder))
    (folder / schema.STALLS.filename).unlink()
    assert said in render(made(folder))


def test_the_report_has_the_longest_and_the_sum_by_cause(folder: Path) -> None:
    """Both tables, the longest and the most costly first; each cause in words."""
    report = made(folder)
    longest = table(report, "The longest 3 of 3 stalls")
    assert [cells[-1] for cells in longest.rows] == ["60.0", "30.0", "20.0"]
    by_cause = table(report, "All stalls by cause")
    assert [tuple(cells) for cells in by_cause.rows] == [
        ("a call waited: sleep, file, socket, name look-up or lock", "seen", "1", "60.0", "60.0"),
        ("of-tomorrow", "seen", "1", "30.0", "30.0"),
        ("Python code on the loop computed", "seen", "1", "20.0", "20.0"),
    ]


def test_the_sum_by_cause_says_what_is_known_of_most(folder: Path) -> None:
    """Without the figures of a single stall, and of how many it is known."""
    details = ("computed for 7.9 of 8 ms; late", "computed for 9 of 9.1 ms; late", "never seen")
    rows = [{**row("01.aiohttp.async-32", 8.0, "unknown"), "detail": text} for text in details]
    folders.put(folder, schema.STALLS, rows)
    (told,) = table(made(folder), "All stalls by cause").rows
    assert told[1:] == ("computed for … of … ms; late (2 of 3)", "3", "24.0", "8.00")


def test_a_folder_from_before_has_no_stalls(folder: Path) -> None:
    """That is no problem of the folder's."""
    (folder / schema.STALLS.filename).unlink()
    loaded = load(folder)
    assert stalls.of_folder(loaded) == ()
    assert loaded.problems == ()


def test_the_short_table_names_some_cells(folder: Path) -> None:
    """Those with the longest stalls, and how many more there are; the long table has all."""
    assert [line.split()[0] for line in shown(folder, most=1, more="there")[1:]] == [
        "aiohttp",
        "and",
    ]
    assert shown(folder, most=1, more="there")[-1] == "and 1 more Cell: there"
    assert len(shown(folder, most=2, more="there")) == 3


@pytest.mark.parametrize("cause", schema.Cause)
def test_a_cell_takes_one_line_of_a_terminal(tmp_path: Path, cause: schema.Cause) -> None:
    """However deep the folder of the file, and whatever the cause: the file's own name is kept,
    and no control character of it reaches the terminal."""
    written = report_folder.write(tmp_path / "held")
    more: dict[str, str | int] = {"file": "deep/" * 40 + "er.py", "line": 3, "function": "f\x1b[1m"}
    folders.put(written, schema.STALLS, [row("01.quart-hypercorn.idle-1000", 200.0, cause, **more)])
    _, line = shown(written)
    assert line.startswith("quart-hypercorn idle-1000       1   200 ms  ")
    assert line.endswith(": er.py:3 f [1m") is (cause in schema.CAUSES_OF_A_LINE)
    assert ("er.py" in line) is (cause in schema.CAUSES_OF_A_LINE)


def test_a_narrow_terminal_loses_nothing(folder: Path) -> None:
    """What does not fit goes on in the next line."""
    words = " ".join(shown(folder, width=40)).split()
    assert {"a.py:9", "nap", "of-tomorrow"} <= set(words)
