"""The changes on purpose fit this tree, and say so when they no longer do."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import mutants
from loopbench.loadtests.regression.mutants import Edit, more_work
from loopbench.loadtests.regression.selftest import MORE_INSTRUCTIONS
from loopbench.servers.stacks import CORE

EDITS = [
    *(edit for edit, _, _ in {**mutants.FACTS, **mutants.FACTS_OF_HEADERS}.values()),
    *(more_work(7, case, stack) for case in MORE_INSTRUCTIONS for stack in CORE),
    *(mutants.LEAK_OF_BYTES, mutants.LEAK_OF_AN_OBJECT),
    *(mutants.SELDOM_SLOW, mutants.ANOTHER_HOP, mutants.CHANGED_CLASS),
]


def _sources(tree: Path) -> dict[Path, bytes]:
    return {path.relative_to(tree): path.read_bytes() for path in tree.rglob("*.py")}


@pytest.fixture(scope="module")
def unchanged() -> dict[Path, bytes]:
    """The files of a copy without any edit."""
    with mutants.copy() as plain:
        return _sources(plain)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_its_file_and_leaves_the_tree_alone(
    unchanged: dict[Path, bytes], edit: Edit
) -> None:
    """The copy differs in one place; when it is done with, it is gone."""
    with mutants.copy(edit) as changed:
        now = _sources(changed)
        assert [str(path) for path in unchanged if unchanged[path] != now[path]] == [edit.file]
        assert unchanged.keys() == now.keys()
    assert not changed.exists()


def test_a_copy_without_an_edit_is_gone_afterwards() -> None:
    """As one with an edit is."""
    with mutants.copy() as plain:
        assert plain.is_dir()
    assert not plain.exists()


def test_a_place_that_is_gone_is_told(tmp_path: Path) -> None:
    """Code moves on: the edit names the file and what it looked for."""
    (tmp_path / "one.py").write_text("twice\ntwice\n")
    for old, times in (("once\n", 0), ("twice\n", 2)):
        with pytest.raises(HarnessError, match=rf"one\.py holds '{old.strip()}' {times} times"):
            mutants.apply(Edit("one.py", old, "new"), tmp_path)
