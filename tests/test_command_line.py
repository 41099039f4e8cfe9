"""Each command line with closed streams, a full disk, little memory, a home of somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMANDS = ("results dictionary", "loadtests list", "servers list", "loopbench --help")


def run(command: str, redirections: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", f'exec "$0" -m {command} {redirections}', sys.executable]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_closed_streams(command: str) -> None:
    """All three closed: what would be printed goes nowhere, and nothing fails."""
    done = run(command, "<&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_closed_output_of_a_table() -> None:
    """The table of the committed run, whose printing asks what the output can take."""
    done = run("results split results/reference/stacks", ">&-")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="on Linux only: /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_no_room_for_the_output(command: str) -> None:
    """One line, and exit status 1."""
    done = run(command, ">/dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the output: No space left on device\n"


@pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: a limit that is kept")
@pytest.mark.parametrize(
    ("command", "cause"),
    [
        ("results report results/reference", "pictures need 400 MiB of address space"),
        ("results picture results/reference --out /dev/null", "pictures need 400 MiB"),
        ("loadtests bench --stack asyncio --rounds 1 --out {}", "a bench needs 512 MiB of address"),
    ],
)
def test_too_little_address_space(command: str, cause: str, tmp_path: Path) -> None:
    """Said with the remedy before anything is begun: the libraries that draw never end with half
    of it."""
    line = f'ulimit -v 300000; exec "$0" -m {command.format(tmp_path / "run")}'
    words = ["sh", "-c", line, sys.executable]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: {cause}")
    assert last.endswith("the limit is 292 MiB: raise it (ulimit -v)")
    assert not (tmp_path / "run").exists()


def test_a_home_that_is_not_writable(tmp_path: Path) -> None:
    """The report of a folder is written without a word about it."""
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "results" / "reference" / "stacks", folder)
    kept = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
    done = subprocess.run(
        [sys.executable, "-m", "results", "report", str(folder)],
        cwd=ROOT,
        env={**kept, "HOME": "/proc/nobody", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
