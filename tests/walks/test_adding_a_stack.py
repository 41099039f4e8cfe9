"""docs/adding-a-stack.md, done as it says in a copy of the tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.results.schema import RUNS, read_table
from tests.documents import blocks
from tests.trees import copy_suite

MODULE, TABLE = "servers/apps/starlette_app.py", "servers/stacks.py"
STACK = "starlette-uvicorn"
ROW_COMES_BEFORE = ")\n\nSTACKS: dict[str, Stack]"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, with the module and the row of the document."""
    root = tmp_path_factory.mktemp("tree")
    copy_suite(root)
    told = blocks("adding-a-stack.md")
    assert told.keys() == {MODULE, TABLE}
    (root / MODULE).write_text(told[MODULE])
    before = (root / TABLE).read_text()
    assert before.count(ROW_COMES_BEFORE) == 1
    (root / TABLE).write_text(before.replace(ROW_COMES_BEFORE, told[TABLE] + ROW_COMES_BEFORE))
    return root


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PYTHONPATH": str(tree)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=variables,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_the_document_is_short() -> None:
    """Module, row and pin are under 60 lines, blank ones aside."""
    code = "".join(blocks("adding-a-stack.md").values()).splitlines()
    assert sum(bool(line) for line in code) + 1 < 60


def test_the_stack_of_the_document_is_held_to_the_contract_measured_and_reported(
    tree: Path,
) -> None:
    """The bench itself asks every case but the holes, then loads it; the report names it."""
    folder = tree / "run"
    done = run(
        tree,
        *("-m", "loadtests", "bench", "--stack", STACK, "--scenario", "async-32"),
        *("--scenario", "form-32", "--rounds", "1", "--duration", "0.3", "--warmup", "0.1"),
        *("--out", str(folder)),
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_table(folder, RUNS)
    assert (row["stack"], row["scenario"], row["failures"]) == (STACK, "async-32", 0)
    requests, asked = row["requests"], row["in_handler_mean_ms"]
    assert isinstance(requests, int) and requests > 0
    assert asked is not None  # the probe found its handlers
    described = json.loads((folder / "environment.json").read_text())
    assert described["left_out"] == {}
    assert described["holes"] == {STACK: {"form-32": "left out of this example"}}
    assert described["stacks"][STACK]["packages"].keys() >= {"starlette", "uvicorn"}
    page = (folder / "report.html").read_text()
    assert STACK in page
    assert "left out of this example" in page
    assert f"{STACK} goes without form-32: left out of this example" in done.stderr


def test_the_new_stack_is_listed(tree: Path) -> None:
    """`python -m servers list` knows it, without being told of it anywhere else."""
    done = run(tree, "-m", "servers", "list")
    assert STACK in done.stdout, done.stderr
