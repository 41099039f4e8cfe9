"""Completion in real shells: what the tabulator key makes of the beginning of a word."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

BOUND_S = 60.0
PROMPT = "ready> "
SOURCE = 'eval "$(_LOOPBENCH_COMPLETE={}_source loopbench)"'
BEGINNINGS = {
    "loopbench beh": "loopbench behaviour",
    "loopbench servers run quart-hypercorn-u": "loopbench servers run quart-hypercorn-uvloop",
}
"""What is typed, and what it becomes."""

BEGINNING_OF_LINE, TABULATOR, RETURN = "\x01", "\t", "\r"


@contextmanager
def shell(tmp_path: Path, *words: str) -> Iterator[int]:
    """A shell at a terminal of its own, with the command on its path; yields the terminal."""
    command = tmp_path / "bin" / "loopbench"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable} -P\nfrom loopbench.__main__ import main\nmain()\n")
    command.chmod(0o755)
    environment = {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        cwd=tmp_path,
        env=environment,
    )
    os.close(inner)
    try:
        yield terminal
    finally:
        os.close(terminal)  # it hangs up, by which a shell ends
        process.wait(BOUND_S)


def needs(*programs: str) -> None:
    """Skip the test where one of them is not there."""
    for name in programs:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name} (.ci/run names its package)")


def read_until(terminal: int, wanted: re.Pattern[str]) -> re.Match[str]:
    """What the shell prints up to the first match, which is the answer."""
    text = ""
    end = time.monotonic() + BOUND_S
    while (found := wanted.search(text)) is None:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"{wanted.pattern} does not come: {text!r}"
        text += os.read(terminal, 4096).decode().replace("\r", "")
    return found


def completed(terminal: int, beginning: str) -> str:
    """What a line becomes: the shell is then made to print it in place of obeying it."""
    keys = f"{beginning}{TABULATOR}{BEGINNING_OF_LINE}echo {RETURN}"
    os.write(terminal, keys.encode())
    return read_until(terminal, re.compile(rf"^(loopbench [^\n]*?) *\n[^\n]*{PROMPT}", re.M))[1]


def test_bash_completes(tmp_path: Path) -> None:
    """As README says to set it up."""
    needs("bash", "setsid")
    start = tmp_path / "bashrc"
    start.write_text(f"PS1='{PROMPT}'\n{SOURCE.format('bash')}\n")
    with shell(tmp_path, "bash", "--noprofile", "--rcfile", str(start), "-i") as terminal:
        read_until(terminal, re.compile(PROMPT))
        assert {line: completed(terminal, line) for line in BEGINNINGS} == BEGINNINGS


def test_zsh_completes(tmp_path: Path) -> None:
    """Likewise, after `compinit`."""
    needs("zsh", "setsid")
    (tmp_path / ".zshrc").write_text(
        f"PS1='{PROMPT}'\nunsetopt prompt_sp\nbindkey -e\nautoload -Uz compinit && compinit -u -D\n"
        f"{SOURCE.format('zsh')}\n"
    )
    with shell(tmp_path, "zsh", "--no-global-rcs", "-i") as terminal:
        read_until(terminal, re.compile(PROMPT))
        assert {line: completed(terminal, line) for line in BEGINNINGS} == BEGINNINGS


def test_readme_says_how() -> None:
    """In the words that the tests above use."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("bash", "zsh"):
        assert f"`{SOURCE.format(name)}`" in readme
