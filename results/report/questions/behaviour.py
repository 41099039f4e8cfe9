"""Answers of `make behaviour` for the index of questions: yes or no, and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopbench.results.folder.behaviour_answers import DEFAULT, NOT_ANSWERED, Asked
from loopbench.results.folder.behaviour_answers import Question as Experiment
from loopbench.results.report.data import Material
from loopbench.results.report.series.findings import listed


@dataclass(frozen=True, slots=True)
class Asks:
    """An experiment by its name. yes: a piece of its answers that means yes; with `unless`, that
    means no."""

    name: str
    yes: str
    unless: bool = False

    def holds(self, answer: str) -> bool | None:
        """Whether an answer says yes; None where nothing was seen that could say it."""
        if answer == NOT_ANSWERED or answer.startswith("cannot tell"):
            return None
        return (self.yes in answer) is not self.unless


def told(*asks: Asks) -> Callable[[Material], list[str]]:
    """A clause an experiment, with the usual answer of each stack."""

    def clauses(material: Material) -> list[str]:
        found = [(one, got) for one in asks for got in material.behaviour if got.name == one.name]
        return [_clause(one, experiment, len(found) > 1) for one, experiment in found]

    return clauses


def _clause(asks: Asks, experiment: Experiment, named: bool) -> str:
    usual = {
        stack: _usual(experiment.of(stack))
        for stack in dict.fromkeys(one.stack for one in experiment.asked)
    }
    what = f", to “{experiment.asks.replace('`', '')}”" if named else ""
    seen = "; ".join(
        f"{stack} {answer}{_others(answer, experiment.of(stack))}"
        for stack, answer in usual.items()
    )
    return f"{_verdict(asks, usual)}{what}: {seen}"


def _verdict(asks: Asks, usual: dict[str, str]) -> str:
    """Yes or no; where the stacks differ, on which."""
    words = {True: "Yes", False: "No", None: "Cannot tell"}
    by: dict[str, list[str]] = {}
    for stack, answer in usual.items():
        by.setdefault(words[asks.holds(answer)], []).append(stack)
    if len(by) == 1:
        return next(iter(by))
    first, *others = (f"{word} on {listed(stacks)}" for word, stacks in by.items())
    return ", ".join((first, *(other[0].lower() + other[1:] for other in others)))


def _usual(asked: Sequence[Asked]) -> str:
    """The answer by default; of settings without a default the one that most of them have."""
    for one in asked:
        if one.setting == DEFAULT:
            return one.answer
    return Counter(one.answer for one in asked).most_common(1)[0][0]


def _others(usual: str, asked: Sequence[Asked]) -> str:
    count = sum(one.answer != usual for one in asked)
    return f" (otherwise with {count} of {len(asked)} settings)" if count else ""
