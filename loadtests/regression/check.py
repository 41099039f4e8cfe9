"""A check from beginning to end: each layer of both sides, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar

from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import bindable_cpus, plan_cpus
from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.observe.request_counts import FIRST_REQUESTS, WARM_REQUESTS
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.layers import (
    behaviour,
    blocking,
    facts,
    functions,
    instructions,
    memory,
    slices,
    started,
    tails,
)
from loopbench.loadtests.regression.layers.instructions import Counts
from loopbench.loadtests.regression.parallel import side_by_side
from loopbench.loadtests.regression.sides.equal_paths import alike
from loopbench.loadtests.regression.sides.sides import Role, Say, Side
from loopbench.results.schema import (
    FUNCTIONS,
    UNCOUNTED,
    Row,
    SchemaError,
    read_table,
)
from loopbench.results.schema.regression import TABLE_OF, TIME_ROUNDS, TIME_TURNS, Layer
from loopbench.servers.contract.http import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json

T = TypeVar("T")

IN_TURN = frozenset({Layer.TAILS})
"""Layers that compare what two sides do in the same minutes, so that one side alone has none."""

AGAIN = 3
"""How often at most both sides are asked again for what they answered differently."""

SIDE_BY_SIDE = "not asked: it compares two sides that are asked in turn, so name a base"
"""Why a layer has nothing to compare with a baseline from another occasion."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured.

    routes: names of the Cases whose instructions are counted; None: one of each route.
    cells: stack and case of the layer of times; those of tails, too. known: the folder of the
    baseline, which a candidate that stands alone is compared with. rounds: of the layer of times;
    None: as many as its budget allows, TIME_ROUNDS at most. questions: names and patterns
    of those that are asked in the layer of behaviour; blank: all.
    """

    layers: tuple[Layer, ...]
    stacks: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]
    seed: int
    routes: tuple[str, ...] | None = None
    counts: instructions.Plan = field(default_factory=instructions.Plan)
    rounds: int | None = None
    slice_s: float = slices.SLICE_S
    yardstick: tuple[str, ...] = slices.YARDSTICK_CASES
    known: Path | None = None
    questions: tuple[str, ...] = ()

    @property
    def behaviour(self) -> bool:
        """Whether the questions about behaviour are asked, which takes the sides' own harness."""
        return Layer.BEHAVIOUR in self.layers


