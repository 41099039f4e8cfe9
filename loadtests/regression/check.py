"""A check from beginning to end: each layer of both sides, and its rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException

from loopbench.loadtests.errors import HarnessError
from loopbench.loadtests.observe.patience import Patience
from loopbench.loadtests.regression.folder import Folder
from loopbench.loadtests.regression.measuring import LAYERS, Task
from loopbench.loadtests.regression.sides.sides import Say, Side
from loopbench.loadtests.regression.wish import Wish
from loopbench.results.schema.regression import Layer
from loopbench.servers.errors import ServerError
from loopbench.servers.supervision.control_pipe import ControlError
from loopbench.servers.supervision.messages import Json

EXACT = frozenset({Layer.INSTRUCTIONS})
"""Layers whose figures no load of the machine changes. They are measured beside the layer that is
the first, with the CPU time that it leaves while it waits."""

IN_TURN = frozenset({Layer.TAILS})
"""Layers that compare what two sides do in the same minutes, so that one side alone has none."""

SIDE_BY_SIDE = "not asked: it compares two sides that are asked in turn, so name a base"
"""Why a layer has nothing to compare with a baseline from another occasion."""


def measure(wish: Wish, sides: Sequence[Side], folder: Folder, say: Say) -> None:
    """Measure the layers that are wished for; one that cannot be has its reason in sides.json.

    Raises HarnessError where the folder cannot be written.
    """
    asked = [layer for layer in LAYERS if layer in wish.layers]
    task = Task(wish, sides, folder, say, Patience())
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        begun = {
            layer: beside.submit(_measure, layer, task) for layer in asked[1:] if layer in EXACT
        }
        try:
            for layer in asked:
                if layer in begun:
                    begun[layer].result()
                else:
                    _measure(layer, task)
        finally:
            task.patience.end()


def _measure(layer: Layer, task: Task) -> None:
    """Measure it and say in sides.json how that ended, as soon as it has."""
    outcome = _outcome(layer, task)
    if outcome.why_not is None:
        task.folder.done(layer, outcome.bound)
    else:
        task.folder.failed(layer, outcome.why_not, outcome.bound)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How measuring a layer ended. bound: its settings. why_not: None where it was measured."""

    bound: Json
    why_not: str | None = None


def _outcome(layer: Layer, task: Task) -> Outcome:
    measuring, bound = LAYERS[layer], task.bound(layer)
    if layer in IN_TURN and len(task.sides) < 2:
        return Outcome(bound, SIDE_BY_SIDE)
    task.say(f"{layer}: {measuring.what}")
    try:
        more = measuring.measure(task)
    except (HarnessError, ServerError, ControlError, OSError, HTTPException) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        task.say(f"{layer}: not measured: {why}")
        return Outcome(bound, why)
    return Outcome(bound | (more or {}))
