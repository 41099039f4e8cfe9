"""A request under way that ends within the grace time."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Question
from loopbench.loadtests.behaviour.stopping.scene import ask_wait, experiments, simply

QUESTION = Question(
    asks="Is a request finished that is under way at a stop and ends within the grace time?",
    experiments=experiments(ask_wait, simply, graces=(5.0,)),
    claims=(
        Claim(
            "A graceful stop lets requests finish.",
            {"*client got 200*": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={"*client got 200*": "A deploy loses no request that ends within the grace time."},
)
