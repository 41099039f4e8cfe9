"""Bad days of a results folder: each is told in a line, and the rest can still be used."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopbench.results.errors import ResultsError, UnknownName
from loopbench.results.folder import folder as folders
from loopbench.results.folder.folder import load
from loopbench.results.folder.tables import MOST_PROBLEMS, Problem, rows
from loopbench.results.schema import FAILURES, RUNS, locked, read_table
from tests.results.examples import golden
from tests.results.examples.folders import put, run_row
from tests.servers.processes import needs_proc

ROWS = len(list(golden.run_rows()))

Edit = Callable[[list[list[str]]], None]


def _edit(folder: Path, edit: Edit, name: str = "runs.csv") -> None:
    """Change the cells of a file; none of the golden runs.csv needs quotes."""
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    cells = [line.split(",") for line in lines]
    edit(cells)
    text = "".join(",".join(line) + "\n" for line in cells)
    (folder / name).write_text(text, encoding="utf-8")


def _set(row: int, column: str, cell: str) -> Edit:
    """Put a cell into a row, counted as a spreadsheet does."""

    def edit(cells: list[list[str]]) -> None:
        cells[row - 1][cells[0].index(column)] = cell

    return edit


def _rename(column: str, name: str) -> Edit:
    def edit(cells: list[list[str]]) -> None:
        cells[0][cells[0].index(column)] = name

    return edit


def _drop(column: str) -> Edit:
    def edit(cells: list[list[str]]) -> None:
        place = cells[0].index(column)
        for row in cells:
            del row[place]

    return edit


def _add(column: str) -> Edit:
    def edit(cells: list[list[str]]) -> None:
        for number, row in enumerate(cells):
            row.append("1" if number else column)

    return edit


@dataclass(frozen=True)
class Case:
    """What was done to runs.csv, what is said of it, and how many rows are left."""

    name: str
    edit: Edit
    said: str
    rows: int


CASES = (
    Case(
        "nonsense in a cell",
        _set(3, "throughput_rps", "fast"),
        "runs.csv, row 3, column throughput_rps: 'fast' is not a number; it counts as not measured",
        ROWS,
    ),
    Case(
        "a negative reading",
        _set(3, "throughput_rps", "-5"),
        "runs.csv, row 3, column throughput_rps: -5 is below 0; it counts as not measured",
        ROWS,
    ),
    Case(
        "no number at all",
        _set(3, "service_time_p99_ms", "nan"),
        "runs.csv, row 3, column service_time_p99_ms: 'nan' is not a finite number; "
        "it counts as not measured",
        ROWS,
    ),
    Case(
        "more digits than anything has",
        _set(3, "requests", "9" * 400),
        "runs.csv, row 3, column requests: is beyond 1e+18; it counts as not measured",
        ROWS,
    ),
    Case(
        "nonsense in the key",
        _set(4, "round", "two"),
        "runs.csv, row 4, column round: 'two' is not an integer; the row is left out",
        ROWS - 1,
    ),
    Case(
        "a blank key",
        _set(4, "stack", ""),
        "runs.csv, row 4, column stack: is blank and must not be; the row is left out",
        ROWS - 1,
    ),
    Case(
        "a truth that is none",
        _set(2, "killed", "perhaps"),
        "runs.csv, row 2, column killed: 'perhaps' is neither true nor false; "
        "it counts as not measured",
        ROWS,
    ),
    Case(
        "half a row",
        lambda cells: cells[-1].__delitem__(slice(9, None)),
        f"runs.csv, row {ROWS + 1}: is cut off, 9 cells instead of {len(RUNS.names)}; "
        "it is left out",
        ROWS - 1,
    ),
    Case(
        "a row too long",
        lambda cells: cells[1].append("1"),
        f"runs.csv, row 2: is too long, {len(RUNS.names) + 1} cells instead of "
        f"{len(RUNS.names)}; it is left out",
        ROWS - 1,
    ),
    Case(
        "a row twice",
        lambda cells: cells.append(cells[1]),
        "runs.csv: Run 01.aiohttp.async-32, load main stands there twice; the later is left out",
        ROWS,
    ),
    Case(
        "a column of a newer version",
        _add("moon"),
        "runs.csv: column moon is not known to this version (a newer one's file?); ignored",
        ROWS,
    ),
    Case(
        "a column that an older version lacked",
        _drop("rss_peak_bytes"),
        "runs.csv: column rss_peak_bytes is missing (an older version's file?); not measured",
        ROWS,
    ),
    Case(
        "a key column gone",
        _drop("stack"),
        "runs.csv, column stack: is missing; the table is not used without it",
        0,
    ),
    Case(
        "a column twice",
        _rename("position", "round"),
        "runs.csv, column round: stands there twice; the table is not used",
        0,
    ),
    Case(
        "figures that contradict each other",
        _set(2, "service_time_p50_ms", "50"),
        "runs.csv: Run 01.aiohttp.async-32, load main: service_time_p50_ms 50 is above "
        "service_time_p99_ms 2",
        ROWS,
    ),
    Case(
        "more failures than requests",
        _set(2, "failures", "3000"),
        "runs.csv: Run 01.aiohttp.async-32, load main: failures 3000 are more than requests 2000",
        ROWS,
    ),
)


def test_the_golden_folder_has_no_problem(folder: Path) -> None:
    """Otherwise the cases below would prove little."""
    found = load(folder)
    assert found.problems == ()
    assert len(found.runs) == ROWS


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_named_and_the_rest_is_read(folder: Path, case: Case) -> None:
    """File, row and column in one line; every other row is there."""
    _edit(folder, case.edit)
    found = load(folder)
    assert case.said in [str(problem) for problem in found.problems]
    assert len(found.runs) == case.rows
    assert all("\n" not in str(problem) for problem in found.problems)


def test_a_cell_that_cannot_be_read_is_not_measured(folder: Path) -> None:
    """Blank, and not zero."""
    _edit(folder, _set(2, "throughput_rps", "fast"))
    assert load(folder).runs[0].values["throughput_rps"] is None
    assert load(folder).runs[0].number("throughput_rps") is None


def test_a_bench_that_was_cut_short_says_how_far_it_came(tmp_path: Path) -> None:
    """Three Rounds of five: 36 of 60 Runs."""
    found = load(golden.write(tmp_path / "short", rounds=3))
    assert [str(problem) for problem in found.problems] == [
        "runs.csv: 36 of 60 planned Runs are here; the bench was cut short, or rows were left out"
    ]
    assert {run.round for run in found.runs} == {1, 2, 3}


@needs_proc
def test_a_bench_that_goes_on_was_not_cut_short(tmp_path: Path) -> None:
    """Who looks meanwhile is told who still writes."""
    path = golden.write(tmp_path / "short", rounds=3)
    with locked(path):
        (problem,) = load(path).problems
    assert str(problem) == (
        "runs.csv: 36 of 60 planned Runs are here; "
        f"process {os.getpid()} is writing into the folder"
    )


@pytest.mark.parametrize(("budget_s", "said"), [(45, "45 s"), (480.0, "8 min"), (100.0, "100 s")])
def test_a_bench_with_a_budget_says_that_it_may_have_ended_by_it(
    tmp_path: Path, budget_s: float, said: str
) -> None:
    """Nothing broke then: what was planned did not fit into the time."""
    short = golden.write(tmp_path / "short", rounds=3)
    plan = json.loads((short / "plan.json").read_text())
    (short / "plan.json").write_text(json.dumps({**plan, "budget_s": budget_s}))
    (problem,) = load(short).problems
    assert str(problem) == (
        "runs.csv: 36 of 60 planned Runs are here; the bench ended by its budget of "
        f"{said}, was cut short, or rows were left out"
    )


def test_a_last_line_without_its_end_is_not_believed(folder: Path) -> None:
    """Its last cell may have lost digits, even where every cell is there."""
    path = folder / "failures.csv"
    path.write_text(
        "run_id,load,reason,count,example\n01.a.b,main,late,7,x\n01.a.b,main,reset,1", "utf-8"
    )
    problems: list[Problem] = []
    assert [row["reason"] for row in rows(folder, FAILURES, problems)] == ["late"]
    assert [str(problem) for problem in problems] == [
        "failures.csv: the last line has no end, so it may be cut off; it is left out"
    ]


@pytest.mark.parametrize("name", ["runs.csv", "failures.csv", "plan.json", "environment.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    """The others are read."""
    (folder / name).unlink()
    assert f"{name}: the file is missing" in [str(problem) for problem in load(folder).problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"schema_version": 99}', "was written with schema version 99"),
        ("{}", "was written with schema version None"),
        ("[" * 100_000, "is not JSON"),
    ],
)
@pytest.mark.parametrize("name", ["plan.json", "environment.json"])
def test_a_json_file_of_no_use_is_named(folder: Path, name: str, text: str, said: str) -> None:
    """Every row is still read."""
    (folder / name).write_text(text, encoding="utf-8")
    found = load(folder)
    assert any(p.file == name and p.text.startswith(said) for p in found.problems)
    assert len(found.runs) == ROWS


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("stacks", "aiohttp"),
        ("rounds", "five"),
        ("runs", -1),
        ("runs", True),
        ("cells", "aiohttp"),
        ("cells", [["aiohttp", "async-32"], ["aiohttp"]]),
    ],
)
def test_nonsense_in_the_plan_is_ignored_by_name(folder: Path, key: str, value: object) -> None:
    """The rows do not need the plan."""
    (folder / "plan.json").write_text(json.dumps({**golden.PLAN, key: value}), encoding="utf-8")
    found = load(folder)
    assert [p.text.split()[0] for p in found.problems] == [key]
    assert len(found.runs) == ROWS


def test_a_file_from_a_spreadsheet_is_read(folder: Path) -> None:
    """A byte order mark, CRLF and blank lines are no faults."""
    path = folder / "runs.csv"
    text = path.read_text(encoding="utf-8").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    found = load(folder)
    assert found.problems == ()
    assert len(found.runs) == ROWS


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"\x00\x01\x02", b"\xff\xfe" + "run_id".encode("utf-16-le"), b'"', b"a\n" * 9],
)
def test_a_file_that_is_no_table_raises_nothing(folder: Path, data: bytes) -> None:
    """It is told of, and there are no rows."""
    (folder / "runs.csv").write_bytes(data)
    found = load(folder)
    assert found.runs == ()
    assert any(problem.file == "runs.csv" for problem in found.problems)


def test_many_faults_are_told_in_few_lines(folder: Path) -> None:
    """A column of nonsense gives a bounded list that says how many more there are."""

    def spoil(cells: list[list[str]]) -> None:
        for row in range(2, len(cells) + 1):
            _set(row, "throughput_rps", "?")(cells)

    _edit(folder, spoil)
    found = load(folder).problems
    assert len(found) == MOST_PROBLEMS + 1
    assert str(found[-1]) == f"runs.csv: {ROWS - MOST_PROBLEMS} more like these"


def test_a_table_that_is_a_folder_is_one_line(folder: Path) -> None:
    """What cannot be opened at all raises, with the path."""
    (folder / "runs.csv").unlink()
    (folder / "runs.csv").mkdir()
    with pytest.raises(ResultsError, match=r"^cannot read .*runs\.csv: Is a directory$"):
        load(folder)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of three runs, `b-new` written last, beside a `reference`."""
    for age, name in enumerate(("b-new", "a-old", "c-oldest")):
        path = golden.write(tmp_path / "runs" / name, rounds=1)
        os.utime(path / "runs.csv", (1_000_000 - age, 1_000_000 - age))
    golden.write(tmp_path / "reference", rounds=1)
    (tmp_path / "runs" / "other").mkdir()
    return tmp_path / "runs"


