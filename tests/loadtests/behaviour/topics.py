"""The answers of a topic, asked once for all the tests about it."""

from __future__ import annotations

from collections.abc import Callable

from loopbench.loadtests.behaviour.framework.catalogue import experiments
from loopbench.loadtests.behaviour.framework.question import DEFAULT
from loopbench.loadtests.behaviour.framework.scheduler import ask_all

Said = Callable[..., str]
"""Question (without its topic), stack and setting → the answer."""

AIOHTTP, QUART = "aiohttp", "quart-hypercorn"


def ask_topic(topic: str, longest_s: float) -> Said:
    """Ask every Experiment of the topic whose bound is not above `longest_s`.

    Fails where one of them has no answer, or one that is not a line.
    """
    wanted = [
        one
        for one in experiments().values()
        if one.topic == topic and one.experiment.bound_s <= longest_s
    ]
    answers: dict[tuple[str, str, str], str] = {}
    for one, outcome in ask_all(wanted):
        assert outcome.answer is not None, (one.key, outcome.problem, outcome.output)
        for text in (outcome.answer.answer, outcome.answer.evidence):
            assert text.strip(), one.key
            assert "\n" not in text, one.key
        answers[one.key] = outcome.answer.answer

    def said(question: str, stack: str, setting: str = DEFAULT) -> str:
        return answers[f"{topic}.{question}", stack, setting]

    return said
