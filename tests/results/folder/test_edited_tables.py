"""Tables that somebody edited, or that are none: one line each, nothing hangs, no traceback."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from loopbench.results.__main__ import cli
from loopbench.results.errors import ResultsError
from loopbench.results.folder.folder import load
from loopbench.results.schema import RUNS, SUMMARY, SchemaError, read_table
from tests.results.examples import golden
from tests.results.examples.folders import put

GOOD = ",".join(RUNS.names).encode() + b"\n"

EDITED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "the file is empty"),
    "no header": (b"01.a.b,1,2,a,b,main\n", "is missing; the table is not used without it"),
    "control characters": (b"\x1b[31mred,b\n", r"'\x1b[31mred'"),
    "many columns": (b",".join([b"column"] * 100_000) + b"\n", "has 100,000 columns"),
    "a cell without an end": (GOOD + b'"' + b"x" * 200_000, "the last line has no end"),
    "latin-1": (GOOD + "é,1\n".encode("latin-1"), "is cut off, 2 cells instead of"),
}


@pytest.mark.parametrize(("data", "said"), EDITED.values(), ids=EDITED)
def test_an_edited_table_is_one_line(folder: Path, data: bytes, said: str) -> None:
    """Each fault is told once, without a control character in it."""
    (folder / RUNS.filename).write_bytes(data)
    problems = [str(problem) for problem in load(folder).problems if problem.file == "runs.csv"]
    assert any(said in problem for problem in problems), problems
    assert len(problems) <= 4
    assert all(problem.isprintable() for problem in problems)
    with pytest.raises(SchemaError) as refused:
        list(read_table(folder, RUNS))
    assert str(refused.value).isprintable()


def test_blank_lines_and_a_byte_order_mark_are_read_over(folder: Path) -> None:
    """By both readers, with every row."""
    file = folder / RUNS.filename
    lines = file.read_bytes().splitlines(keepends=True)
    rows = list(read_table(folder, RUNS))
    file.write_bytes(b"\xef\xbb\xbf\n" + b"\n\n".join(lines))
    assert list(read_table(folder, RUNS)) == rows
    assert len(load(folder).runs) == len(rows)


@pytest.mark.parametrize("name", ["runs.csv", "failures.csv"])
def test_a_pipe_in_place_of_a_table_does_not_hang(folder: Path, name: str) -> None:
    """Nobody writes into it: opening it would wait for ever."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ResultsError, match=r"cannot read .*: is no regular file"):
        load(folder)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": NaN', '"\\ud800"', "1" * 5000, "\xff"])
def test_odd_json_is_one_line(folder: Path, text: str) -> None:
    """Too deep, cut off, half a character, a number of 5,000 digits, another encoding."""
    (folder / "environment.json").write_bytes(text.encode("latin-1"))
    problems = [
        str(problem) for problem in load(folder).problems if problem.file == "environment.json"
    ]
    assert len(problems) == 1
    assert problems[0].isprintable()


def test_a_pipe_in_place_of_json_does_not_hang(folder: Path) -> None:
    """The rest is read."""
    (folder / "plan.json").unlink()
    os.mkfifo(folder / "plan.json")
    loaded = load(folder)
    assert "plan.json: cannot be read: is no regular file" in map(str, loaded.problems)
    assert loaded.runs


def test_no_cell_of_the_summary_is_a_formula(folder: Path) -> None:
    """A name that a spreadsheet would compute begins with an apostrophe, and is text."""
    rows = [
        {**row, "stack": '=HYPERLINK("http://127.0.0.1")'} if row["stack"] == "aiohttp" else row
        for row in golden.run_rows()
    ]
    put(folder, RUNS, rows)
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, "stacks": []}))
    done = CliRunner().invoke(cli, ["show", "--update", str(folder)])
    assert done.exit_code == 0, done.output
    with (folder / SUMMARY.filename).open(newline="") as handle:
        cells = [cell for row in csv.reader(handle) for cell in row]
    assert '\'=HYPERLINK("http://127.0.0.1")' in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
