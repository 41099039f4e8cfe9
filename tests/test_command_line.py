"""Each command line with closed streams, a full disk or little memory."""

from __future__ import annotations

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
    "command", ["results report results/reference", "loadtests bench --rounds 1 --out {}"]
)
def test_too_little_address_space(command: str, tmp_path: Path) -> None:
    """Said with the remedy before anything is begun: with half of it, the libraries of statistics
    never end."""
    line = f'ulimit -v 300000; exec "$0" -m {command.format(tmp_path / "run")}'
    words = ["sh", "-c", line, sys.executable]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: 512 MiB of address space are needed in one process, and the limit is 292 MiB: "
        "raise it (ulimit -v)\n"
    )
    assert not (tmp_path / "run").exists()
