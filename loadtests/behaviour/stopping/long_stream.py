"""A streamed answer that is under way."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.stopping.scene import LONG_S, Stopped, ask_wait, experiments


def _judge(stopped: Stopped, grace_s: float) -> Answer:
    handler = "cancelled" if "cancelled" in stopped.scene.seen else "not cancelled"
    return Answer(f"{stopped.when(grace_s)}, stream {handler}", stopped.told)


QUESTION = Question(
    asks="What becomes of a streamed answer that outlives the grace time?",
    experiments=experiments(partial(ask_wait, path="/stream"), _judge, wait_s=LONG_S),
    follows={
        "*stream cancelled": "The client sees an answer that is cut off: let it resume, or keep "
        "streams shorter than the grace time.",
        "*stream not cancelled": "The stream's clean-up does not run.",
    },
)
