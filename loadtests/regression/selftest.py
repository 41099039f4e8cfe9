"""The check checks itself: candidates that were changed on purpose, and one that was not.

What the check says of each is read from regression.csv, as the judging half writes it.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import mutants
from loopbench.loadtests.regression.check import Wish, measure
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.layers import instructions
from loopbench.loadtests.regression.layers.slices import USERS
from loopbench.loadtests.regression.mutants import CASE, STACK, Edit, more_work
from loopbench.loadtests.regression.sides.sides import Role, Say, Side, look
from loopbench.results.schema import (
    FINDINGS,
    INSTRUCTIONS,
    SLOTS,
    Row,
    SchemaError,
    Table,
    read_table,
)
from loopbench.results.schema.regression import Layer
from loopbench.servers.stacks import CORE
from loopbench.servers.supervision import own_modules

ROUNDS = 15
MORE_INSTRUCTIONS = 0.0105
"""1 %, and on top of it what equal code differs by: at 1 % exactly either answer would be right."""

MORE_CPU = 0.05
_TRIED_STEPS = 2000
_TRIED_ROUNDS = 5
_ALARMS = frozenset({"regressed", "changed", "missing"})
_UNDONE = "not-run"

Demand = Callable[[Sequence[Row]], bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate. demand: whether what the check said of it, its findings, is right;
    where: the layer, stack, subject and metric that it is about."""

    change: str
    edit: Edit | None
    wish: Wish
    demanded: str
    where: tuple[str, ...]
    demand: Demand


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line of the self-test's table."""

    change: str
    demanded: str
    said: str
    met: bool


def about(findings: Iterable[Row], where: Sequence[str]) -> list[Row]:
    """The findings on a layer, stack, subject and metric, as far as these are given."""
    names = ("layer", "stack", "subject", "metric")[: len(where)]
    return [row for row in findings if all(row[n] == w for n, w in zip(names, where, strict=True))]


def silent(findings: Sequence[Row]) -> bool:
    """No alarm in any layer, and all layers ran."""
    verdicts = {row["verdict"] for row in findings}
    layers = {row["layer"] for row in findings if row["verdict"] != _UNDONE}
    return not verdicts & (_ALARMS | {_UNDONE}) and layers == {str(layer) for layer in Layer}


def says(where: Sequence[str], verdicts: Iterable[str]) -> Demand:
    """There are findings there, and each has one of these verdicts."""
    allowed = set(verdicts)

    def demand(findings: Sequence[Row]) -> bool:
        found = about(findings, where)
        return bool(found) and all(row["verdict"] in allowed for row in found)

    return demand


def trials(wish: Wish, say: Say) -> Iterator[Trial]:
    """All of them; calibrating is done as each is reached."""
    yield Trial(
        "nothing (A/A)",
        None,
        replace(wish, cells=tuple((stack, CASE) for stack in wish.stacks)),
        "silence in all three layers",
        (),
        silent,
    )
    on_one = replace(wish, stacks=(STACK,), cells=((STACK, CASE),))
    for change, (edit, subject, fact) in mutants.FACTS.items():
        place = (str(Layer.FACTS), STACK, subject, fact)
        wanted = replace(on_one, layers=(Layer.FACTS,))
        yield Trial(change, edit, wanted, "facts: changed", place, says(place, ["changed"]))
    where = (str(Layer.INSTRUCTIONS), STACK, CASE)
    counted = replace(on_one, layers=(Layer.INSTRUCTIONS,), routes=(CASE,))
    steps = steps_for_instructions(counted, say)
    yield Trial(
        f"{MORE_INSTRUCTIONS:.2%} more instructions ({steps} steps)",
        more_work(steps),
        counted,
        "instructions: regressed",
        where,
        says(where, ["regressed"]),
    )
    cell = (str(Layer.TIME), STACK, f"{CASE}-{USERS}", "cpu_us_per_request")
    timed = replace(on_one, layers=(Layer.TIME,))
    steps = steps_for_cpu(timed, say)
    yield Trial(
        f"{MORE_CPU:.0%} more CPU ({steps} steps)",
        more_work(steps),
        timed,
        "time: regressed or cannot-tell",
        cell,
        says(cell, ["regressed", "cannot-tell"]),
    )


