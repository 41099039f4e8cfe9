"""The standard streams of each command line: closed, or with no room behind them."""

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
