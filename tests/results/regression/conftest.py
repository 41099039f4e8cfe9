"""Folders of the check, and the command that judges them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from loopbench.results.regression.command import COMMANDS
from loopbench.results.regression.outputs.write import STEP_SUMMARY
from tests.results.regression import tables
from tests.results.regression.tables import Plan


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


Judge = Callable[..., Said]
Folder = Callable[..., Path]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Judge:
    """Run one of the commands with these arguments, 80 columns wide and outside of any CI."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv(STEP_SUMMARY, raising=False)
    commands = {str(one.name): one for one in COMMANDS}

    def run(name: str, *arguments: str | Path) -> Said:
        status = 0
        try:
            commands[name].main(list(map(str, arguments)), standalone_mode=False)
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture
def judge(command: Judge) -> Judge:
    """Run `regression` on a folder."""
    return lambda *arguments: command("regression", *arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """Write a plan as a folder, by default as `checked` in the working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda plan=None, name="checked": tables.write(tmp_path / name, plan or Plan())
