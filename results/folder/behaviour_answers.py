"""behaviour.csv as values: what each stack was seen to do, by topic and question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loopbench.results import schema
from loopbench.results.errors import ResultsError
from loopbench.results.folder.tables import Problem, rows
from loopbench.results.grouping import grouped
from loopbench.results.schema import Row

NOT_ANSWERED = "not answered"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Asked:
    """One stack and setting of a question.

    answers: by version of Python what was seen, and the evidence of it, the
    oldest first. claim: what is commonly said of the stack. verdicts: by
    version of Python whether that is so, blank where the answer does not tell.
    follows is that of the newest Python.
    """

    stack: str
    setting: str
    answers: Mapping[str, str]
    evidence: str
    claim: str
    verdicts: Mapping[str, str]
    follows: str
    varies: bool
    versions: str

    @property
    def judged(self) -> tuple[tuple[str, str], ...]:
        """Each verdict on the claim, and on which Pythons, in brackets, where others have another;
        nothing where no answer tells."""
        by = grouped((agrees, python) for python, agrees in self.verdicts.items())
        return tuple(
            (agrees, "" if len(by) == 1 else f" (Python {', '.join(mine)})")
            for agrees, mine in by.items()
            if agrees
        )

    @property
    def answer(self) -> str:
        """One answer; by Python where they differ."""
        return _by_python(self.answers, named=len(set(self.answers.values())) > 1)

    def answer_where(self, agrees: str) -> str:
        """The answer of the Pythons on which the claim has this verdict; they are named where
        others have another, or their answers differ."""
        answers = {
            python: answer
            for python, answer in self.answers.items()
            if self.verdicts[python] == agrees
        }
        others = len(answers) < len(self.answers)
        return _by_python(answers, named=others or len(set(answers.values())) > 1)

    @property
    def label(self) -> str:
        """The stack, and its setting where that is not the default."""
        return self.stack if self.setting == DEFAULT else f"{self.stack}, {self.setting}"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what was seen on each stack and setting, in the order of the rows."""

    name: str
    topic: str
    asks: str
    asked: tuple[Asked, ...]

    def of(self, stack: str) -> tuple[Asked, ...]:
        """What was asked of one stack."""
        return tuple(outcome for outcome in self.asked if outcome.stack == stack)


def read(folder: Path) -> tuple[tuple[Question, ...], list[Problem]]:
    """The questions of a folder, and what of its file could not be used.

    Raises ResultsError where there is no such file.
    """
    answers, problems = rows_of(folder)
    return questions(answers), problems


def rows_of(folder: Path) -> tuple[tuple[Row, ...], list[Problem]]:
    """The rows of a folder, and what of its file could not be used.

    Raises ResultsError where there is no such file.
    """
    if not (folder / schema.BEHAVIOUR.filename).exists():
        raise ResultsError(
            f"{folder} has no {schema.BEHAVIOUR.filename}; "
            f"{schema.how_to('make behaviour', 'loopbench behaviour')} makes one"
        )
    problems: list[Problem] = []
    return tuple(rows(folder, schema.BEHAVIOUR, problems)), problems


def questions(answers: Sequence[Row]) -> tuple[Question, ...]:
    """The questions that the rows answer, in the order of the rows."""
    return tuple(
        Question(name, str(mine[0]["topic"]), str(mine[0]["asks"]), tuple(_asked(mine)))
        for name, mine in grouped((str(row["question"]), row) for row in answers).items()
    )


def _asked(mine: Iterable[Row]) -> Iterable[Asked]:
    by = grouped(((str(row["stack"]), str(row["setting"])), row) for row in mine)
    for (stack, setting), same in by.items():
        same.sort(key=lambda row: _version(str(row["python"])))
        newest = same[-1]
        yield Asked(
            stack,
            setting,
            MappingProxyType({str(row["python"]): str(row["answer"]) for row in same}),
            str(newest["evidence"]),
            str(newest["commonly_said"] or ""),
            MappingProxyType({str(row["python"]): str(row["agrees"] or "") for row in same}),
            str(newest["follows"] or ""),
            any(row["varies"] is True for row in same),
            str(newest["versions"]),
        )


def _by_python(answers: Mapping[str, str], *, named: bool) -> str:
    by = grouped((answer, python) for python, answer in answers.items())
    return "; ".join(
        f"{answer} (Python {', '.join(pythons)})" if named else answer
        for answer, pythons in by.items()
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def pythons(all_questions: Iterable[Question]) -> tuple[str, ...]:
    """Every version of Python that answers come from, the oldest first."""
    every = {
        python
        for question in all_questions
        for outcome in question.asked
        for python in outcome.answers
    }
    return tuple(sorted(every, key=_version))


def versions(all_questions: Iterable[Question]) -> tuple[str, ...]:
    """Every package that was asked, with its version, by name."""
    every = {
        package
        for question in all_questions
        for outcome in question.asked
        for package in outcome.versions.split(", ")
    }
    return tuple(sorted(every))


def topics(all_questions: Iterable[Question]) -> dict[str, tuple[Question, ...]]:
    """The questions by topic, both in their order."""
    by = grouped((question.topic, question) for question in all_questions)
    return {topic: tuple(mine) for topic, mine in by.items()}
