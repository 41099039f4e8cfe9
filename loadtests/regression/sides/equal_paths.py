"""Sides in places of equal length, so that nothing but their code differs.

Where a tree or an environment lies, and what else is installed in it, shifts a process's heap, and
with it the instructions that the same code takes: by up to 2 % on a route. A side is therefore
counted as a copy in a folder whose path is always as long, on every machine, with an environment
that holds what its server imports and nothing else.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression.sides import processes, transplant
from loopbench.loadtests.regression.sides.needed import needed
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.regression.sides.worktree import write_bytecode
from loopbench.servers.lifecycle.tree import layout_of
from loopbench.servers.supervision.scratch import scratch_folder

PATH_LENGTH = 64
"""Of every folder that holds a side, in characters."""

_MEASURED = ("runs", "regressions", "reference", "baseline", "__pycache__")
_BOUND_S = 120.0


@contextmanager
def place() -> Iterator[Path]:
    """A new folder with a path of PATH_LENGTH characters; gone afterwards.

    Raises HarnessError where the folder for temporary files has too long a name.
    """
    with scratch_folder("side_") as temporary:
        rest = PATH_LENGTH - len(str(temporary)) - 1
        if rest < 1:
            raise HarnessError(
                f"{temporary} is too long a name for a folder to count instructions in; set "
                "TMPDIR to a shorter one, such as /tmp"
            )
        folder = temporary / ("_" * rest)
        folder.mkdir()
        yield folder


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """What servers need of a tree, in a temporary folder whose path is as long each time."""
    with place() as tree:
        for name in _parts(root):
            ignored = shutil.ignore_patterns(*_MEASURED)
            shutil.copytree(root / name, tree / name, symlinks=True, ignore=ignored)
        yield tree


@contextmanager
def alike(sides: Sequence[Side]) -> Iterator[tuple[Side, ...]]:
    """The same sides, each as a compiled copy with an environment of its own, made at once.

    Raises HarnessError where a copy cannot be made.
    """
    with ExitStack() as cleanup:
        with ThreadPoolExecutor(len(sides), thread_name_prefix="copy") as pool:
            moved = tuple(pool.map(partial(_moved, cleanup=cleanup), sides))
        yield moved


def _moved(side: Side, cleanup: ExitStack) -> Side:
    try:
        tree = cleanup.enter_context(copied(side.root))
    except OSError as error:
        raise HarnessError(f"{side.role}: cannot be copied: {error.strerror or error}") from error
    environment = tree / "environment"
    text = Path(transplant.__file__).read_text(encoding="utf-8")
    wanted = needed(side.packages)
    what = f"{side.role}: its environment cannot be copied"
    processes.succeed(what, [str(side.python), "-c", text, str(environment), *wanted], _BOUND_S)
    python = environment / "bin" / "python"
    write_bytecode(python, tree, [str(environment / "lib"), *_parts(tree)])
    return replace(side, root=tree, python=python)


def _parts(root: Path) -> tuple[str, ...]:
    layout = layout_of(root)
    if layout is None:
        raise HarnessError(f"{root} holds no servers that this check can start")
    return layout.measured
