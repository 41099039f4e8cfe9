"""Stalls of a folder, as the terminal and the report tell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.results import schema
from loopbench.results.folder.folder import load
from loopbench.results.schema import Row
from loopbench.results.stats import stalls
from loopbench.results.terminal import brief
from tests.results import folders, report_folder
from tests.results.reports import made, table


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


def test_the_terminal_has_a_line_a_cell(folder: Path) -> None:
    """The Cell with the longest stall first: how many, how long, where and why."""
    assert stalls.lines(load(folder)) == (
        (
            "aiohttp in async-32: 2 stalls, 80.0 ms in all; the longest 60.0 ms\n"
            "at a.py:9 nap: a call waited: sleep, file, socket, name look-up or lock"
        ),
        ("quart-hypercorn in async-32: 1 stall, 30.0 ms in all; the longest 30.0 ms: of-tomorrow"),
    )


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
    assert stalls.lines(loaded) == ()
    assert loaded.problems == ()


def test_the_short_table_names_three_cells() -> None:
    """Those with the longest stalls, which come first; the long table has all."""
    lines = tuple(f"cell {number}" for number in range(5))
    assert brief._held(lines) == ("cell 0", "cell 1", "cell 2", "and 2 more Cells: show --wide")
    assert brief._held(lines[:3]) == lines[:3]


def test_a_cell_takes_two_lines_of_a_terminal_at_most(tmp_path: Path) -> None:
    """However long the path, whose end is kept, and whatever the cause; no control character of
    theirs reaches the terminal."""
    long = "deep/" * 40 + "er.py"
    written = report_folder.write(tmp_path / "held")
    rows = [
        row("01.aiohttp.async-32", 20.0, cause, file=long, line=3, function="f\x1b[1m\n")
        for cause in schema.Cause
    ]
    for one in rows:
        folders.put(written, schema.STALLS, [one])
        (line,) = stalls.lines(load(written))
        first, second = line.split("\n")
        assert first == "aiohttp in async-32: 1 stall, 20.0 ms in all; the longest 20.0 ms"
        assert second.startswith("at …")
        assert "/er.py:3 f [1m : " in second
        assert len(second) == 98
