"""A connection on which half a request's head has come."""

from __future__ import annotations

import time

from loopbench.loadtests.behaviour.framework.question import Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.stopping.scene import Scene, experiments, simply


def _half(wire: Wire, _: Scene) -> None:
    wire.send(b"GET / HTTP/1.1\r\nHost: loc")
    time.sleep(0.2)  # so that the server has read it


QUESTION = Question(
    asks="Does half a request hold up a stop?",
    experiments=experiments(_half, simply),
    follows={
        "stops at once*": "A client that never finishes its request does not hold up a deploy.",
        "stops after*": "One client that never finishes its request costs this time at each stop.",
    },
)
