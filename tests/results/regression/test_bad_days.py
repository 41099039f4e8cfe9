"""Bad days of the check: nothing that cannot be judged may look like a verdict."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopbench.results.regression import evidence
from loopbench.results.schema import SLOTS
from tests.conftest import ROOT
from tests.results.regression.conftest import Judge
from tests.results.regression.tables import Plan, apart, only, put_in

Folder = Callable[..., Path]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--alpha", "5 percent"), "'5 percent' is no percentage between 0 and 100"),
        (("--alpha", "0"), "'0' is no percentage between 0 and 100"),
        (("--nope",), "No such option"),
        (("--floor", "5", "--ruled-out", "4"), "--floor has to be less than --ruled-out"),
    ],
)
def test_wrong_usage_is_no_verdict(
    folder: Folder, judge: Judge, options: tuple[str, ...], error: str
) -> None:
    """Exit 3 and one line: 2 would say that the check cannot tell."""
    said = judge(folder(), *options)
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("error: ") and error in said.err
    assert said.err.count("\n") == 1


def test_a_reader_that_leaves_changes_no_verdict(folder: Folder) -> None:
    """`| head` may close the pipe: a regression stays one, without a traceback."""
    path = folder(Plan(fact=only(put_in(value="500"), side="candidate", fact="status")))
    child = subprocess.Popen(
        [sys.executable, "-m", "results", "regression", str(path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    with child.stderr:
        assert child.stderr.read() == ""
    assert child.wait() == 1


def test_an_error_of_the_check_is_no_regression(
    folder: Folder, judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback would end with 1; this is 3."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(evidence, "read", broken)
    said = judge(folder())
    assert said.status == 3
    assert said.err.endswith("error: this is an error of the check itself\n")


def _json(change: Callable[[dict[str, object]], object]) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        file = path / "sides.json"
        found = json.loads(file.read_text())
        change(found)
        file.write_text(json.dumps(found))

    return apply


def _line(file: str, number: int, old: str, new: str) -> Callable[[Path], object]:
    def apply(path: Path) -> None:
        lines = (path / file).read_text().splitlines(keepends=True)
        assert old in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(old, new, 1)
        (path / file).write_text("".join(lines))

    return apply


def _folder_in_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda path: (path / "sides.json").unlink(), "it has no sides.json"),
        (lambda path: _folder_in_place(path / "sides.json"), "sides.json: Is a directory"),
        (lambda path: (path / "sides.json").write_text("{"), "sides.json is not JSON"),
        (lambda path: (path / "sides.json").write_text("[]"), "the file is no JSON object"),
        (_json(lambda found: found.update(schema_version=2)), "was written with schema version 2"),
        (_json(lambda found: found.update(sides={})), "it has none"),
        (_json(lambda found: found["sides"].update(other={"name": "x"})), "sides are base and"),  # type: ignore[attr-defined]
        (_json(lambda found: found["sides"].update(base={})), "a side has no name"),  # type: ignore[attr-defined]
        (_json(lambda found: found["layers"].update(more={})), "unknown layer more"),  # type: ignore[attr-defined]
        (_json(lambda found: found["layers"].update(time={})), "a layer needs `run`"),  # type: ignore[attr-defined]
        (lambda path: (path / "facts.csv").unlink(), "facts.csv: the file is missing"),
        (lambda path: (path / "slots.csv").write_text(""), "slots.csv: the file is empty"),
        (lambda path: (path / "slots.csv").write_text("a,b\n"), "slots.csv: unknown column a, b"),
        (lambda path: (path / "slots.csv").write_bytes(b"\xff\xfe"), "slots.csv is not a CSV file"),
        (
            lambda path: (path / "slots.csv").write_text(",".join(SLOTS.names) + "\n"),
            "slots.csv holds no row of the base",
        ),
        (_line("slots.csv", 2, "base", "bsae"), "slots.csv, row 2, column side: 'bsae' is none"),
        (_line("slots.csv", 3, "base,1,2", "base,1,1"), "slots.csv, row 3: the same as row 2"),
        (_line("slots.csv", 2, "0.5", "half"), "slots.csv, row 2, column measured_s"),
        (_line("instructions.csv", 2, "247000.0", "nan"), "row 2, column instructions"),
        (_line("instructions.csv", 2, ",247000.0", ""), "row 2: 6 cells instead of 7"),
    ],
)
def test_a_folder_that_cannot_be_judged_is_one_line(
    folder: Folder, judge: Judge, spoil: Callable[[Path], object], error: str
) -> None:
    """Missing, foreign or edited: the file, the row and the column; exit 3, nothing written."""
    path = folder()
    spoil(path)
    said = judge(path)
    assert (said.status, said.out) == (3, "")
    assert said.err.startswith("error: ") and error in said.err
    assert said.err.count("\n") == 1
    assert not (path / "regression.csv").exists()


def test_a_folder_that_is_not_there(judge: Judge, tmp_path: Path) -> None:
    """Exit 3: it is no usage error, which would be 2."""
    said = judge(tmp_path / "nowhere")
    assert said.status == 3
    assert said.err == f"error: {tmp_path / 'nowhere'} is not there, or no folder\n"
    assert judge().status == 3


def test_nothing_measured_is_not_green(folder: Folder, judge: Judge) -> None:
    """A folder in which no layer was asked for."""
    said = judge(folder(Plan().without("facts", "instructions", "time")))
    assert said.status == 3
    assert "has nothing to judge: no layer was measured" in said.err


def test_one_side_without_a_baseline(folder: Folder, judge: Judge, tmp_path: Path) -> None:
    """Says what writes one; a folder that is none is told too."""
    path = folder(Plan(sides=("candidate",)))
    said = judge(path, "--baseline", tmp_path / "none")
    assert said.status == 3
    assert said.err.endswith("none; `make baseline` writes one\n")
    other = folder(Plan(sides=("candidate",)), "other")
    said = judge(path, "--baseline", other)
    assert said.status == 3
    assert said.err.endswith("is no baseline: it has no side 'base'\n")


def test_a_new_baseline_is_judged_against_the_old_one(folder: Folder, judge: Judge) -> None:
    """Both folders have a base only: the new one plays the candidate."""
    names = {"base": "baseline"}
    old = folder(Plan(sides=("base",), names=names).without("time"), "old")
    changed = only(put_in(value="500"), fact="status", stack="aiohttp", subject="sync")
    new = folder(Plan(sides=("base",), names=names, fact=changed).without("time"), "new")
    assert judge(old, "--baseline", old).status == 0
    said = judge(new, "--baseline", old)
    assert said.status == 1
    assert "aiohttp sync status was 200 and is 500" in " ".join(said.out.split())


def test_a_baseline_of_another_schema_is_one_line(folder: Folder, judge: Judge) -> None:
    """Exit 3, with what to do."""
    path = apart(folder)
    _json(lambda found: found.update(schema_version=0))(path / "baseline")
    said = judge(path)
    assert said.status == 3
    assert "schema version 0" in said.err and "`make baseline`" in said.err


def test_a_baseline_without_a_layer_is_a_doubt(folder: Folder, judge: Judge) -> None:
    """The layer was measured now, and there is nothing to hold it against."""
    path = folder(Plan(sides=("candidate",)).without("instructions"))
    names = {"base": "baseline"}
    folder(Plan(sides=("base",), names=names).without("time"), "checked/baseline")
    said = judge(path)
    assert said.status == 2
    assert "time not-run: the baseline has nothing of this layer" in " ".join(said.out.split())


def test_a_folder_that_cannot_be_written_to(folder: Folder, judge: Judge) -> None:
    """One line, exit 3: a job that collects junit.xml must not find an old one."""
    path = folder()
    (path / "junit.xml").mkdir()
    said = judge(path)
    assert said.status == 3
    assert said.err.startswith("error: cannot write ")
    assert "NO REGRESSION" in said.out
