"""A connection that is open and idle."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.stopping.scene import Scene, experiments, simply


def _idle(wire: Wire, _: Scene) -> None:
    wire.request("GET", "/")
    wire.answer()


QUESTION = Question(
    asks="Does an idle keep-alive connection hold up a stop?",
    experiments=experiments(_idle, simply),
    claims=(
        Claim(
            "Idle connections are closed at once when the server stops.",
            {"stops at once*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "stops at once*": "Load balancers' idle connections do not hold up a deploy.",
        "stops after*": "An idle connection costs this time at each stop: lower the keep-alive "
        "time, or the grace time.",
    },
)
