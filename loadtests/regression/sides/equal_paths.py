"""Sides in places of equal length, so that nothing but their code differs.

Where a tree or an environment lies shifts a process's heap: equal code in folders whose names are
of different lengths differed by up to 0.7 % in instructions, and in folders of equal length by a
few hundredths of a per cent.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.servers.lifecycle.tree import layout_of

_MEASURED = ("runs", "regressions", "reference", "baseline", "__pycache__")
_COMPILE_BOUND_S = 60.0


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """What servers need of a tree, in a temporary folder whose path is as long each time."""
    with tempfile.TemporaryDirectory(prefix="loopbench-side-") as temporary:
        tree = Path(temporary)
        for name in _needed(root):
            ignored = shutil.ignore_patterns(*_MEASURED)
            shutil.copytree(root / name, tree / name, symlinks=True, ignore=ignored)
        yield tree


@contextmanager
def alike(sides: Sequence[Side]) -> Iterator[tuple[Side, ...]]:
    """The same sides, each as a compiled copy, and run through a path that is as long as the
    others'. Raises HarnessError where a copy cannot be made."""
    with ExitStack() as cleanup:
        yield tuple(_moved(side, cleanup) for side in sides)


def _moved(side: Side, cleanup: ExitStack) -> Side:
    try:
        tree = cleanup.enter_context(copied(side.root))
        # A virtual environment is where its interpreter was called by, and not where it lies.
        environment = tree / "environment"
        environment.symlink_to(_environment(side.python), target_is_directory=True)
    except OSError as error:
        raise HarnessError(f"{side.role}: cannot be copied: {error.strerror or error}") from error
    python = environment / "bin" / side.python.name
    compile_ = [str(python), "-m", "compileall", "-q", *_needed(tree)]
    subprocess.run(
        compile_,
        cwd=tree,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_COMPILE_BOUND_S,
        check=False,  # what does not compile is for the server's start to say
    )
    return replace(side, root=tree, python=python)


def _needed(root: Path) -> tuple[str, ...]:
    layout = layout_of(root)
    if layout is None:
        raise HarnessError(f"{root} holds no servers that this check can start")
    return layout.measured


def _environment(python: Path) -> Path:
    """The folder that holds `bin/python`; the interpreter's own where it is no environment's."""
    return python.parent.parent if python.parent.name == "bin" else Path(sys.prefix)
