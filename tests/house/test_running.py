"""How the tests are run: side by side or alone, and none passed over unseen."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.house.long import LONG
from tests.house.order import LONGEST, longest_first
from tests.house.quick import QUICK
from tests.house.skips import ALLOWED, forbidden

TESTS = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="needs the package ip")
def test_marked(): pass

def test_inside(): pytest.skip("not installed: uvicorn")

@pytest.fixture
def disk(): pytest.skip("only root may mount a file system")

def test_allowed(disk): pass

@pytest.mark.xfail(reason="known")
def test_known(): assert False
"""

WHOLE_FILE = """
import pytest
pytest.importorskip("no_such_module")
"""


def tried(file: Path, text: str, wanted: str) -> tuple[int, str]:
    """The exit status and the closing line of pytest on a file."""
    file.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.house.skips", "-p", "no:locust", str(file)],
        cwd=ROOT,
        env={**os.environ, "LOOPBENCH_NO_SKIPS": wanted},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout.splitlines()[-1].strip("= ").rpartition(" in ")[0]


@pytest.mark.parametrize(
    ("wanted", "status", "says"),
    [
        ("1", 1, "1 failed, 1 passed, 1 skipped, 1 xfailed, 1 error"),
        ("", 0, "1 passed, 3 skipped, 1 xfailed"),
    ],
)
def test_a_skip_is_a_failure_where_none_is_wanted(
    tmp_path: Path, wanted: str, status: int, says: str
) -> None:
    """By a mark and from within a test; but not for a reason that no package mends."""
    assert tried(tmp_path / "test_it.py", TESTS, wanted) == (status, says)


@pytest.mark.parametrize(("wanted", "status", "says"), [("1", 2, "1 error"), ("", 5, "1 skipped")])
def test_a_file_that_is_skipped_is_an_error_then(
    tmp_path: Path, wanted: str, status: int, says: str
) -> None:
    """As one that cannot be imported."""
    assert tried(tmp_path / "test_it.py", WHOLE_FILE, wanted) == (status, says)


def test_reasons() -> None:
    """What `.ci/run` installs is no reason; what a machine cannot have is one."""
    assert forbidden("Skipped: needs the package tcpdump")
    assert not any(forbidden(f"Skipped: {words} x") for words in ALLOWED)


@pytest.mark.parametrize(
    ("side_by_side", "alone", "status"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (0, 1, 1),
        (3, 1, 3),
        (5, 0, 0),
        (0, 5, 0),
        (1, 5, 1),
        (5, 1, 1),
        (5, 5, 5),
    ],
)
def test_both_runs_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side_by_side: int, alone: int, status: int
) -> None:
    """A failure in either is one; where those chosen are all of one kind, the other has none (5),
    which is no failure unless there are none at all."""
    monkeypatch.delenv("TEST_PROCESSES", raising=False)
    done, asked = run(tmp_path, side_by_side, alone)
    assert done == status
    assert asked == [
        "-m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder -m not alone one two",
        "-m pytest -m alone one two",
    ]


def test_an_interrupt_ends_both_runs(tmp_path: Path) -> None:
    """The second does not begin."""
    done, asked = run(tmp_path, 2, 0)
    assert (done, len(asked)) == (2, 1)


@pytest.mark.parametrize("wanted", ["", "3"])
@pytest.mark.parametrize(
    ("words", "kind", "at_once"), [((), "not long", "8"), (("--long",), "long", "4")]
)
def test_without_files_those_of_a_kind_are_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    kind: str,
    at_once: str,
    wanted: str,
) -> None:
    """As many at a time as are wanted. The second run reads only the files that have something for
    it."""
    monkeypatch.setenv("TEST_PROCESSES", wanted)
    for name, text in (("one", "@pytest.mark.alone\n"), ("two", "# about nothing\n")):
        (tmp_path / "tests" / name).mkdir(parents=True)
        (tmp_path / "tests" / name / "test_it.py").write_text(text)
    _, asked = run(tmp_path, 0, 0, words)
    of_processes = f"--numprocesses {wanted or at_once}"
    beside = f"-m pytest {of_processes} --dist loadfile --no-loadscope-reorder -m not alone and"
    assert asked == [
        f"{beside} {kind}",
        f"-m pytest -m alone and {kind} tests/one/test_it.py",
    ]


@dataclass(frozen=True, slots=True)
class OneTest:
    """What the order of the tests asks of one."""

    path: Path
    name: str


def test_the_longest_files_come_first() -> None:
    """Each whole, in the order in which they are named; the others stay as they were."""
    assert [name for name in LONGEST if not (ROOT / name).is_file()] == []
    assert len(set(LONGEST)) == len(LONGEST)
    first, second = LONGEST[:2]
    found = ("tests/test_b.py", second, "tests/test_a.py", first, second)
    tests = [OneTest(ROOT / file, str(number)) for number, file in enumerate(found)]
    assert [test.name for test in longest_first(tests, ROOT)] == ["3", "1", "4", "0", "2"]


def test_the_quick_files_are_there() -> None:
    """A file that was moved is not left out of `make test-quick` unseen."""
    assert {name for name in QUICK if not (ROOT / name).is_file()} == set()


def test_the_long_files_are_there() -> None:
    """A file that was moved is not in `make test` again unseen, and none is quick as well."""
    assert {name for name in LONG if not (ROOT / name).is_file()} == set()
    assert set() == LONG & QUICK


def run(
    folder: Path, side_by_side: int, alone: int, words: tuple[str, ...] = ("one", "two")
) -> tuple[int, list[str]]:
    """The exit status of `.ci/test one two` and what it asks an interpreter for, whose exit
    statuses are these."""
    for name in (".ci", ".venv/bin"):
        (folder / name).mkdir(parents=True)
    (folder / ".ci" / "test").write_bytes((ROOT / ".ci" / "test").read_bytes())
    python = folder / ".venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\necho "$*" >>asked\ncase "$*" in\n'
        f"*'-m not alone'*) exit {side_by_side} ;;\n*) exit {alone} ;;\nesac\n"
    )
    python.chmod(0o755)
    done = subprocess.run(["sh", str(folder / ".ci" / "test"), *words])
    return done.returncode, (folder / "asked").read_text().splitlines()


def test_benches_on_several_pythons_take_each_version_once(tmp_path: Path) -> None:
    """Two names of one interpreter would share a folder, and a run be compared with itself."""
    other = tmp_path / "another-name"
    other.symlink_to(sys.executable)
    done = subprocess.run(
        ["sh", str(ROOT / ".ci" / "pythons")],
        env={**os.environ, "PYTHONS": f"{sys.executable} {other}"},
        capture_output=True,
        text=True,
    )
    version = platform.python_version()
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{other} is Python {version}, as another of PYTHONS is; " in done.stderr
