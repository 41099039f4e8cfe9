"""Work in a thread that does not end within the grace time."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import Agrees, Answer, Claim, Question
from loopbench.loadtests.behaviour.stopping.scene import Stopped, ask_wait, experiments


def _judge(stopped: Stopped, grace_s: float) -> Answer:
    thread = "thread done" if "finished" in stopped.scene.seen else "thread still runs"
    return Answer(f"{stopped.when(grace_s)}, {thread}", stopped.told)


QUESTION = Question(
    asks="Does a stop end work in a thread?",
    experiments=experiments(partial(ask_wait, path="/thread"), _judge, wait_s=6.0),
    claims=(
        Claim(
            "A stop waits for worker threads.",
            {"*thread done": Agrees.YES, "*thread still runs": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*thread still runs": "The server is stopped, but its thread goes on, and the interpreter "
        "waits for it before it ends: bound what runs in threads.",
        "*thread done": "The stop takes as long as the thread does, up to the grace time.",
    },
)
