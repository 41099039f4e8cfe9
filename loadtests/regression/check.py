"""A check from beginning to end: each layer of both sides, and its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loopbench.loadtests.distributed.generator_process import generator_process
from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.hosts.cpus import bindable_cpus, plan_cpus
from loopbench.loadtests.observe.callgrind import missing
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.layers import behaviour as questions
from loopbench.loadtests.regression.layers import facts, instructions, slices
from loopbench.loadtests.regression.parallel import Patience, side_by_side
from loopbench.loadtests.regression.sides.equal_paths import alike
from loopbench.loadtests.regression.sides.sides import Say, Side
from loopbench.results.schema import Row
from loopbench.results.schema.regression import Layer
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured.

    behaviour: whether the questions about behaviour are asked, too. routes: names of the Cases
    whose instructions are counted; None: one of each route. cells: stack and case of layer 3.
    """

    layers: tuple[Layer, ...]
    stacks: tuple[str, ...]
    cells: tuple[tuple[str, str], ...]
    seed: int
    behaviour: bool = False
    routes: tuple[str, ...] | None = None
    counts: instructions.Plan = field(default_factory=instructions.Plan)
    rounds: int = slices.ROUNDS
    slice_s: float = slices.SLICE_S
    yardstick: tuple[str, ...] = slices.YARDSTICK_CASES


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
        say(f"{layer}: {_DOING[layer]}")
        try:
            _LAYERS[layer](wish, sides, folder, say)
        except (HarnessError, ServerError, ControlError, OSError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            folder.failed(layer, why, bound)
            say(f"{layer}: not measured: {why}")
        else:
            folder.done(layer, bound)


_DOING = {
    Layer.FACTS: "answers, threads, loops and blocking of each route",
    Layer.INSTRUCTIONS: "instructions of each route, under callgrind",
    Layer.TIME: "loads in turn",
}


def _facts(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    def work(side: Side, patience: Patience) -> list[Row]:
        return facts.measure(side, wish.stacks, folder.log, patience)

    for rows in side_by_side(sides, _named(work)):
        folder.append(Layer.FACTS, rows)
    if wish.behaviour:
        for side in sides:
            say(f"facts: the questions about behaviour, of the {side.role}")
            folder.append(Layer.FACTS, questions.measure(side, wish.stacks, folder.log))


def _instructions(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    lacking = missing()
    if lacking is not None:
        raise HarnessError(f"instructions cannot be counted: {lacking}")
    different = set(not_compared(sides))

    def work(side: Side, patience: Patience) -> list[Row]:
        chosen = {
            name: case
            for name, case in instructions.cases_of(side).items()
            if name not in different and (wish.routes is None or name in wish.routes)
        }
        return instructions.measure(side, dict.fromkeys(wish.stacks, chosen), wish.counts, patience)

    with alike(sides) as moved:
        for rows in side_by_side(moved, _named(work)):
            folder.append(Layer.INSTRUCTIONS, rows)


def _time(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    plan = slices.Plan(
        cells=_common(wish.cells, sides),
        yardstick=wish.yardstick,
        rounds=wish.rounds,
        slice_s=wish.slice_s,
        users=slices.USERS,
        seed=wish.seed,
    )
    cpus = plan_cpus(bindable_cpus())
    measured = slices.cells(plan, sides)
    with generator_process(cpus=cpus.generator, log=folder.log) as generator:
        loads = slices.Slots(plan, generator, cpus, folder.log)
        for number in range(1, plan.rounds + 1):
            say(f"time: Round {number} of {plan.rounds}")
            for rows in loads.round(number, measured):
                folder.append(Layer.TIME, rows)


_LAYERS: Mapping[Layer, Callable[[Wish, Sequence[Side], Folder, Say], None]] = {
    Layer.FACTS: _facts,
    Layer.INSTRUCTIONS: _instructions,
    Layer.TIME: _time,
}


def _named(
    work: Callable[[Side, Patience], list[Row]],
) -> Callable[[Side, Patience], list[Row]]:
    """`work`, with the side's name before what goes wrong with it."""

    def named(side: Side, patience: Patience) -> list[Row]:
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


def _facts_bound(wish: Wish, sides: Sequence[Side]) -> dict[str, Any]:
    return {
        "stacks": list(wish.stacks),
        "asks": facts.ASKS,
        "work_ms": facts.WORK_MS,
        "behaviour": wish.behaviour,
        "other_requests": not_compared(sides),
    }


def _instructions_bound(wish: Wish, sides: Sequence[Side]) -> dict[str, Any]:
    return {
        "stacks": list(wish.stacks),
        "requests": wish.counts.requests,
        "repeats": wish.counts.repeats,
        "warm_requests": [instructions.FIRST_REQUESTS, instructions.WARM_REQUESTS],
        "other_requests": not_compared(sides),
    }


def _time_bound(wish: Wish, sides: Sequence[Side]) -> dict[str, Any]:
    return {
        "stacks": list(wish.stacks),
        "cells": [list(cell) for cell in wish.cells],
        "yardstick": list(wish.yardstick),
        "rounds": wish.rounds,
        "slots": slices.SLOTS_A_SIDE,
        "slice_s": wish.slice_s,
        "turns": slices.TURNS_A_SLOT,
        "lead_in_s": slices.LEAD_IN_S,
        "users": slices.USERS,
        "seed": wish.seed,
        "other_requests": not_compared(sides),
    }


_BOUNDS: Mapping[Layer, Callable[[Wish, Sequence[Side]], dict[str, Any]]] = {
    Layer.FACTS: _facts_bound,
    Layer.INSTRUCTIONS: _instructions_bound,
    Layer.TIME: _time_bound,
}
