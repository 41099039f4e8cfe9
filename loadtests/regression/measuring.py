"""How each layer of a check is measured: its settings, and its rows of both sides."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.awake import kept_awake
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
from loopbench.loadtests.regression.parts import Name, Parts, keeping, not_reached
from loopbench.loadtests.regression.sides.equal_paths import alike
from loopbench.loadtests.regression.sides.sides import Role, Say, Side
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema import (
    FUNCTIONS,
    UNCOUNTED,
    Row,
    SchemaError,
    read_table,
)
from loopbench.results.schema.reading_warnings import MIN_ROUNDS
from loopbench.results.schema.regression import TABLE_OF, TIME_ROUNDS, TIME_TURNS, Layer
from loopbench.servers.contract.http import Case
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json

T = TypeVar("T")

AGAIN = 3
"""How often at most both sides are asked again for what they answered differently."""


@dataclass(frozen=True, slots=True)
class Task:
    """What the layers of a check share. patience: ends where the whole was given up."""

    wish: Wish
    sides: Sequence[Side]
    folder: Folder
    say: Say
    patience: Patience

    def bound(self, layer: Layer) -> Json:
        """The settings that a layer is measured with."""
        common = {"stacks": list(self.wish.stacks), "other_requests": not_compared(self.sides)}
        return common | LAYERS[layer].bound(self.wish)


def _facts(task: Task) -> Json:
    commands = started.commands(task.wish.stacks, task.sides)

    def ask(parts: Parts, only: Collection[facts.Subject] | None) -> None:
        def work(side: Side, patience: Patience) -> None:
            log = task.folder.log
            for part in facts.measure(side, task.wish.stacks, log, patience, only):
                parts.add(side, part)
            for part in started.measure(side, commands.asked, log, patience, only):
                parts.add(side, part)

        side_by_side(task.sides, _named(work), task.patience)

    planned = (*facts.planned(task.wish.stacks), *started.planned(commands.asked))
    more: Json = {"lacking": [list(entry) for entry in commands.lacking]}
    _ask_again(Answers(Layer.FACTS, ask, facts.differing, planned, more), task)
    return more


def _behaviour(task: Task) -> None:
    def ask(parts: Parts, only: Collection[str] | None) -> None:
        questions = task.wish.questions if only is None else tuple(only)
        # One side after the other: the questions that compare times are asked on their own.
        for side in task.sides:
            task.say(f"behaviour: {', '.join(questions) or 'all questions'}, of the {side.role}")
            _named(partial(_answered, task, parts, questions))(side, task.patience)
            if only is None and len(task.sides) > 1:
                parts.planned = parts.names(side)

    others = [(stack, "the other questions") for stack in task.wish.stacks]
    _ask_again(Answers(Layer.BEHAVIOUR, ask, behaviour.differing, others), task)


def _answered(
    task: Task, parts: Parts, questions: Sequence[str], side: Side, patience: Patience
) -> None:
    """What a side's harness answers, and what it has answered where it is broken off."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)

        def add() -> None:
            for part in behaviour.answered(side, place):
                parts.add(side, part)

        try:
            behaviour.ask(side, task.wish.stacks, task.folder.log, place, questions)
        except BaseException:
            with suppress(HarnessError):  # why it was broken off is told, and not this
                add()
            raise
        add()


@dataclass(frozen=True, slots=True)
class Answers(Generic[T]):
    """A layer whose answers are asked for again where the sides differ.

    ask: adds to the Parts all, or what of it is named. differing: what of two sides' rows is to be
    asked again. planned: what is asked at first. more: settings beside those of every check.
    """

    layer: Layer
    ask: Callable[[Parts, Collection[T] | None], None]
    differing: Callable[[Sequence[Row], Sequence[Row]], Collection[T]]
    planned: Sequence[Name]
    more: Json = field(default_factory=dict)


def _ask_again(answers: Answers[T], task: Task) -> None:
    """Write what the sides answer. For what they differ in, all of them are asked again, AGAIN
    times at most; the rows of every asking are kept."""
    layer, bound = answers.layer, task.bound(answers.layer) | answers.more
    with keeping(layer, task.folder, answers.planned, bound) as parts:
        answers.ask(parts, None)
    rows = parts.rows()
    for _ in range(AGAIN):
        different = answers.differing(*_pair(layer, rows, task.sides, task.wish))
        if not different:
            break
        task.say(f"{layer}: the sides differ in {len(different)} subjects, which are asked again")
        with keeping(layer, task.folder, (), bound) as parts:
            answers.ask(parts, different)
        rows = [[*earlier, *more] for earlier, more in zip(rows, parts.rows(), strict=True)]


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


