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
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json

T = TypeVar("T")

IN_TURN = frozenset({Layer.TAILS})
"""Layers that compare what two sides do in the same minutes, so that one side alone has none."""

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
    for layer in Layer:
        if layer not in wish.layers:
            continue
        bound = _BOUNDS[layer](wish, sides)
        if layer in IN_TURN and len(sides) < 2:
            folder.failed(layer, SIDE_BY_SIDE, bound)
            continue
        say(f"{layer}: {_DOING[layer]}")
        try:
            bound |= _LAYERS[layer](wish, sides, folder, say) or {}
        except (HarnessError, ServerError, ControlError, OSError, HTTPException) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            folder.failed(layer, why, bound)
            say(f"{layer}: not measured: {why}")
        else:
            folder.done(layer, bound)


_DOING = {
    Layer.FACTS: "answers, threads, loops and blocking of each route",
    Layer.BEHAVIOUR: "the questions about behaviour",
    Layer.INSTRUCTIONS: "instructions of each route, under callgrind",
    Layer.MEMORY: "what is kept of requests that have ended",
    Layer.TAILS: "slow requests among many, in turn",
    Layer.TIME: "loads in turn",
}


def _facts(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> Json:
    commands = started.commands(wish.stacks, sides)

    def asked(only: Collection[facts.Subject] | None) -> list[list[Row]]:
        def work(side: Side, patience: Patience) -> list[Row]:
            return [
                *facts.measure(side, wish.stacks, folder.log, patience, only),
                *started.measure(side, commands.asked, folder.log, patience, only),
            ]

        return side_by_side(sides, _named(work))

    rows = asked(None)
    for _ in range(facts.AGAIN):
        different = facts.differing(*_pair(Layer.FACTS, rows, sides, wish))
        if not different:
            break
        say(f"facts: the sides differ in {len(different)} subjects, which are asked again")
        rows = [[*one, *more] for one, more in zip(rows, asked(different), strict=True)]
    for found in rows:
        folder.append(Layer.FACTS, found)
    return {"lacking": [list(one) for one in commands.lacking]}


def _behaviour(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    def asked(questions: Sequence[str]) -> list[list[Row]]:
        # One side after the other: the questions that compare times are asked on their own.
        return [questions_of(side, questions) for side in sides]

    def questions_of(side: Side, questions: Sequence[str]) -> list[Row]:
        say(f"behaviour: {', '.join(questions) or 'all questions'}, of the {side.role}")
        return behaviour.measure(side, wish.stacks, folder.log, questions)

    rows = asked(wish.questions)
    for _ in range(behaviour.AGAIN):
        different = behaviour.differing(*_pair(Layer.BEHAVIOUR, rows, sides, wish))
        if not different:
            break
        rows = [[*one, *more] for one, more in zip(rows, asked(different), strict=True)]
    for found in rows:
        folder.append(Layer.BEHAVIOUR, found)


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
    different = set(not_compared(sides))

    def counted(
        plan: instructions.Plan, before: int, only: Collection[instructions.Route] | None
    ) -> list[Counts]:
        def work(side: Side, patience: Patience) -> Counts:
            chosen = {
                name: case
                for name, case in instructions.cases_of(side).items()
                if name not in different and (wish.routes is None or name in wish.routes)
            }
            cases = dict.fromkeys(wish.stacks, chosen)
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


def _memory(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    different = set(not_compared(sides))

    def work(side: Side, patience: Patience) -> list[Row]:
        cases = {
            name: case
            for name, case in instructions.cases_of(side).items()
            if name not in different and (wish.routes is None or name in wish.routes)
        }
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


_LAYERS: Mapping[Layer, Callable[[Wish, Sequence[Side], Folder, Say], Json | None]] = {
    Layer.FACTS: _facts,
    Layer.BEHAVIOUR: _behaviour,
    Layer.INSTRUCTIONS: _instructions,
    Layer.MEMORY: _memory,
    Layer.TAILS: _tails,
    Layer.TIME: _time,
}


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


def _facts_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "asks": blocking.ASKS,
        "again": facts.AGAIN,
        "work_ms": blocking.WORK_MS,
        "other_requests": not_compared(sides),
    }


def _behaviour_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "questions": list(wish.questions),
        "again": behaviour.AGAIN,
    }


def _instructions_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "requests": wish.counts.requests,
        "repeats": wish.counts.repeats,
        "again": wish.counts.most - wish.counts.repeats,
        "warm_requests": [FIRST_REQUESTS, WARM_REQUESTS],
        "other_requests": not_compared(sides),
    }


def _memory_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "requests": memory.REQUESTS,
        "repeats": memory.REPEATS,
        "other_requests": not_compared(sides),
    }


def _tails_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "cells": [list(cell) for cell in wish.cells],
        "batches": tails.BATCHES,
        "requests": tails.REQUESTS,
        "slow_ms": tails.SLOW_MS,
        "seed": wish.seed,
        "other_requests": not_compared(sides),
    }


def _time_bound(wish: Wish, sides: Sequence[Side]) -> Json:
    return {
        "stacks": list(wish.stacks),
        "cells": [list(cell) for cell in wish.cells],
        "yardstick": list(wish.yardstick),
        "rounds": wish.rounds or TIME_ROUNDS,
        "slice_s": wish.slice_s,
        "turns": TIME_TURNS,
        "lead_in_s": slices.LEAD_IN_S,
        "users": slices.USERS,
        "seed": wish.seed,
        "other_requests": not_compared(sides),
    }


_BOUNDS: Mapping[Layer, Callable[[Wish, Sequence[Side]], Json]] = {
    Layer.FACTS: _facts_bound,
    Layer.BEHAVIOUR: _behaviour_bound,
    Layer.INSTRUCTIONS: _instructions_bound,
    Layer.MEMORY: _memory_bound,
    Layer.TAILS: _tails_bound,
    Layer.TIME: _time_bound,
}
