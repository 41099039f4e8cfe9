"""The check checks itself: candidates that were changed on purpose, and one that was not.

What the check says of each is read from regression.csv, as the judging half writes it. A busy
machine may leave it in doubt, which is said, and is neither a success nor a failure.
"""

from __future__ import annotations

import enum
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.regression import mutants
from loopbench.loadtests.regression.check import measure
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.layers import instructions
from loopbench.loadtests.regression.layers.slices import USERS
from loopbench.loadtests.regression.mutants import CASE, STACK, Edit, more_work
from loopbench.loadtests.regression.sides.sides import Role, Say, Side, look
from loopbench.loadtests.regression.wish import Wish
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
from loopbench.results.schema.warnings import Code
from loopbench.servers.stacks import CORE
from loopbench.servers.supervision import own_modules

ROUNDS = 15
MORE_INSTRUCTIONS: Mapping[str, float] = {CASE: 0.013, "json": 0.022, "middleware-10": 0.0105}
"""By Case: 1 %, and on top of it what equal code differs by at least: at 1 % exactly either answer
would be right. The last one is that of a layer of middleware, of which the Case passes ten."""

LAYERS = tuple(layer for layer in Layer if layer is not Layer.BEHAVIOUR)
"""The questions about behaviour are asked of other trees than copies of what the servers need."""

MORE_CPU = 0.05
_TRIED_STEPS = 5000
_TRIED_ROUNDS = 5
_ALARMS = frozenset({"regressed", "changed", "missing"})
_UNDONE = "not-run"
_DOUBT = "cannot-tell"

