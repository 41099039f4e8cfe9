"""`--resume` into a folder that somebody has edited: one line, and nothing in it is touched."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.rows.results_folder import open_store, seed_of
from loopbench.results.schema import RUNS, Code
from tests.forked import Program
from tests.loadtests.bench import strange_stacks
from tests.loadtests.bench.benches import ONE_CELL, SHORT, Bench, Ended, codes, ended, one_error

WITHOUT_FIGURES = (Code.SERVER_DIED, Code.GENERATOR_DIED, Code.WORKER_LOST)
OPTIONS = (*ONE_CELL, *SHORT, "--rounds", "4")
"""A Run for each of WITHOUT_FIGURES, and one beside them."""


def resumed(folder: Path, *more: str) -> Ended:
    with Bench(folder, *OPTIONS, *more, "--resume") as bench:
        return ended(bench)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bench that has measured everything."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with Bench(folder, *OPTIONS) as bench:
        done = ended(bench)
    assert done.status == 0, done.errors
    return folder


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A change of the bytes of one file."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def write(name: str, data: bytes) -> Callable[[Path], None]:
    """Other bytes in place of a file."""
    return edit(name, lambda _: data)


def in_place(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Something else in place of a file."""

    def apply(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return apply


def first_line(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    head, _, rest = data.partition(b"\n")
    return change(head) + b"\n" + rest


def without_header(data: bytes) -> bytes:
    return data.partition(b"\n")[2]


def seed_of_a(plan: bytes, seed: str) -> bytes:
    return plan.replace(b'"seed": 7', f'"seed": {seed}'.encode())


TABLES = ("runs.csv", "histograms.csv", "observations.csv")
EDITS: dict[str, Callable[[Path], None]] = {
    **{
        f"{what} in {name}": edit(name, change)
        for name in TABLES
        for what, change in {
            "a blank line": lambda data: data.replace(b"\n", b"\n\n", 1),
            "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
            "latin-1": lambda data: data + b"caf\xe9,x\n",
            "a cell of 200 KiB": lambda data: data + b"x" * 204_800 + b",y\n",
            "no header": without_header,
            "nothing": lambda _: b"",
            "a column twice": lambda data: first_line(data, lambda head: head + b",run_id"),
            "a column less": lambda data: first_line(data, lambda head: head.rpartition(b",")[0]),
            "control characters": lambda data: first_line(
                data, lambda head: head + b",\x1b]0;owned\x07"
            ),
            "100,000 columns": lambda data: first_line(
                data, lambda head: head + b"".join(b",c%d" % n for n in range(100_000))
            ),
        }.items()
    },
    "a word in place of a number": edit(
        "runs.csv", lambda data: data.replace(b"01.asyncio.async-1,1,", b"01.asyncio.async-1,one,")
    ),
    "a row twice": edit("runs.csv", lambda data: data + data.splitlines(keepends=True)[-1]),
    "another scenario": edit("runs.csv", lambda data: data.replace(b",async-1,", b",async-7,", 1)),
    "a pipe": in_place("histograms.csv", lambda path: os.mkfifo(path)),
    "a pipe for the log": in_place("log.txt", lambda path: os.mkfifo(path)),
    "a pipe for the plan": in_place("plan.json", lambda path: os.mkfifo(path)),
    "a folder": in_place("runs.csv", lambda path: path.mkdir()),
    "a plan that is a list": write("plan.json", b"[]"),
    "a deep plan": write("plan.json", b"[" * 100_000),
    "a plan in latin-1": write("plan.json", b'{"seed": 7, "x": "\xe9"}'),
    "a seed beyond all": edit("plan.json", lambda data: seed_of_a(data, "1e999")),
    "another seed": edit("plan.json", lambda data: seed_of_a(data, "8")),
    "a plan with control characters": edit(
        "plan.json", lambda data: data.replace(b'"seed"', b'"\\u001b]0;owned": 1, "seed"', 1)
    ),
    "an environment that is a list": write("environment.json", b"[1]"),
    "half an environment": write("environment.json", b'{"stacks": {'),
}


def contents(folder: Path) -> dict[str, bytes | None]:
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def resume(folder: Path, plan: dict[str, Any]) -> None:
    """What `--resume` does with a folder before anything is started."""
    seed_of(folder)
    with open_store(folder, plan, resume=True):
        pass


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_folder_is_refused_and_stays_as_it_is(
    name: str, whole: Path, tmp_path: Path
) -> None:
    """One printable line that is not long, and every byte as before."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    plan = json.loads((folder / "plan.json").read_text())
    EDITS[name](folder)
    before = contents(folder)
    with pytest.raises(HarnessError) as refused:
        resume(folder, plan)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1000
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["a blank line in runs.csv", "a pipe", "a deep plan"])
def test_the_command_says_it_in_one_line(
    name: str, loadtests: Program, whole: Path, tmp_path: Path
) -> None:
    """Exit status 1, as a person types it."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    EDITS[name](folder)
    before = contents(folder)
    done = loadtests.run("bench", "--out", str(folder), *OPTIONS, "--resume")
    assert done.status == 1, done
    assert str(folder) in one_error(done.err)
    assert contents(folder) == before


def test_odd_stacks_in_the_environment_are_a_drift(whole: Path, tmp_path: Path) -> None:
    """What they were is not known, so that they count as changed."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    described = json.loads((folder / "environment.json").read_text())
    (folder / "environment.json").write_text(json.dumps({**described, "stacks": 3}))
    outcome = resumed(folder)
    assert outcome.status == 0, outcome.errors
    assert "changed since this folder was begun: asyncio" in outcome.errors


def test_broken_runs_are_measured_again(whole: Path, tmp_path: Path) -> None:
    """Each Run without figures in the folder is taken out, and its place filled; the rest stays."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    path = folder / RUNS.filename
    head, *lines = path.read_text().splitlines(keepends=True)
    broken = [_with(code, line) for code, line in zip(WITHOUT_FIGURES, lines, strict=False)]
    kept = lines[len(broken)]
    path.write_text("".join([head, *broken, kept]))
    outcome = resumed(folder)
    assert outcome.status == 0, outcome.errors
    assert "3 without figures: measured again" in outcome.errors
    runs = [f"{number:02}.asyncio.async-1" for number in range(1, 5)]
    assert sorted(row["run_id"] for row in outcome.rows) == runs
    assert kept in path.read_text()
    assert not any(codes(row) & set(WITHOUT_FIGURES) for row in outcome.rows)


def _with(code: Code, line: str) -> str:
    """A line of runs.csv with one Warning more."""
    place = RUNS.names.index("warnings")
    cells = line.rstrip("\n").split(",")
    cells[place] = ";".join(filter(None, (cells[place], str(code))))
    return f"{','.join(cells)}\n"


def test_a_run_that_breaks_again_is_not_forgotten(tmp_path: Path) -> None:
    """A stack that starts once only: with --resume the exit status is again 1, with the reason,
    and no Run without figures passes for one that is finished."""
    folder = tmp_path / "run"
    options = (*ONE_CELL, "--stack", "tired", "--scenario", "async-1", "--rounds", "1", *SHORT)
    variables = strange_stacks.environment(tmp_path)
    for more in ((), ("--resume",)):
        with Bench(folder, *options, *more, variables=variables) as bench:
            outcome = ended(bench)
        assert outcome.status == 1
        assert one_error(outcome.errors).endswith("its last line: too tired")


def test_saves_that_differ_stay_and_are_said_again(whole: Path, tmp_path: Path) -> None:
    """They are a result, which measuring again would hide: the row stays, the status is 1."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    path = folder / RUNS.filename
    head, first, *others = path.read_text().splitlines(keepends=True)
    cells = first.rstrip("\n").split(",")
    cells[RUNS.names.index("warnings")] = str(Code.SAVES_DIFFER)
    path.write_text("".join([head, f"{','.join(cells)}\n", *others]))
    before = path.read_bytes()
    outcome = resumed(folder)
    assert outcome.status == 1
    assert one_error(outcome.errors).endswith("01.asyncio.async-1 did not keep its saves")
    assert path.read_bytes() == before
