"""A request under way that does not end within the grace time."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.stopping.scene import (
    LONG_S,
    Stopped,
    ask_wait,
    experiments,
    remedies,
)


def _judge(stopped: Stopped, grace_s: float) -> Answer:
    seen = stopped.scene.seen
    handler = "cancelled" if "cancelled" in seen else "not cancelled"
    return Answer(
        f"{stopped.when(grace_s)}, handler {handler}, client {stopped.client}", stopped.told
    )


QUESTION = Question(
    asks="What becomes of a request that outlives the grace time of a stop?",
    experiments=(
        *experiments(ask_wait, _judge, wait_s=LONG_S),
        *(
            one
            for one in remedies(ask_wait, _judge, wait_s=LONG_S)
            if one.stack == "quart-hypercorn"
        ),
    ),
    claims=(
        Claim(
            "After the grace time a request is cancelled, and the server is gone.",
            {
                "stops after the grace time, handler cancelled*": Agrees.YES,
                "stops*handler cancelled*": Agrees.PARTLY,
                "*": Agrees.NO,
            },
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "stops after twice the grace time*": "Set the grace time to half of what your platform "
        "allows before it kills.",
        "*handler not cancelled*": "The stop abandons the handler: what it holds is not released.",
        "stops after the grace time*": "Set the grace time below what your platform allows before "
        "it kills (Kubernetes: 30 s).",
        "does not stop*": "From Python 3.12 on Hypercorn waits without a bound for every open "
        "connection: bound the handler's own waits, or cancel the task that serves.",
    },
)
