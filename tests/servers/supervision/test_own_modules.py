"""How a person calls the suite's own commands again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loopbench.results.schema import ROOT
from loopbench.servers.supervision import own_modules


@pytest.mark.parametrize(
    ("called", "interpreter", "words"),
    [
        ("loadtests/__main__.py", ROOT / ".venv/bin/python", ".venv/bin/python -m loadtests"),
        ("loadtests/__main__.py", Path("elsewhere/python3"), "python -m loadtests"),
        ("bin/loopbench", ROOT / ".venv/bin/python", "loopbench"),
    ],
)
def test_a_command_that_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, called: str, interpreter: Path, words: str
) -> None:
    """The clone's own interpreter as seen from the clone, or the one name of the installed tool."""
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(sys, "executable", str(interpreter))
    assert " ".join(own_modules.pasted("loadtests")) == words
