"""Copies of the suite's own tree, for tests that change one or run another."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.conftest import ROOT

SERVERS = ("loopbench", "servers", "results/schema")
"""What a server needs; the package's link to the load leads nowhere then."""

EVERYTHING = ("loopbench", "servers", "loadtests", "results")


def copy_suite(folder: Path, parts: tuple[str, ...] = EVERYTHING) -> Path:
    """A copy of some of the suite's folders in `folder`, without results; returns `folder`.

    With the byte code, which is that of the copies, too, since they keep their times: to compile
    the servers anew takes longer than to start one. What is being written has a longer name.
    """
    ignored = shutil.ignore_patterns(
        "*.pyc.*", "*.part", "runs", "reference", "regressions", "baseline"
    )
    for part in parts:
        shutil.copytree(ROOT / part, folder / part, symlinks=True, ignore=ignored)
    if not (folder / "results" / "__init__.py").exists():
        shutil.copy(ROOT / "results" / "__init__.py", folder / "results")
    return folder
