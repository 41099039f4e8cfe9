"""A request whose body stops in the middle, at a stop."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.stopping.scene import Scene, experiments, simply


def _half(wire: Wire, scene: Scene) -> None:
    wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
    scene.seen.wait("begun")


QUESTION = Question(
    asks="Does a request hold up a stop whose body does not come?",
    experiments=experiments(_half, simply),
    follows={
        "stops after*": "One client that never sends its body costs this time at each stop.",
    },
)
