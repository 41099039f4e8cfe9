"""The results folder: whole rows, resumed folders, and disks that do not take them."""

from __future__ import annotations

import json
import os
import pwd
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import cannot_write, new_folder, open_store, seed_of
from loopbench.loadtests.rows.run_rows import Row, RunRows
from loopbench.results.schema import (
    FAILURES,
    HISTOGRAMS,
    PLAN_FILE,
    RUNS,
    RUNS_FOLDER,
    SCHEMA_VERSION,
    TABLES,
    Table,
    read_table,
)

PLAN: dict[str, Any] = {
    "stacks": ["aiohttp", "asyncio"],
    "scenarios": ["single", "double"],
    "cells": [[a, b] for a in ("aiohttp", "asyncio") for b in ("single", "double")],
    "rounds": 2,
    "seed": 99,
    "rows_per_run": {"single": 1, "double": 2},
}


def rows(run_id: str, loads: tuple[str, ...] = ("main",), buckets: int = 3) -> RunRows:
    """The rows of a small Run: one in runs and in failures a load, some in histograms."""
    number, stack, scenario = run_id.split(".")
    base: list[Row] = [{"run_id": run_id, "load": load} for load in loads]
    rest: dict[str, Any] = {
        name: () for name in RunRows.__slots__ if name not in ("runs", "histograms", "failures")
    }
    return RunRows(
        runs=tuple(
            {
                **one,
                "round": int(number),
                "position": 1,
                "stack": stack,
                "scenario": scenario,
                "started_at": "2024-05-06T07:08:09+00:00",
                "load_model": "closed",
                "users": 1,
                "throughput_rps": 1234.5,
            }
            for one in base
        ),
        histograms=tuple(
            {**one, "quantity": "service_time", "upper_us": 100 + step, "count": step + 1}
            for one in base
            for step in range(buckets)
        ),
        failures=tuple(
            {**one, "reason": "ECONNRESET", "count": 2, "example": 'after 1 ms, "quoted",\nsplit'}
            for one in base
        ),
        **rest,
    )


def run_ids(folder: Path, table: Table) -> list[str]:
    """The Runs that a table holds, each once, in order."""
    return list(dict.fromkeys(str(row["run_id"]) for row in read_table(folder, table)))


def test_rows_are_on_disk_as_soon_as_they_are_added(tmp_path: Path) -> None:
    """Another process can read each Run's rows while the store is still open."""
    folder = tmp_path / "deep" / "run"
    with open_store(folder, PLAN, resume=False) as store:
        assert store.finished == frozenset()
        for added, run_id in enumerate(("01.aiohttp.single", "01.asyncio.single"), start=1):
            store.add(rows(run_id))
            assert len(list(read_table(folder, RUNS))) == added
            assert len(list(read_table(folder, HISTOGRAMS))) == 3 * added
            assert len(list(read_table(folder, FAILURES))) == added
    for table in TABLES:
        assert (folder / table.filename).read_bytes().endswith(b"\n")
    (failure, _) = read_table(folder, FAILURES)
    assert failure["example"] == 'after 1 ms, "quoted",\nsplit'


def test_the_plan_is_kept_with_its_version(tmp_path: Path) -> None:
    """plan.json holds all that a resumed bench must agree with, the seed among it."""
    with open_store(tmp_path / "run", PLAN, resume=False):
        pass
    kept = json.loads((tmp_path / "run" / PLAN_FILE).read_text())
    assert kept == {"schema_version": SCHEMA_VERSION, **PLAN}
    assert seed_of(tmp_path / "run") == 99


def test_a_folder_that_holds_a_run_is_not_written_to(tmp_path: Path) -> None:
    """Without --resume it is refused, and nothing in it changes."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
    before = contents(tmp_path)
    with pytest.raises(HarnessError, match=r"holds a run already.*--resume.*--out"):
        with open_store(tmp_path, PLAN, resume=False):
            pass
    assert contents(tmp_path) == before


def test_a_resumed_folder_knows_what_is_finished(tmp_path: Path) -> None:
    """Finished Runs are named, kept, and new ones are added behind them."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
        store.add(rows("01.asyncio.double", ("one", "two")))
    before = contents(tmp_path)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == {"01.aiohttp.single", "01.asyncio.double"}
        assert contents(tmp_path) == before
        store.add(rows("02.aiohttp.single"))
    expected = ["01.aiohttp.single", "01.asyncio.double", "02.aiohttp.single"]
    assert [run_ids(tmp_path, table) for table in (RUNS, HISTOGRAMS, FAILURES)] == [expected] * 3


