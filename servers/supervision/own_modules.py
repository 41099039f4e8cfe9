"""Start modules of this suite as commands, from whatever folder a person stands in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from loopbench.results.schema import IMPORTED_FROM, INSTALLED, ROOT


def command(module: str, *words: str) -> list[str]:
    """`python -m loopbench.MODULE WORDS`, with nothing of the current folder on its path: a
    `queue.py` or a package `results` in it is not taken for another's. Run it in `environment()`.
    """
    return [sys.executable, "-P", "-m", f"loopbench.{module}", *words]


def run(module: str, *words: str) -> int:
    """Run such a command in `environment()` to its end; its exit status."""
    return subprocess.run(command(module, *words), env=environment()).returncode


def environment() -> dict[str, str]:
    """This process's own, in which a clone that is not installed is found, too."""
    if INSTALLED:
        return dict(os.environ)
    inherited = os.environ.get("PYTHONPATH")
    path = str(IMPORTED_FROM) + (f"{os.pathsep}{inherited}" if inherited else "")
    return {**os.environ, "PYTHONPATH": path}


def program(otherwise: str) -> list[str]:
    """How the running program is called by a person: `loopbench`, or as `otherwise` says."""
    name = os.path.basename(sys.argv[0])
    return ["loopbench"] if name.startswith("loopbench") else otherwise.split()


def pasted(module: str) -> list[str]:
    """The words that a person pastes to call a command again: `loopbench`, or `python -m MODULE` by
    the interpreter of this clone's environment, which need not be the one that `python` finds."""
    words = program(f"python -m {module}")
    own = Path(sys.executable)
    if words[0] == "python" and own.is_relative_to(ROOT):
        words[0] = str(own.relative_to(ROOT))
    return words
