"""A stop with nothing to wait for."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire
from loopbench.loadtests.behaviour.stopping.scene import Scene, Stopped, experiments


def _leave(wire: Wire, _: Scene) -> None:
    wire.request("GET", "/")
    wire.answer()
    wire.leave(Leaving.FIN)


def _when(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(stopped.when(grace_s), stopped.told)


QUESTION = Question(
    asks="How long does a stop take when no connection is open?",
    experiments=experiments(_leave, _when, graces=()),
    follows={
        "stops at once": "Nothing is waited for without need.",
        "stops after*": "The stop waits although nothing is under way.",
    },
)