@pytest.mark.parametrize(
    "changed", [{"seed": 98}, {"rounds": 3}, {"stacks": ["aiohttp"]}, {"warmup_s": 0.1}]
)
def test_another_plan_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    """A folder is resumed with the options that it was begun with; the line names the one."""
    with open_store(tmp_path, PLAN, resume=False):
        pass
    (name,) = changed
    with pytest.raises(HarnessError, match=rf"begun otherwise \({name}\):"):
        with open_store(tmp_path, {**PLAN, **changed}, resume=True):
            pass


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"stacks": ["aiohttp"]}', '{"seed": "x"}']
)
def test_a_plan_that_says_nothing_is_one_line(tmp_path: Path, text: str) -> None:
    """A broken plan.json cannot be resumed, and is not taken for an empty one."""
    (tmp_path / PLAN_FILE).write_text(text)
    with pytest.raises(HarnessError, match="plan"):
        seed_of(tmp_path)
    with pytest.raises(HarnessError):
        with open_store(tmp_path, PLAN, resume=True):
            pass
    assert (tmp_path / PLAN_FILE).read_text() == text


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    """The seed of a folder without a plan is not made up."""
    with pytest.raises(HarnessError, match="holds no plan; there is nothing to resume"):
        seed_of(tmp_path)


def torn(path: Path, left: int) -> None:
    """Cut a file in the middle of its last line."""
    data = path.read_bytes()
    last = data.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(data[: last + left])


@pytest.mark.parametrize("left", [1, 5, 40])
def test_a_torn_last_row_is_taken_out(tmp_path: Path, left: int) -> None:
    """A Run whose row was being written when the harness was killed is measured again: its row,
    its histograms and its failures go; the Runs before it stay."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
        store.add(rows("01.asyncio.single"))
    torn(tmp_path / RUNS.filename, left)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == {"01.aiohttp.single"}
    for table in (RUNS, HISTOGRAMS, FAILURES):
        assert run_ids(tmp_path, table) == ["01.aiohttp.single"]


def test_a_torn_row_whose_line_looks_whole_is_not_believed(tmp_path: Path) -> None:
    """Only the end of the line makes a row: without it even all the cells do not count."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
    path = tmp_path / RUNS.filename
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == frozenset()
        assert list(read_table(tmp_path, RUNS)) == []


