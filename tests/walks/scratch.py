"""What the walks share: a copy of the suite that is edited and then run for real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.trees import copy_suite

BOUND_S = 240.0


class Scratch:
    """A copy of the suite, and which of its files were edited."""

    def __init__(self, folder: Path) -> None:
        self.root = copy_suite(folder)
        self.edited: set[str] = set()

    def put(self, file: str, before: str, text: str) -> None:
        """Put text into a file before something that stands there once."""
        path = self.root / file
        whole = path.read_text(encoding="utf-8")
        assert whole.count(before) == 1, f"{file} has {whole.count(before)} of {before!r}"
        path.write_text(whole.replace(before, text + before), encoding="utf-8")
        self.edited.add(file)

    def run(self, *arguments: str) -> str:
        """What `python -m` of the arguments prints there; it must end with 0."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=BOUND_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def bench(self, scenario: str) -> Path:
        """A bench of aiohttp in one short Round; returns its folder."""
        self.run(
            *("loadtests", "bench", "--stack", "aiohttp", "--scenario", scenario),
            *("--rounds", "1", "--duration", "0.4", "--warmup", "0.1", "--out", "run"),
        )
        self.run("results", "report", "run", "--format", "md")
        return self.root / "run"
