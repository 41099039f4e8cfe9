"""What comes back from the process of an Experiment."""

from __future__ import annotations

from dataclasses import dataclass

from loopbench.loadtests.behaviour.framework.question import Answer

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
