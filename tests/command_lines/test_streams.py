"""Each command line with closed streams, a full disk or little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMANDS = ("results dictionary", "loadtests list", "servers list", "loopbench --help")


def run(
    command: str, redirections: str = "", *, before: str = ":"
) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", f'{before}; exec "$0" -m {command} {redirections}', sys.executable]
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


limited = pytest.mark.skipif(sys.platform != "linux", reason="on Linux only: a limit that is kept")


@limited
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("results report results/reference", 1),
        ("results regression results/baseline", 3),
        ("loadtests bench --rounds 1 --out {}", 1),
        ("loadtests regression --out {}", 3),
    ],
)
def test_too_little_address_space(command: str, status: int, tmp_path: Path) -> None:
    """Said with the remedy before anything is begun: with half of it, the libraries of statistics
    never end. Where 1 and 2 are verdicts, it is none of these."""
    done = run(command.format(tmp_path / "run"), before="ulimit -v 300000")
    assert done.returncode == status
    assert done.stderr == (
        "error: 512 MiB of address space are needed in one process, and the limit is 292 MiB: "
        "raise it (ulimit -v)\n"
    )
    assert not (tmp_path / "run").exists()


@limited
@pytest.mark.parametrize("command", [*COMMANDS, "loadtests bench --help", "results show --help"])
def test_little_address_space_is_enough_for_texts(command: str) -> None:
    """What measures nothing and works nothing out is not refused."""
    done = run(command, before="ulimit -v 300000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@limited
def test_no_more_threads() -> None:
    """One line with the remedy, and exit status 1: here a thread asks for more memory than the
    process may have."""
    code = (
        "import resource, threading; from loopbench.command_line import standard_streams\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "threading.stack_size(1 << 30)\n"
        "with standard_streams(): threading.Thread(target=print).start()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: the system starts no more threads: raise the limit of processes (ulimit -u, or "
        "pids.max of the control group) or that of memory\n"
    )
