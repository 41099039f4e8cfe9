"""Programs that a side needs say in one line why they failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.processes import succeed


@pytest.mark.parametrize(
    ("program", "bound_s", "why"),
    [
        (r"raise SystemExit('first\nlast words')", 60.0, "last words"),
        (r"raise SystemExit('ERROR: no such file\nadvice')", 60.0, "ERROR: no such file"),
        ("raise SystemExit(1)", 60.0, "no reason given"),
        ("import time; time.sleep(60)", 0.2, "it took longer than 0.2 s"),
    ],
)
def test_why_a_program_failed(program: str, bound_s: float, why: str) -> None:
    """An installer's own line of an error, the program's last line, or that it took too long."""
    with pytest.raises(HarnessError, match=f"^it cannot be had: {why}$"):
        succeed("it cannot be had", [sys.executable, "-c", program], bound_s)


def test_what_a_program_prints(tmp_path: Path) -> None:
    """Where it succeeds; it runs in the folder that is asked for."""
    program = "import os; print(os.getcwd())"
    assert succeed("x", [sys.executable, "-c", program], 60.0, tmp_path) == f"{tmp_path}\n"


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """Its name is in the line."""
    with pytest.raises(HarnessError, match=r"^x: .*absent"):
        succeed("x", [str(tmp_path / "absent")], 60.0)
