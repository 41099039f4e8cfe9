"""What the harness, the process that experiments are forked from, and an experiment's own process
say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.servers.supervision.messages import Vocabulary

Key = tuple[str, str, str]
"""Question, stack and setting."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Of the harness: run an Experiment. number: tells it from the others under way."""

    number: int
    key: Key
    bound_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """Of an experiment's own process. answer: None where there was none; problem: then why.
    waited_s: how long its threads were ready to run and had no CPU; None where nobody can tell."""

    answer: Answer | None
    problem: str
    waited_s: float | None


@dataclass(frozen=True, slots=True)
class Ready:
    """Experiments can be asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An Experiment has ended. took_s: wall time. cut: it was ended at its bound. output: what it
    wrote to standard output and standard error."""

    number: int
    result: Result
    took_s: float
    cut: bool
    output: str


EVENTS: Vocabulary[Ready | Asked] = Vocabulary("event", "event", (Ready, Asked))
COMMANDS: Vocabulary[Ask] = Vocabulary("command", "do", (Ask,))
