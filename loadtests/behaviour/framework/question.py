"""Question, Experiment, Answer and Outcome: the values that this package consists of.

Experiments are plain functions that start a small application on a real server, do
something to it over a real socket and say what they saw. A Question names them. Nothing in
it says what comes out: a Claim and a piece of advice, which stand in the topic's
questions.toml, only say what would follow from which answer.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

T = TypeVar("T")

Key = tuple[str, str, str]
"""What a row is known by: question, stack and setting."""

DEFAULT = "default"
"""The `setting` of an Experiment that leaves everything as the framework has it."""

BOUND_S = 20.0
"""When an Experiment is cut, unless it says otherwise. Far longer than it takes."""


class Agrees(enum.StrEnum):
    """Whether an answer bears a claim out."""

    YES = "yes"
    NO = "no"
    PARTLY = "partly"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stack was seen to do.

    answer: a short stable word or phrase, or a number with its unit, the same from run to run.
    evidence: what was seen, with the readings of this very run; one line.
    varies: the answer is not stable, and gives a range.
    """

    answer: str
    evidence: str
    varies: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How asking went, as it comes back from the process of an Experiment.

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


CANNOT_TELL = "cannot tell"
"""The beginning of an answer that did not repeat: a range, which bears nothing out."""

NONE = "none"
"""The answer of a stack that has no counterpart; its evidence names the nearest thing."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One row of the results: one setting of one stack, asked in a process of its own.

    stack: a name that rows are found by, such as `aiohttp` or `quart-hypercorn`.
    setting: DEFAULT, or what is different from it, as one would write it in code.
    run: the experiment. It may take as long as it needs up to bound_s, and may
        leave threads, tasks and processes behind: its process group is ended.
    bound_s: when it is cut; a cut one is recorded as such.
    alone: nothing else may run beside it, because it compares times.
    sensitive: other load on the machine may change its answer, which is therefore asked
        again where its process had to wait for a CPU. What is asked alone is sensitive.
    waits: it waits for a default of a minute or so and computes nothing meanwhile, so that
        what is asked alone may be asked beside it.
    """

    stack: str
    setting: str
    run: Callable[[], Answer]
    bound_s: float = BOUND_S
    alone: bool = False
    sensitive: bool = False
    waits: bool = False


def _fitting(patterns: Mapping[str, T], answer: str) -> T | None:
    """What stands for the first pattern that fits."""
    return next(
        (value for pattern, value in patterns.items() if fnmatchcase(answer, pattern)), None
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """What is commonly said, and what an answer has to look like to agree.

    verdicts: pattern (fnmatch) of an answer → whether the claim then holds; the
        first that fits counts, and no verdict is given where none does.
    of: stack it is said of → settings under which it is judged; none: under all.
    """

    statement: str
    verdicts: Mapping[str, Agrees]
    of: Mapping[str, Sequence[str]]

    def is_about(self, stack: str, setting: str) -> bool:
        """Whether it is said of that stack, and judged under that setting."""
        return stack in self.of and (not self.of[stack] or setting in self.of[stack])

    def verdict(self, answer: str) -> Agrees | None:
        """Whether `answer` agrees with what is said."""
        return _fitting(self.verdicts, answer)


@dataclass(frozen=True, slots=True)
class Question:
    """A Question with all its Experiments.

    asks: the question, as a sentence that ends in a question mark.
    experiments: at least one for each core stack.
    claims: at most one about each stack and setting.
    follows: pattern (fnmatch) of an answer → what follows from it for one's code,
        in a sentence or two; the first that fits.
    """

    asks: str
    experiments: tuple[Experiment, ...]
    claims: tuple[Claim, ...] = ()
    follows: Mapping[str, str] = field(default_factory=dict)

    def claim_about(self, stack: str, setting: str) -> Claim | None:
        """What is said of `stack` under that setting."""
        return next((claim for claim in self.claims if claim.is_about(stack, setting)), None)

    def advice(self, answer: str) -> str:
        """What follows from `answer`; blank where the Question has nothing to say to it."""
        return _fitting(self.follows, answer) or ""