def cells_of(stacks: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Every stack with every case that is loaded."""
    return tuple((stack, case) for stack in stacks for case in slices.CASES)


def measure(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    """Measure the layers that are wished for; one that cannot be has its reason in sides.json.

    Raises HarnessError where the folder cannot be written.
    """
    common = {"stacks": list(wish.stacks), "other_requests": not_compared(sides)}
    for layer, one in _LAYERS.items():
        if layer not in wish.layers:
            continue
        bound = common | one.bound(wish)
        if layer in IN_TURN and len(sides) < 2:
            folder.failed(layer, SIDE_BY_SIDE, bound)
            continue
        say(f"{layer}: {one.what}")
        try:
            bound |= one.measure(wish, sides, folder, say) or {}
        except (HarnessError, ServerError, ControlError, OSError, HTTPException) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            folder.failed(layer, why, bound)
            say(f"{layer}: not measured: {why}")
        else:
            folder.done(layer, bound)


def _facts(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> Json:
    commands = started.commands(wish.stacks, sides)

    def ask(only: Collection[facts.Subject] | None) -> list[list[Row]]:
        def work(side: Side, patience: Patience) -> list[Row]:
            return [
                *facts.measure(side, wish.stacks, folder.log, patience, only),
                *started.measure(side, commands.asked, folder.log, patience, only),
            ]

        return side_by_side(sides, _named(work))

    _ask_again(Layer.FACTS, ask, facts.differing, wish, sides, folder, say)
    return {"lacking": [list(one) for one in commands.lacking]}


def _behaviour(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    def ask(only: Collection[str] | None) -> list[list[Row]]:
        questions = wish.questions if only is None else tuple(only)
        # One side after the other: the questions that compare times are asked on their own.
        return [questions_of(side, questions) for side in sides]

    def questions_of(side: Side, questions: Sequence[str]) -> list[Row]:
        say(f"behaviour: {', '.join(questions) or 'all questions'}, of the {side.role}")
        return behaviour.measure(side, wish.stacks, folder.log, questions)

    _ask_again(Layer.BEHAVIOUR, ask, behaviour.differing, wish, sides, folder, say)


def _ask_again(
    layer: Layer,
    ask: Callable[[Collection[T] | None], list[list[Row]]],
    differing: Callable[[Sequence[Row], Sequence[Row]], Collection[T]],
    wish: Wish,
    sides: Sequence[Side],
    folder: Folder,
    say: Say,
) -> None:
    """Write what the sides answer. For what they differ in, all of them are asked again, AGAIN
    times at most; the rows of every asking are kept."""
    rows = ask(None)
    for _ in range(AGAIN):
        different = differing(*_pair(layer, rows, sides, wish))
        if not different:
            break
        say(f"{layer}: the sides differ in {len(different)} subjects, which are asked again")
        rows = [[*one, *more] for one, more in zip(rows, ask(different), strict=True)]
    for found in rows:
        folder.append(layer, found)


def _pair(
    layer: Layer, rows: Sequence[Sequence[Row]], sides: Sequence[Side], wish: Wish
) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows of base and candidate; those of the base perhaps from the baseline's folder.
    Without any base there is nothing that could differ. Raises HarnessError."""
    if len(rows) == 2:
        return rows[0], rows[1]
    table, known = TABLE_OF[layer], wish.known
    if known is None or sides[0].role is Role.BASE or not (known / table.filename).is_file():
        return (), rows[0]
    try:
        return list(read_table(known, table)), rows[0]
    except SchemaError as error:
        raise HarnessError(f"the baseline cannot be read: {error}") from None


def _instructions(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> Json | None:
    lacking = missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")

    def counted(
        plan: instructions.Plan, before: int, only: Collection[instructions.Route] | None
    ) -> list[Counts]:
        def work(side: Side, patience: Patience) -> Counts:
            cases = dict.fromkeys(wish.stacks, _routes(wish, side, sides))
            return instructions.measure(side, cases, plan, patience, before, only)

        return side_by_side(moved, _named(work))

    with alike(sides) as moved:
        found = counted(wish.counts, 0, None)
        for repeat in range(wish.counts.repeats, wish.counts.most):
            pair = _pair(Layer.INSTRUCTIONS, [one.rows for one in found], sides, wish)
            doubtful = instructions.in_doubt(*pair)
            if not doubtful:
                break
            routes = ", ".join(" ".join(route) for route in doubtful)
            say(f"instructions: counted again, since counts differ: {routes}")
            again = counted(replace(wish.counts, repeats=1), repeat, doubtful)
            for one, more in zip(found, again, strict=True):
                one.rows.extend(more.rows)
                one.reasons.update(more.reasons)
    for side, one in zip(sides, found, strict=True):
        folder.append(Layer.INSTRUCTIONS, one.rows)
        if one.reasons:
            folder.append_to(UNCOUNTED, _reasons(side, one))
    if len(sides) < 2 or wish.counts.most < 2:
        return None  # a single count, as the self-test takes to size a change, is no verdict
    return _functions(sides, found, folder, say)


def _functions(
    sides: Sequence[Side], found: Sequence[Counts], folder: Folder, say: Say
) -> Json | None:
    """Count the routes that grew by function; what could not be is said in the layer's bound."""
    routes = functions.grown(*(one.rows for one in found))
    if not routes:
        return None
    say(f"instructions: by function, of {', '.join(' '.join(route) for route in routes)}")
    try:
        for rows in functions.rows_of(sides, routes):
            folder.append_to(FUNCTIONS, rows)
    except (HarnessError, ServerError, ControlError, OSError) as error:
        why = " ".join(str(error).split())
        return {"functions": f"which functions grew is not known: {why}"}
    return None


def _reasons(side: Side, counts: Counts) -> Iterator[Row]:
    for (stack, route), reason in counts.reasons.items():
        yield {"side": str(side.role), "stack": stack, "route": route, "reason": reason}


def _routes(wish: Wish, side: Side, sides: Sequence[Side]) -> dict[str, Case]:
    """What is counted of a side: the routes that are wished for, where the sides ask alike."""
    different = set(not_compared(sides))
    return {
        name: case
        for name, case in instructions.cases_of(side).items()
        if name not in different and (wish.routes is None or name in wish.routes)
    }


def _memory(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    def work(side: Side, patience: Patience) -> list[Row]:
        cases = _routes(wish, side, sides)
        return memory.measure(side, cases, wish.stacks, folder.log, patience)

    for rows in side_by_side(sides, _named(work)):
        folder.append(Layer.MEMORY, rows)


def _tails(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    plan = tails.Plan(_common(wish.cells, sides), wish.seed)
    for rows in tails.measure(plan, sides, folder.log):
        folder.append(Layer.TAILS, rows)


def _time(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> Json:
    common = _common(wish.cells, sides)
    plan = slices.Plan(
        cells=common,
        yardstick=wish.yardstick,
        rounds=wish.rounds or TIME_ROUNDS,
        slice_s=wish.slice_s,
        users=slices.USERS,
        seed=wish.seed,
        budget_s=slices.budget_s(common) if wish.rounds is None else None,
    )
    cpus, number = plan_cpus(bindable_cpus()), 0
    with generator_process(cpus=cpus.generator, log=folder.log) as generator:
        loads = slices.Slots(plan, generator, cpus, folder.log)
        for number in slices.numbers(plan):
            say(f"time: Round {number} of {plan.rounds}")
            for rows in loads.round(number, slices.cells(plan, sides, number)):
                folder.append(Layer.TIME, rows)
    return {"rounds": number}


def _named(
    work: Callable[[Side, Patience], T],
) -> Callable[[Side, Patience], T]:
    """`work`, with the side's name before what goes wrong with it."""

    def named(side: Side, patience: Patience) -> T:
        try:
            return work(side, patience)
        except (HarnessError, ServerError, ControlError, OSError) as error:
            raise HarnessError(f"{side.role} ({side.name}): {error}") from error

    return named


def not_compared(sides: Sequence[Side]) -> list[str]:
    """Cases of one name whose requests differ between the sides' contracts."""
    requests: dict[str, set[Any]] = {}
    for side in sides:
        for case in side.cases.values():
            requests.setdefault(case.name, set()).add(case.request)
    return sorted(name for name, found in requests.items() if len(found) > 1)


def _common(
    wanted: Sequence[tuple[str, str]], sides: Sequence[Side]
) -> tuple[tuple[str, str], ...]:
    """The cells that both sides have, with the same request."""
    different = set(not_compared(sides))
    kept = tuple(
        (stack, case)
        for stack, case in wanted
        if case not in different
        and all(case in side.cases and stack in side.stacks for side in sides)
    )
    if not kept:
        raise HarnessError("the sides have no stack and case in common that could be loaded")
    return kept


@dataclass(frozen=True, slots=True)
class Measuring:
    """How a layer is measured. what: for a person. bound: the settings that it runs with, beside
    what `measure` adds to them and what all layers have."""

    what: str
    measure: Callable[[Wish, Sequence[Side], Folder, Say], Json | None]
    bound: Callable[[Wish], Json]


def _cells(wish: Wish) -> list[list[str]]:
    return [list(cell) for cell in wish.cells]


_LAYERS: Mapping[Layer, Measuring] = {
    Layer.FACTS: Measuring(
        "answers, threads, loops and blocking of each route",
        _facts,
        lambda wish: {"asks": blocking.ASKS, "again": AGAIN, "work_ms": blocking.WORK_MS},
    ),
    Layer.BEHAVIOUR: Measuring(
        "the questions about behaviour",
        _behaviour,
        lambda wish: {"questions": list(wish.questions), "again": AGAIN},
    ),
    Layer.INSTRUCTIONS: Measuring(
        "instructions of each route, under callgrind",
        _instructions,
        lambda wish: {
            "requests": wish.counts.requests,
            "repeats": wish.counts.repeats,
            "again": wish.counts.most - wish.counts.repeats,
            "warm_requests": [FIRST_REQUESTS, WARM_REQUESTS],
        },
    ),
    Layer.MEMORY: Measuring(
        "what is kept of requests that have ended",
        _memory,
        lambda wish: {"requests": memory.REQUESTS, "repeats": memory.REPEATS},
    ),
    Layer.TAILS: Measuring(
        "slow requests among many, in turn",
        _tails,
        lambda wish: {
            "cells": _cells(wish),
            "batches": tails.BATCHES,
            "requests": tails.REQUESTS,
            "slow_ms": tails.SLOW_MS,
            "seed": wish.seed,
        },
    ),
    Layer.TIME: Measuring(
        "loads in turn",
        _time,
        lambda wish: {
            "cells": _cells(wish),
            "yardstick": list(wish.yardstick),
            "rounds": wish.rounds or TIME_ROUNDS,
            "slice_s": wish.slice_s,
            "turns": TIME_TURNS,
            "lead_in_s": slices.LEAD_IN_S,
            "users": slices.USERS,
            "seed": wish.seed,
        },
    ),
}
"""From exact to statistical, which is the order in which they are measured."""