def test_the_newest_run_is_the_one_written_last(runs: Path) -> None:
    """By the time of the last row, not by name; folders without results do not count."""
    assert folders.names(runs) == ("b-new", "a-old", "c-oldest")
    assert folders.find(None, runs) == runs / "b-new"


def test_a_run_is_found_by_name_or_path(runs: Path) -> None:
    """A name in the folder, a sibling such as `reference`, a path, a file of it."""
    assert folders.find("a-old", runs) == runs / "a-old"
    assert folders.find("reference", runs).resolve() == runs.parent / "reference"
    assert folders.find(str(runs / "c-oldest"), runs) == runs / "c-oldest"
    assert folders.find(str(runs / "c-oldest" / "runs.csv"), runs) == runs / "c-oldest"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a-odl", r"unknown run 'a-odl'; did you mean 'a-old'\?"),
        ("zzz", r"unknown run 'zzz'; the newest is 'b-new'"),
        ("", r"unknown run ''; the newest is 'b-new'"),
        ("x" * 5000, r"unknown run 'x+'; the newest is 'b-new'"),
        ("other", r"other is no results folder: it holds none of runs\.csv, plan\.json"),
    ],
)
def test_an_unknown_run_is_answered_with_a_name(runs: Path, name: str, said: str) -> None:
    """The nearest, or the newest."""
    with pytest.raises(UnknownName, match=said):
        folders.find(name, runs)


def test_no_run_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    """In an empty project."""
    with pytest.raises(UnknownName, match="nothing has been measured yet; `make bench` does it"):
        folders.find(None, tmp_path / "runs")


def test_rows_are_read_as_the_schema_reads_them(folder: Path) -> None:
    """For a folder without faults the two readers agree, cell by cell and in type."""
    problems: list[Problem] = []
    for table in (RUNS, FAILURES):
        ours, its = list(rows(folder, table, problems)), list(read_table(folder, table))
        assert ours == its
        assert [list(map(type, row.values())) for row in ours] == [
            list(map(type, row.values())) for row in its
        ]
    assert problems == []


def test_memory_that_shrank_under_load_is_a_figure(tmp_path: Path) -> None:
    """A server may give memory back: what was written below zero is read again."""
    column = "memory_growth_bytes_per_request"
    row = run_row(1, "own", "own", load_model="closed", users=1, **{column: -3.5})
    put(tmp_path, RUNS, [row])
    assert [row[column] for row in read_table(tmp_path, RUNS)] == [-3.5]
