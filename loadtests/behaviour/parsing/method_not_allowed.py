"""A path that is there, asked with a method that has no handler there."""

from __future__ import annotations

from loopbench.loadtests.behaviour.framework.question import DEFAULT, Agrees, Claim, Question
from loopbench.loadtests.behaviour.parsing.exchanging import both
from loopbench.loadtests.behaviour.parsing.other_methods import SERVERS, ask

QUESTION = Question(
    asks="What becomes of a method that the path has no handler for?",
    experiments=both(DEFAULT, ask, "DELETE", servers=SERVERS),
    claims=(
        Claim(
            "It is answered with 405, and Allow names what is there.",
            {"405, Allow: none": Agrees.PARTLY, "405*": Agrees.YES, "404*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "*HEAD*": "Allow also names what one has not written a handler for.",
    },
)
