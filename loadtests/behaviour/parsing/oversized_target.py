"""Targets that are too long."""

from __future__ import annotations

from functools import partial

from loopbench.loadtests.behaviour.framework.question import Agrees, Claim, Experiment, Question
from loopbench.loadtests.behaviour.parsing.exchanging import PLAIN, both, head, outcome


def target_of(size: int) -> bytes:
    return head("GET", f"/?a={'x' * (size - 4)}")


QUESTION = Question(
    asks="How long may a request's target be?",
    experiments=(
        *both("8,000 bytes", outcome, target_of(8_000)),
        *both("9,000 bytes", outcome, target_of(9_000)),
        *both("70,000 bytes", outcome, target_of(70_000)),
        Experiment(
            "aiohttp",
            "9,000 bytes, max_line_size=65536",
            partial(outcome, PLAIN["aiohttp"], target_of(9_000), max_line_size=65536),
        ),
        Experiment(
            "quart-hypercorn",
            "70,000 bytes, h11_max_incomplete_size=131072",
            partial(
                outcome, PLAIN["quart-hypercorn"], target_of(70_000), h11_max_incomplete_size=131072
            ),
        ),
    ),
    claims=(
        Claim(
            "A target that is too long is answered with 414.",
            {"414*": Agrees.YES, "4*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "400*": "`AppRunner` takes `max_line_size`; send what is long in a body.",
        "431*": "`h11_max_incomplete_size` bounds it; send what is long in a body.",
    },
)
