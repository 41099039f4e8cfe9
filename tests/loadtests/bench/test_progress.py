"""How far a bench has come, told to a terminal and to a file."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import ROOT

_PROGRAM = """
from loopbench.loadtests.bench.progress import reporting

with reporting(2, 0) as reporter:
    reporter.run_begins("01.aiohttp.async-32")
    reporter.run_ends(None)
    reporter.expect(1)
    reporter.run_begins("01.quart-hypercorn.async-32")
    reporter.run_ends("a word [about] it")
    reporter.note("kept")
    reporter.run_ends(None)
"""


def _in_terminal(program: str) -> str:
    """What a program writes to the terminal that is its standard error."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while chunk := os.read(ours, 4096):
                written += chunk
        except OSError:  # Linux says so that nobody has the other end open
            pass
        finally:
            os.close(ours)
    assert process.returncode == 0
    return written.decode()


def test_a_terminal_has_a_bar_and_the_lines_that_are_kept() -> None:
    """The bar counts up to the Runs that were added, and is taken away at the end; brackets are no
    markup."""
    shown = _in_terminal(_PROGRAM)
    assert "0/2" in shown
    assert "3/3" in shown
    lines = [line.strip() for line in shown.replace("\r", "\n").split("\n")]
    for kept in ("a word [about] it", "kept"):
        assert any(line.endswith(kept) for line in lines)
    assert not shown.rstrip().endswith("3/3")


@pytest.mark.parametrize("forced", [False, True])
def test_a_file_has_a_line_a_run(*, forced: bool) -> None:
    """Also where a variable has Rich ask whether it might be a terminal after all."""
    environment = {key: value for key, value in os.environ.items() if key != "FORCE_COLOR"}
    environment |= {"TTY_COMPATIBLE": "0"} if forced else {}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.stderr.splitlines() == [
        "[1/2] 01.aiohttp.async-32",
        "[2/3] a word [about] it",
        "kept",
        "[3/3] 01.quart-hypercorn.async-32",
    ]
