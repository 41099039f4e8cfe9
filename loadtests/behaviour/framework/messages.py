"""What the harness and the process that experiments are forked from say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.loadtests.behaviour.framework.question import Answer
from loopbench.servers.supervision.messages import Vocabulary

Key = tuple[str, str, str]
"""Question, stack and setting."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking went.

    answer: None where there was none; problem: then why, in one line. took_s: wall time.
    output: what the experiment wrote to standard output and standard error.
    cut: it was ended at its bound. waited_s: how long its threads were ready to run and had
    no CPU, together; None where that could not be read.
    """

    answer: Answer | None
    problem: str
    took_s: float = 0.0
    output: str = ""
    cut: bool = False
    waited_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Of the harness: run an Experiment. No two of one key are under way at once."""

    key: Key
    bound_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Experiments can be asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An Experiment has ended."""

    key: Key
    outcome: Outcome


EVENTS: Vocabulary[Ready | Asked] = Vocabulary("event", "event", (Ready, Asked))
COMMANDS: Vocabulary[Ask] = Vocabulary("command", "do", (Ask,))