@pytest.mark.parametrize("table", [HISTOGRAMS, FAILURES])
def test_rows_of_an_unfinished_run_are_taken_out(tmp_path: Path, table: Table) -> None:
    """Histograms and failures that no row of runs.csv stands for are removed, a half one too."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
        store.add(rows("01.asyncio.single"))
    path = tmp_path / RUNS.filename
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    torn(tmp_path / table.filename, 7)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == {"01.aiohttp.single"}
        store.add(rows("01.asyncio.single"))
    for each in (RUNS, HISTOGRAMS, FAILURES):
        assert run_ids(tmp_path, each) == ["01.aiohttp.single", "01.asyncio.single"]
    assert len(list(read_table(tmp_path, HISTOGRAMS))) == 6


def test_a_run_with_one_of_its_two_rows_is_unfinished(tmp_path: Path) -> None:
    """A scenario of two loads needs two rows; with one of them the Run is measured again."""
    with open_store(tmp_path, PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))
        store.add(rows("01.asyncio.double", ("one", "two")))
    torn(tmp_path / RUNS.filename, 9)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == {"01.aiohttp.single"}
    assert run_ids(tmp_path, HISTOGRAMS) == ["01.aiohttp.single"]


@pytest.mark.parametrize("table", [RUNS, HISTOGRAMS])
def test_a_header_that_was_never_finished_is_written_again(tmp_path: Path, table: Table) -> None:
    """Killed while the first line was being written: the folder is as good as empty."""
    with open_store(tmp_path, PLAN, resume=False):
        pass
    os.truncate(tmp_path / table.filename, 10)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == frozenset()
        store.add(rows("01.aiohttp.single"))
    assert run_ids(tmp_path, table) == ["01.aiohttp.single"]


def test_a_table_of_another_version_is_not_resumed(tmp_path: Path) -> None:
    """A column that nobody knows stops the resuming with one line that names it."""
    with open_store(tmp_path, PLAN, resume=False):
        pass
    path = tmp_path / RUNS.filename
    path.write_text(path.read_text().replace("throughput_rps", "speed"))
    with pytest.raises(HarnessError, match=r"cannot resume: .*runs\.csv: unknown column speed"):
        with open_store(tmp_path, PLAN, resume=True):
            pass


def test_new_folders_do_not_collide() -> None:
    """Two benches that begin in the same second have folders of their own, which sort by time."""
    folders = {new_folder() for _ in range(20)}
    assert len(folders) == 20
    assert {folder.parent for folder in folders} == {RUNS_FOLDER}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def add_until_refused(folder: Path) -> tuple[list[str], str]:
    """Add Runs until the disk refuses one; returns those that were taken, and the line."""
    taken: list[str] = []
    with open_store(folder, PLAN, resume=False) as store:
        for number in range(1, 1000):
            try:
                store.add(rows(f"{number:03d}.aiohttp.single", buckets=40))
            except HarnessError as error:
                return taken, str(error)
            taken.append(f"{number:03d}.aiohttp.single")
    raise AssertionError("the disk took everything")


def expect_cut_back(folder: Path, taken: list[str], line: str) -> None:
    """What was taken is whole, what was refused has left no half row, and the line helps."""
    assert taken
    assert "\n" not in line
    assert "what was written before is kept" in line
    assert f"--out {folder} --resume" in line
    assert run_ids(folder, RUNS) == taken
    for table in (HISTOGRAMS, FAILURES):
        # The refused Run may be in the tables that were still taken: whole, and only it.
        rest = [run_id for run_id in run_ids(folder, table) if run_id not in taken]
        assert len(rest) <= 1
        assert (folder / table.filename).read_bytes().endswith(b"\n")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`: the write that would do so is cut short,
    and the next one fails (setrlimit(2); Python ignores the signal)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [6_000, 6_007, 20_011])
def test_a_file_that_may_not_grow_is_cut_back(tmp_path: Path, size: int) -> None:
    """The row that did not fit is not there by half, and the folder can be resumed."""
    with file_size_limit(size):
        taken, line = add_until_refused(tmp_path)
    assert "File too large" in line
    expect_cut_back(tmp_path, taken, line)
    with open_store(tmp_path, PLAN, resume=True) as store:
        assert store.finished == set(taken)
    assert run_ids(tmp_path, HISTOGRAMS) == taken


def test_a_full_disk_is_one_line_and_keeps_whole_rows(small_disk: Path) -> None:
    """The disk is full for real; with space again, the bench goes on where it stopped."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 24_576)
    taken, line = add_until_refused(small_disk / "run")
    assert "No space left on device" in line
    expect_cut_back(small_disk / "run", taken, line)
    ballast.unlink()
    with open_store(small_disk / "run", PLAN, resume=True) as store:
        assert store.finished == set(taken)
        store.add(rows("999.aiohttp.single"))
    assert run_ids(small_disk / "run", RUNS) == [*taken, "999.aiohttp.single"]


def test_a_disk_that_is_full_from_the_start_does_not_block_the_folder(small_disk: Path) -> None:
    """No half plan stays behind: with space again, the same command works."""
    ballast = small_disk / "ballast"
    (small_disk / "run").mkdir()
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(HarnessError, match=f"cannot write {small_disk / 'run'}: No space left"):
        with open_store(small_disk / "run", PLAN, resume=False):
            pass
    assert list((small_disk / "run").iterdir()) == []
    ballast.unlink()
    with open_store(small_disk / "run", PLAN, resume=False) as store:
        store.add(rows("01.aiohttp.single"))


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    """A file in the way is named, with what to do."""
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "run"
    with pytest.raises(HarnessError, match=rf"cannot write {folder}: Not a directory; .*--out"):
        with open_store(folder, PLAN, resume=False):
            pass


@contextmanager
def _as_an_ordinary_user() -> Iterator[None]:
    """Root may write everywhere, so be nobody for a moment."""
    ours = os.geteuid()
    if ours == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(ours)


def test_a_place_without_the_right_to_write_is_one_line() -> None:
    """No permission is named, with what to do."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with pytest.raises(HarnessError, match=r"Permission denied; .*--out"):
            with _as_an_ordinary_user(), open_store(folder / "run", PLAN, resume=False):
                pass
        folder.chmod(0o700)


def test_a_fault_of_something_else_is_not_blamed_on_the_disk(tmp_path: Path) -> None:
    """An OSError while the store is open passes through as it is."""
    with pytest.raises(ConnectionResetError):
        with open_store(tmp_path, PLAN, resume=False):
            raise ConnectionResetError


def test_the_line_names_the_file_and_the_folder(tmp_path: Path) -> None:
    """Cause, file, and the command's options to go on with."""
    line = str(cannot_write(tmp_path, "runs.csv", OSError(28, "No space left on device")))
    assert f"cannot write {tmp_path / 'runs.csv'}: No space left on device" in line
    assert f"--out {tmp_path} --resume" in line