def _instructions(task: Task) -> Json | None:
    lacking = missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")

    def counted(
        plan: instructions.Plan, before: int, only: Collection[instructions.Route] | None
    ) -> list[Counts]:
        def work(side: Side, patience: Patience) -> Counts:
            cases = dict.fromkeys(task.wish.stacks, _routes(task.wish, side, task.sides))
            return instructions.measure(side, cases, plan, patience, before, only)

        return side_by_side(moved, _named(work), task.patience)

    with alike(task.sides) as moved:
        counts = counted(task.wish.counts, 0, None)
        _keep_counts(task, counts)
        task.folder.kept(Layer.INSTRUCTIONS, task.bound(Layer.INSTRUCTIONS))
        for repeat in range(task.wish.counts.repeats, task.wish.counts.most):
            pair = _pair(
                Layer.INSTRUCTIONS, [of_side.rows for of_side in counts], task.sides, task.wish
            )
            doubtful = instructions.in_doubt(*pair)
            if not doubtful:
                break
            routes = ", ".join(" ".join(route) for route in doubtful)
            task.say(f"instructions: counted again, since counts differ: {routes}")
            again = counted(replace(task.wish.counts, repeats=1), repeat, doubtful)
            for of_side, more in zip(counts, again, strict=True):
                of_side.rows.extend(more.rows)
                for known in of_side.reasons:
                    more.reasons.pop(known, None)
                of_side.reasons.update(more.reasons)
            _keep_counts(task, again)
    if len(task.sides) < 2 or task.wish.counts.most < 2:
        return None  # a single count, as the self-test takes to size a change, is no verdict
    return _functions(task, counts)


def _keep_counts(task: Task, counts: Sequence[Counts]) -> None:
    """Write what has been counted of each side."""
    for side, of_side in zip(task.sides, counts, strict=True):
        task.folder.append(Layer.INSTRUCTIONS, of_side.rows)
        if of_side.reasons:
            task.folder.append_to(UNCOUNTED, _reasons(side, of_side))


def _functions(task: Task, counts: Sequence[Counts]) -> Json | None:
    """Count the routes that grew by function; what could not be is said in the layer's bound."""
    routes = functions.grown(*(of_side.rows for of_side in counts))
    if not routes:
        return None
    task.say(f"instructions: by function, of {', '.join(' '.join(route) for route in routes)}")
    try:
        for rows in functions.rows_of(task.sides, routes, task.patience):
            task.folder.append_to(FUNCTIONS, rows)
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


def _memory(task: Task) -> None:
    cases = {side.role: _routes(task.wish, side, task.sides) for side in task.sides}
    planned = memory.planned(dict.fromkeys(chain(*cases.values())), task.wish.stacks)
    with keeping(Layer.MEMORY, task.folder, planned, task.bound(Layer.MEMORY)) as parts:

        def work(side: Side, patience: Patience) -> None:
            of_side, log = cases[side.role], task.folder.log
            for part in memory.measure(side, of_side, task.wish.stacks, log, patience):
                parts.add(side, part)

        side_by_side(task.sides, _named(work), task.patience)


def _tails(task: Task) -> None:
    plan = tails.Plan(_common(task.wish.cells, task.sides), task.wish.seed)
    left = list(plan.cells)
    for rows in tails.measure(plan, task.sides, task.folder.log):
        task.folder.append(Layer.TAILS, rows)
        left.remove((str(rows[0]["stack"]), str(rows[0]["case"])))
        task.folder.kept(Layer.TAILS, task.bound(Layer.TAILS) | not_reached(left))


def _time(task: Task) -> Json:
    common = _common(task.wish.cells, task.sides)
    plan = slices.Plan(
        cells=common,
        yardstick=task.wish.yardstick,
        rounds=task.wish.rounds or TIME_ROUNDS,
        slice_s=task.wish.slice_s,
        users=slices.USERS,
        seed=task.wish.seed,
        budget_s=slices.budget_s(common) if task.wish.rounds is None else None,
    )
    cpus, number = plan_cpus(bindable_cpus()), 0
    with (
        kept_awake(),
        generator_process(cpus=cpus.generator, log=task.folder.log) as generator,
    ):
        loads = slices.Slots(plan, generator, cpus, task.folder.log)
        for number in slices.numbers(plan):
            task.say(f"time: Round {number} of {plan.rounds}")
            for rows in loads.round(number, slices.cells(plan, task.sides, number)):
                task.folder.append(Layer.TIME, rows)
            if number >= MIN_ROUNDS:
                task.folder.kept(Layer.TIME, task.bound(Layer.TIME) | {"rounds": number})
    return {"rounds": number}


def _named(
    work: Callable[[Side, Patience], T],
) -> Callable[[Side, Patience], T]:
    """`work`, with the side's name before what goes wrong with it."""

    def named(side: Side, patience: Patience) -> T:
        try:
            return work(side, patience)
        except (HarnessError, ServerError, ControlError, OSError) as error:
            patience.check()  # what was given up has no failure of its own
            raise HarnessError(f"{side.role} ({side.name}): {error}") from error

    return named


def not_compared(sides: Sequence[Side]) -> list[str]:
    """Cases of one name whose requests differ between the sides' contracts."""
    requests: dict[str, set[Any]] = {}
    for side in sides:
        for case in side.cases.values():
            requests.setdefault(case.name, set()).add(case.request)
    return sorted(name for name, variants in requests.items() if len(variants) > 1)


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
    measure: Callable[[Task], Json | None]
    bound: Callable[[Wish], Json]


def _cells(wish: Wish) -> list[list[str]]:
    return [list(cell) for cell in wish.cells]


LAYERS: Mapping[Layer, Measuring] = {
    Layer.FACTS: Measuring(
        "answers, threads, loops and blocking of each route",
        _facts,
        lambda wish: {"asks": blocking.ASKS, "again": AGAIN, "work_ms": blocking.WORK_MS},
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
    Layer.BEHAVIOUR: Measuring(
        "the questions about behaviour",
        _behaviour,
        lambda wish: {"questions": list(wish.questions), "again": AGAIN},
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
"""The order in which they are measured: from exact to statistical."""
