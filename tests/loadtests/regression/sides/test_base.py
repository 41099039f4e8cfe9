"""What a tree is compared with where nobody names it, and why."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from loopbench.loadtests.regression.sides.base import BASELINE, choose, uncounted
from loopbench.loadtests.regression.sides.sides import Role, look
from loopbench.results.schema.regression import SIDES_FILE, Unlike
from loopbench.servers.stacks import CORE
from tests.conftest import ROOT
from tests.loadtests.regression.trees import git

OTHERS = Unlike(("python",), {})


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository whose main branch has two commits, the tags `one` and `two`."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name in ("one", "two"):
        _commit(folder, name)
    return folder


def _commit(repo: Path, name: str) -> None:
    (repo / name).write_text("")
    git(repo, "add", name)
    git(repo, "commit", "--quiet", "--message", name)
    git(repo, "tag", name)


def _commit_of(repo: Path, ref: str) -> str:
    return git(repo, "rev-parse", ref)


def test_a_branch_is_compared_with_where_it_left_main(repo: Path) -> None:
    """What main got since is not its doing."""
    git(repo, "checkout", "--quiet", "-b", "mine")
    _commit(repo, "three")
    git(repo, "checkout", "--quiet", "main")
    _commit(repo, "four")
    git(repo, "checkout", "--quiet", "mine")
    choice = choose(repo, None)
    assert (choice.base, choice.why) == (_commit_of(repo, "two"), "where this tree left main")


def test_uncommitted_changes_on_main(repo: Path) -> None:
    """The commit that they were made on."""
    (repo / "new").write_text("")
    assert choose(repo, None).base == _commit_of(repo, "two")


def test_main_before_it_was_pushed(repo: Path) -> None:
    """The branch that is checked out is no base of itself where there is a published one."""
    git(repo, "update-ref", "refs/remotes/origin/main", "one")
    choice = choose(repo, None)
    assert (choice.base, choice.why) == (
        _commit_of(repo, "one"),
        "where this tree left origin/main",
    )


def test_a_branch_of_a_main_that_was_not_pushed(repo: Path) -> None:
    """The nearest of both: commits of the local main are not this branch's doing."""
    git(repo, "update-ref", "refs/remotes/origin/main", "one")
    git(repo, "checkout", "--quiet", "-b", "mine")
    _commit(repo, "three")
    choice = choose(repo, None)
    assert (choice.base, choice.why) == (_commit_of(repo, "two"), "where this tree left main")


def test_main_as_it_stands(repo: Path) -> None:
    """The baseline, which sees more than one commit; its parent where that cannot be compared."""
    assert choose(repo, None).base == BASELINE
    choice = choose(repo, OTHERS)
    assert choice.base == _commit_of(repo, "one")
    assert choice.why == (
        f"the parent of main, which this tree is as it stands: the baseline {OTHERS.why}"
    )


def test_the_first_commit_of_all(repo: Path) -> None:
    """It has no parent."""
    git(repo, "reset", "--quiet", "--hard", "refs/tags/one")
    choice = choose(repo, OTHERS)
    assert choice.base == BASELINE
    assert choice.why == "this tree is main as it stands, and its first commit"


def test_no_history_and_no_main(repo: Path, tmp_path: Path) -> None:
    """An unpacked archive, and a clone of one commit that no main branch is known of."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert choose(empty, None).why == "there is no git history here"
    git(repo, "branch", "--move", "main", "something")
    assert choose(repo, None).why == "no main branch has a commit in common with this tree"


def test_a_baseline_of_more_stacks_is_no_other_one(tmp_path: Path) -> None:
    """One of both core stacks is compared with either alone, and another version is named."""
    python = Path(sys.executable)
    base = look(Role.BASE, BASELINE, ROOT, python, CORE).to_json()
    (tmp_path / SIDES_FILE).write_text(json.dumps({"sides": {"base": base}}))
    for stack in CORE:
        assert uncounted(look(Role.CANDIDATE, "x", ROOT, python, [stack]), tmp_path) is None
    one = look(Role.CANDIDATE, "x", ROOT, python, CORE[:1])
    newer = replace(one, packages={**one.packages, "aiohttp": "9"})
    differ = uncounted(newer, tmp_path)
    assert differ is not None
    assert (differ.parts, differ.versions) == ((), {"aiohttp": (one.packages["aiohttp"], "9")})
