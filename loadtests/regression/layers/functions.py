"""Which functions grew, of the routes that grew: counted on both sides by `loadtests why`.

Only a Python of 3.12 or later names its functions to callgrind. Where the sides are run by an older
one, they are counted by one that is here, in an environment with the same versions, and with what
was edited in the side's own; a growth shows in the same function there. Where there is none, that
is said, and the verdict rests on the counts of whole requests alone.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression.layers.instructions import Route, repeats
from loopbench.loadtests.regression.parallel import side_by_side
from loopbench.loadtests.regression.sides import cache, edited, processes
from loopbench.loadtests.regression.sides.equal_paths import alike
from loopbench.loadtests.regression.sides.needed import OF_THE_SUITE
from loopbench.loadtests.regression.sides.sides import Side
from loopbench.loadtests.regression.sides.worktree import write_bytecode
from loopbench.loadtests.why import interpreter, measure
from loopbench.loadtests.why.interpreter import Interpreter
from loopbench.loadtests.why.rows import function_rows
from loopbench.results.schema import Row
from loopbench.results.schema.regression import GROWTH
from loopbench.servers.contract.http import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.stacks import STACKS
from loopbench.servers.supervision.control_pipe import ControlError

MOST = 3
"""So many routes of a stack, those that grew most, are counted by function."""

REPEATS = 1
"""Rows of equal code are alike to the instruction in nearly all functions: what is named grew by
far more than they differ by."""

_INSTALL_BOUND_S = 300.0


def grown(base: Iterable[Row], candidate: Iterable[Row]) -> list[Route]:
    """The routes that take GROWTH more instructions or more, those that grew most first."""
    before, after = (
        {key: statistics.median(counts) for key, counts in repeats(rows).items()}
        for rows in (base, candidate)
    )
    shares = {key: after[key] / before[key] - 1 for key in before.keys() & after.keys()}
    routes = sorted((key for key in shares if shares[key] >= GROWTH), key=lambda key: -shares[key])
    of_stack: defaultdict[str, list[Route]] = defaultdict(list)
    for key in routes:
        of_stack[key[0]].append(key)
    return [key for key in routes if key in of_stack[key[0]][:MOST]]


def rows_of(sides: Sequence[Side], routes: Sequence[Route], patience: Patience) -> list[list[Row]]:
    """Rows of functions.csv by side; both are counted at the same time.

    patience: of what this is a part of; it breaks the counting off, too. Raises HarnessError where
    no Python names its functions, or counting fails, and ServerError.
    """
    with ExitStack() as cleanup:
        named = [replace(side, python=cleanup.enter_context(_naming(side))) for side in sides]
        moved = cleanup.enter_context(alike(named))
        for side, own, copy in zip(sides, named, moved, strict=True):
            if own.python != side.python:
                _take_edits(side, copy)

        def work(side: Side, within: Patience) -> list[Row]:
            try:
                return list(_counted(side, routes, within))
            except (HarnessError, ServerError, ControlError, OSError):
                within.check()  # where it was given up the server was killed
                raise

        return side_by_side(moved, work, patience)


def _take_edits(side: Side, copy: Side) -> None:
    """What somebody edited in a side's environment, into the copy's, which was installed anew.

    Raises HarnessError for an edited file that only the side's own interpreter can load.
    """
    text = Path(edited.__file__).read_text(encoding="utf-8")
    output = _run(str(side.python), "-c", text, *sorted(side.packages))
    files: Mapping[str, str] = json.loads(output)
    compiled = [place for place in files if Path(place).suffix == ".so"]
    if compiled:
        raise HarnessError(f"{compiled[0]} was edited, and is compiled for another Python")
    (site,) = (copy.root / "environment" / "lib").glob("python*/site-packages")
    for place, path in files.items():
        shutil.copyfile(path, site / place)
    if files:
        write_bytecode(copy.python, copy.root, [str(site)])


def _counted(side: Side, routes: Sequence[Route], within: Patience) -> Iterator[Row]:
    subjects = [
        measure.Subject(STACKS[stack], _cases(side, stack, routes))
        for stack in dict.fromkeys(stack for stack, _ in routes)
    ]
    python = interpreter.look_at(side.python)
    plan = measure.Plan(side.python, named=True, repeats=REPEATS, root=side.root, plain=False)
    for measured in measure.measure(subjects, plan, within=within):
        for case, profiled in measured.profiles.items():
            for row in function_rows(profiled):
                yield {
                    "side": str(side.role),
                    "stack": measured.subject.stack.name,
                    "route": case,
                    "python": "" if python is None else python.version,
                    "function": _name(row),
                    "own_instructions": row["own_instructions"],
                    "spread": row["spread"],
                }


def _cases(side: Side, stack: str, routes: Sequence[Route]) -> Mapping[str, Case]:
    return {name: side.cases[name] for its_stack, name in routes if its_stack == stack}


def _name(row: Row) -> str:
    """Module and name, or where it belongs; of what nobody owns, its kind."""
    parts = [str(row[part]) for part in ("module", "function") if row[part]]
    return ".".join(parts) or str(row["package"] or row["kind"])


@contextmanager
def _naming(side: Side) -> Iterator[Path]:
    """A Python that names its functions, in an environment like the side's."""
    own = interpreter.look_at(side.python)
    if own is not None and own.named:
        yield side.python
        return
    chosen = interpreter.choose(None)
    if not chosen.named:
        raise HarnessError(interpreter.REMEDY)
    versions = {name: metadata.version(name) for name in OF_THE_SUITE} | dict(side.packages)
    pins = [f"{name}=={version}" for name, version in sorted(versions.items())]
    key = cache.key_of("functions", chosen.version, str(chosen.path), *pins)
    with cache.kept(key, lambda place: _make(place, chosen, pins)) as place:
        yield place / "bin" / "python"


def _make(place: Path, chosen: Interpreter, pins: Sequence[str]) -> None:
    _run(str(chosen.path), "-m", "venv", "--without-pip", str(place))
    into = ["--no-input", "--disable-pip-version-check", "--python", str(place / "bin" / "python")]
    _run(sys.executable, "-m", "pip", *into, "install", "--quiet", "--no-deps", *pins)


def _run(*command: str) -> str:
    return processes.succeed("its environment cannot be made", command, _INSTALL_BOUND_S)
