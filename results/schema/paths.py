"""Where the suite itself lies, and where its results go unless another place is named."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `servers`, `loadtests` and `results`: a clone, or the installed package."""

RUNS_FOLDER = ROOT / "results" / "runs"
"""Where results folders are written unless another place is named; git-ignored."""

REGRESSIONS_FOLDER = ROOT / "results" / "regressions"
"""Where the folders of regression checks are written unless another place is named; git-ignored."""