Demand = Callable[[Sequence[Row]], bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate. demand: whether what the check said of it, its findings, is right;
    where: the layer, stack, subject and metric that it is about, as far as they are named."""

    change: str
    edits: tuple[Edit, ...]
    wish: Wish
    demanded: str
    where: tuple[str, ...]
    demand: Demand


class Met(enum.StrEnum):
    """Whether a demand was met."""

    YES = "met"
    UNDECIDED = "cannot tell"
    UNDONE = "not measured"
    NO = "NOT MET"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A line of the self-test's table. took_s: measuring and judging, calibration left out."""

    change: str
    demanded: str
    reported: str
    met: Met
    took_s: float


def about(findings: Iterable[Row], where: Sequence[str]) -> list[Row]:
    """The findings on a layer, stack, subject and metric, as far as these are given."""
    names = ("layer", "stack", "subject", "metric")[: len(where)]
    return [row for row in findings if all(row[n] == w for n, w in zip(names, where, strict=True))]


def silent(findings: Sequence[Row]) -> bool:
    """No alarm in any layer, and all layers ran."""
    verdicts = {row["verdict"] for row in findings}
    layers = {row["layer"] for row in findings if row["verdict"] != _UNDONE}
    return not verdicts & (_ALARMS | {_UNDONE}) and layers == {str(layer) for layer in LAYERS}


def says(where: Sequence[str], verdicts: Iterable[str]) -> Demand:
    """There are findings there, and each has one of these verdicts."""
    allowed = set(verdicts)

    def demand(findings: Sequence[Row]) -> bool:
        concerned = about(findings, where)
        return bool(concerned) and all(row["verdict"] in allowed for row in concerned)

    return demand


def trials(wish: Wish, say: Say) -> Iterator[Trial]:
    """All of them; calibrating is done as each is reached."""
    yield Trial(
        "nothing (A/A)",
        (),
        replace(wish, cells=tuple((stack, CASE) for stack in wish.stacks)),
        "silence in all layers",
        (),
        silent,
    )
    on_one = replace(wish, stacks=(STACK,), cells=((STACK, CASE),))
    for change, (edit, subject, fact) in {**mutants.FACTS, **mutants.FACTS_OF_HEADERS}.items():
        yield _trial(change, (edit,), on_one, "changed", Layer.FACTS, subject, fact)
    kept = replace(on_one, routes=(CASE,))
    for change, edit, metric in (
        ("a leak of one object a request", mutants.LEAK_OF_AN_OBJECT, "blocks"),
        ("a leak of 10 KB a request", mutants.LEAK_OF_BYTES, "resident_bytes"),
    ):
        yield _trial(change, (edit,), kept, "regressed", Layer.MEMORY, CASE, metric)
    slow = "5 ms in every hundredth request"
    yield _trial(slow, (mutants.SELDOM_SLOW,), on_one, "regressed", Layer.TAILS, CASE)
    hop = "a hop through a worker thread"
    yield _trial(hop, (mutants.ANOTHER_HOP,), kept, "regressed", Layer.INSTRUCTIONS, CASE)
    changed, place = "a class that is changed with each request", (CASE, "searching")
    yield _trial(changed, (mutants.CHANGED_CLASS,), kept, "regressed", Layer.INSTRUCTIONS, *place)
    for stack in wish.stacks:
        yield _dearer(replace(wish, stacks=(stack,), cells=((stack, CASE),)), say)
    timed = replace(on_one, layers=(Layer.TIME,))
    more = steps_for_cpu(timed, say)
    cell = (str(Layer.TIME), STACK, f"{CASE}-{USERS}", "cpu_us_per_request")
    yield Trial(
        f"{MORE_CPU:.0%} more CPU ({more} steps)",
        (more_work(more),),
        timed,
        "time: regressed or cannot-tell",
        cell,
        says(cell, ["regressed", "cannot-tell"]),
    )


def _dearer(wish: Wish, say: Say) -> Trial:
    """The only stack of the wish with MORE_INSTRUCTIONS."""
    (stack,) = wish.stacks
    counted = replace(wish, routes=tuple(MORE_INSTRUCTIONS))
    steps = steps_for_instructions(replace(counted, layers=(Layer.INSTRUCTIONS,)), stack, say)
    work = tuple(more_work(steps[case], case, stack) for case in MORE_INSTRUCTIONS)
    shares = ", ".join(f"{share:.2%} in {case}" for case, share in MORE_INSTRUCTIONS.items())
    change = f"more instructions on {stack}: {shares}"
    return _trial(change, work, counted, "regressed", Layer.INSTRUCTIONS)


def _trial(
    change: str, edits: tuple[Edit, ...], wish: Wish, verdict: str, layer: Layer, *place: str
) -> Trial:
    """One that a single layer has to see, of the wish's only stack. place: subject and metric."""
    (stack,) = wish.stacks
    where = (str(layer), stack, *place)
    layer_wish = replace(wish, layers=(layer,))
    return Trial(change, edits, layer_wish, f"{layer}: {verdict}", where, says(where, [verdict]))


def run(wish: Wish, folder: Path, say: Say) -> Iterator[Outcome]:
    """Measure and judge every trial, each in a folder of its own. One that cannot be measured costs
    its own line. Raises HarnessError where what is to be seeded cannot be sized."""
    for number, trial in enumerate(trials(wish, say), start=1):
        say(f"self-test: {trial.change}")
        began = time.monotonic()
        try:
            answer, met = _tell(trial, folder / f"{number}", say)
        except HarnessError as error:
            answer, met = str(error), Met.UNDONE
        yield Outcome(trial.change, trial.demanded, answer, met, time.monotonic() - began)


def _tell(trial: Trial, place: Path, say: Say) -> tuple[str, Met]:
    """What the check says of a trial, and whether that is right. Raises HarnessError."""
    with ExitStack() as cleanup:
        sides = _pair(cleanup, trial.edits, trial.wish.stacks)
        _measure(trial.wish, sides, place, say)
    findings = judge(place)
    concerned = about(findings, trial.where) if trial.where else findings
    answer, met = _verdict_counts(concerned), met_by(trial, findings)
    if met is Met.NO and trial.wish.layers == (Layer.TIME,) and busy(read_table(place, SLOTS)):
        return f"{answer}, on a machine busy with other work", Met.UNDECIDED
    return answer, met


def met_by(trial: Trial, findings: Sequence[Row]) -> Met:
    """Whether what the check said is what it had to say, or is left in doubt."""
    if trial.demand(findings):
        return Met.YES
    verdicts = [row["verdict"] for row in about(findings, trial.where)]
    return Met.UNDECIDED if _DOUBT in verdicts and not _ALARMS & {*verdicts} else Met.NO


def busy(slots: Iterable[Row]) -> bool:
    """Whether other work met most slots, as it then met those that the change was sized by."""
    met = [Code.MACHINE_BUSY in str(row["warnings"] or "").split(";") for row in slots]
    return 2 * sum(met) > len(met)


def wish_of(rounds: int, seed: int) -> Wish:
    """All layers that a copy of what the servers need can be asked for."""
    return Wish(layers=LAYERS, stacks=CORE, cells=(), seed=seed, rounds=rounds)


def _pair(cleanup: ExitStack, edits: Sequence[Edit], stacks: Sequence[str]) -> tuple[Side, Side]:
    """Two copies of this tree, one of them edited: nothing else may differ, not even that one
    is a copy."""
    python, name = Path(sys.executable), "an edited copy" if edits else "another copy"
    base = cleanup.enter_context(mutants.copy())
    candidate = cleanup.enter_context(mutants.copy(*edits))
    return (
        look(Role.BASE, "a copy of this tree", base, python, stacks),
        look(Role.CANDIDATE, name, candidate, python, stacks),
    )


def _measure(wish: Wish, sides: Sequence[Side], place: Path, say: Say) -> None:
    folder = Folder(place, ("python", "-m", "loadtests", "regression-selftest"), sides)
    folder.begin(wish.layers)
    measure(wish, sides, folder, say)
    for layer in wish.layers:
        if not folder.layers[layer].whole:
            raise HarnessError(f"{layer}: not measured: {folder.layers[layer].why_not}")


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


def _verdict_counts(findings: Sequence[Row]) -> str:
    """How often each verdict, and the ratios where there are a few."""
    verdicts = [str(row["verdict"]) for row in findings]
    counted = ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts)
    )
    ratios = [f"{row['ratio']:.4f}" for row in findings if isinstance(row["ratio"], float)]
    return f"{counted} ({', '.join(ratios)})" if 0 < len(ratios) <= 2 else counted or "nothing"


