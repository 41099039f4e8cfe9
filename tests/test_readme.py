"""The commands of README, CONTRIBUTING and docs/ are those that there are."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loopbench.loadtests.cli import DEFAULT_SCENARIOS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = sorted(
    {
        line.partition("#")[0].strip()
        for document in DOCUMENTS
        for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.S)
        for line in block.splitlines()
    }
)
RUN_WHOLE = {("servers", "list"), ("loadtests", "list")}
"""Commands that are quick and change nothing: run as they stand. Of the others the
words are checked by the program itself, with --help after them."""


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make")])
def test_make_knows_the_target(command: str) -> None:
    """`make --dry-run` accepts it."""
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("command", [c for c in COMMANDS if "python -m" in c])
def test_the_program_knows_the_command(command: str) -> None:
    """The module takes these words."""
    _, _, module, *words = shlex.split(command)
    if (module, *words) not in RUN_WHOLE:
        words.append("--help")
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_locust_knows_the_file() -> None:
    """Locust lists the user classes of the locustfile that the README names."""
    (command,) = [c for c in COMMANDS if "locust -f" in c]
    _, flag, file, *_ = shlex.split(command)
    done = subprocess.run(
        [Path(sys.executable).with_name("locust"), flag, file, "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "AsyncUser" in done.stdout


def test_the_table_is_of_the_committed_run(tmp_path: Path) -> None:
    """It is what `results show` prints of results/reference and the scenarios that are measured
    by default, word for word."""
    table = re.search(r"<!-- begin: table -->\n```text\n(.*?)\n```\n<!-- end", README, re.S)
    assert table is not None
    folder = tmp_path / "reference"
    shutil.copytree(ROOT / "results" / "reference", folder)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "results", "show", str(folder)),
            *(word for name in DEFAULT_SCENARIOS for word in ("--scenario", name)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(table[1])