def run(wish: Wish, folder: Path, say: Say) -> Iterator[Outcome]:
    """Measure and judge every trial, each in a folder of its own. Raises HarnessError."""
    for number, trial in enumerate(trials(wish, say), start=1):
        say(f"self-test: {trial.change}")
        place = folder / f"{number}"
        with ExitStack() as cleanup:
            sides = _pair(cleanup, trial.edit, trial.wish.stacks)
            _measure(trial.wish, sides, place, say)
        findings = judge(place)
        found = about(findings, trial.where) if trial.where else findings
        yield Outcome(trial.change, trial.demanded, _said(found), trial.demand(findings))


def wish_of(rounds: int, seed: int, stacks: tuple[str, ...] = CORE) -> Wish:
    """All layers."""
    return Wish(layers=tuple(Layer), stacks=stacks, cells=(), seed=seed, rounds=rounds)


def _pair(cleanup: ExitStack, edit: Edit | None, stacks: Sequence[str]) -> tuple[Side, Side]:
    """Two copies of this tree, one of them edited: nothing else may differ, not even that one
    is a copy."""
    python, name = Path(sys.executable), "an edited copy" if edit else "another copy"
    base = cleanup.enter_context(mutants.copy())
    candidate = cleanup.enter_context(mutants.copy(edit))
    return (
        look(Role.BASE, "a copy of this tree", base, python, stacks),
        look(Role.CANDIDATE, name, candidate, python, stacks),
    )


def _measure(wish: Wish, sides: Sequence[Side], place: Path, say: Say) -> None:
    folder = Folder(place, ("python", "-m", "loadtests", "regression-selftest"), sides)
    folder.begin(wish.layers)
    measure(wish, sides, folder, say)
    for layer in wish.layers:
        if not folder.layers[layer]["run"]:
            raise HarnessError(f"{layer}: not measured: {folder.layers[layer]['why_not']}")


def judge(folder: Path) -> list[Row]:
    """What the judging half finds in a folder. Raises HarnessError where it cannot judge it."""
    command = own_modules.command("results", "regression", str(folder))
    own = own_modules.environment()
    done = subprocess.run(command, capture_output=True, text=True, env=own)
    try:
        return list(read_table(folder, FINDINGS))
    except SchemaError as error:
        last = (done.stderr.strip().splitlines() or [str(error)])[-1]
        raise HarnessError(f"what was measured was not judged: {last}") from error


def _said(findings: Sequence[Row]) -> str:
    """How often each verdict, and the ratios where there are a few."""
    verdicts = [str(row["verdict"]) for row in findings]
    counted = ", ".join(f"{verdicts.count(one)} {one}" for one in dict.fromkeys(verdicts))
    ratios = [f"{row['ratio']:.4f}" for row in findings if isinstance(row["ratio"], float)]
    return f"{counted} ({', '.join(ratios)})" if 0 < len(ratios) <= 2 else counted or "nothing"


def steps_for_instructions(wish: Wish, say: Say) -> int:
    """How many steps make MORE_INSTRUCTIONS, by counting a candidate that has many."""
    say("self-test: how many instructions a step of the added work is")
    counted = replace(wish, counts=instructions.Plan(repeats=1))
    without, with_ = _tried(counted, INSTRUCTIONS, "instructions", say)
    a_step = (with_ - without) / _TRIED_STEPS
    return math.ceil(MORE_INSTRUCTIONS * without / a_step)


def steps_for_cpu(wish: Wish, say: Say) -> int:
    """How many steps make MORE_CPU, by loading a candidate that has many."""
    say("self-test: how much CPU time a step of the added work takes")
    loaded = replace(wish, rounds=_TRIED_ROUNDS, yardstick=())
    without, with_ = _tried(loaded, SLOTS, "cpu_us_per_request", say)
    a_step = (with_ - without) / _TRIED_STEPS
    return math.ceil(MORE_CPU * without / a_step)


def _tried(wish: Wish, table: Table, column: str, say: Say) -> tuple[float, float]:
    """Medians of a figure without the added work and with _TRIED_STEPS of it."""
    with ExitStack() as cleanup:
        place = Path(cleanup.enter_context(tempfile.TemporaryDirectory())) / "tried"
        sides = _pair(cleanup, more_work(_TRIED_STEPS), wish.stacks)
        _measure(wish, sides, place, say)
        rows = [row for row in read_table(place, table) if row[column] is not None]
    found = []
    for role in Role:
        values = [float(row[column]) for row in rows if row["side"] == str(role)]  # type: ignore[arg-type]
        if not values:
            raise HarnessError(f"the self-test's added work cannot be measured: no {column}")
        found.append(statistics.median(values))
    without, with_ = found
    if with_ <= without:
        raise HarnessError(
            f"{_TRIED_STEPS} steps more did not show in {column}: {without}, {with_}"
        )
    return without, with_