def steps_for_instructions(wish: Wish, stack: str, say: Say) -> dict[str, int]:
    """By Case: how many steps make its share of MORE_INSTRUCTIONS in a stack, by counting a
    candidate that has many and one that has half as many.

    The edit itself moves code and names in memory, and with them what collides in the interpreter's
    caches: it took 2,500 instructions off each request of Quart's, before a step was done.
    """
    say("self-test: how many instructions a step of the added work is")
    counted = replace(wish, counts=instructions.Plan(most=1))
    many, few = (
        _tried(
            counted,
            [more_work(steps, case, stack) for case in MORE_INSTRUCTIONS],
            INSTRUCTIONS,
            say,
        )
        for steps in (_TRIED_STEPS, _TRIED_STEPS // 2)
    )
    steps_by_case = {}
    for case, share in MORE_INSTRUCTIONS.items():
        without, with_many = _medians([row for row in many if row["route"] == case], "instructions")
        _, with_few = _medians([row for row in few if row["route"] == case], "instructions")
        steps_by_case[case] = sized(share * without, with_few - without, with_many - without)
    return steps_by_case


def sized(wanted: float, few: float, many: float) -> int:
    """Steps that add so many instructions, by what half of _TRIED_STEPS and all of them added.

    Raises HarnessError where all of them did not add more.
    """
    if many <= few:
        raise HarnessError(f"twice as many steps did not show: {few:,.0f}, then {many:,.0f}")
    step = (many - few) / (_TRIED_STEPS - _TRIED_STEPS // 2)
    return math.ceil(_TRIED_STEPS + (wanted - many) / step)


def steps_for_cpu(wish: Wish, say: Say) -> int:
    """How many steps make MORE_CPU, by loading a candidate that has many."""
    say("self-test: how much CPU time a step of the added work takes")
    loaded = replace(wish, rounds=_TRIED_ROUNDS, yardstick=())
    rows = _tried(loaded, [more_work(_TRIED_STEPS)], SLOTS, say)
    without, with_ = _medians(rows, "cpu_us_per_request")
    return math.ceil(MORE_CPU * without / ((with_ - without) / _TRIED_STEPS))


def _tried(wish: Wish, edits: Sequence[Edit], table: Table, say: Say) -> list[Row]:
    """What is measured of a copy without and one with the edits."""
    with ExitStack() as cleanup:
        place = Path(cleanup.enter_context(tempfile.TemporaryDirectory())) / "tried"
        sides = _pair(cleanup, edits, wish.stacks)
        _measure(wish, sides, place, say)
        return list(read_table(place, table))


def _medians(rows: Sequence[Row], column: str) -> tuple[float, float]:
    """Of a figure, without the added work and with _TRIED_STEPS of it. Raises HarnessError."""
    medians = []
    for role in Role:
        mine = [row[column] for row in rows if row["side"] == str(role)]
        values = [float(value) for value in mine if isinstance(value, int | float)]
        if not values:
            raise HarnessError(f"the self-test's added work cannot be measured: no {column}")
        medians.append(statistics.median(values))
    without, with_ = medians
    if with_ <= without:
        raise HarnessError(
            f"{_TRIED_STEPS} steps more did not show in {column}: {without}, {with_}"
        )
    return without, with_
