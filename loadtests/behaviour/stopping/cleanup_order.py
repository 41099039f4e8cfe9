"""Clean-ups of the application, and requests that are under way."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.stopping.scene import Stopped, ask_wait, experiments


def _judge(stopped: Stopped, _: float) -> Answer:
    events = [event for event in stopped.scene.seen.events if event != "begun"]
    if "clean-up" not in events:
        return Answer("the clean-up never ran", stopped.told)
    order = "before" if events.index("clean-up") == 0 else "after"
    return Answer(f"clean-up {order} the request has ended", stopped.told)


QUESTION = Question(
    asks="Does the application's clean-up wait for requests that are under way?",
    experiments=experiments(ask_wait, _judge, graces=(0.5,)),
    claims=(
        Claim(
            "Clean-ups run when no request is left.",
            {"clean-up after*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "clean-up after*": "A handler may use what the clean-up closes until its end.",
        "clean-up before*": "A handler that outlives the grace time meets closed pools and files.",
    },
)
