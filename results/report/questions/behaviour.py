"""Answers of `make behaviour` for the index of questions: yes or no, and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopbench.results.folder.behaviour_answers import DEFAULT, NOT_ANSWERED, Asked
from loopbench.results.folder.behaviour_answers import Question as Experiment
from loopbench.results.grouping import grouped
from loopbench.results.report.data import Material
from loopbench.results.report.questions.reply import Reply, verdict
from loopbench.results.report.series.findings import listed

NO_SUCH = "none"
"""The answer of a stack that does not have what the question is about."""

PIECES = {
    "saved": "what it saves is kept",
    "half saved": "half of what it saves is kept",
    "lost": "what it saves is lost",
    "handler finished": "the handler runs to its end",
    "handler cancelled": "the handler is cancelled",
    "handler not cancelled": "the handler is not cancelled",
    "stops with the request": "stops when the request has ended",
    NOT_ANSWERED: "nothing could be seen",
}
"""Pieces of answers as clauses; others are clauses as they stand."""


@dataclass(frozen=True, slots=True)
class Asks:
    """An experiment by its name. yes: how a piece of its answers begins that means yes; with
    `unless`, that means no. of: what it is about, as the subject of a clause. decides: without it
    the others answer another question."""

    name: str
    yes: str
    of: str = ""
    unless: bool = False
    decides: bool = False

    def holds(self, answer: str) -> bool | None:
        """Whether an answer says yes; None where nothing was seen that could say it."""
        if answer == NOT_ANSWERED or answer.startswith("cannot tell"):
            return None
        return any(piece.startswith(self.yes) for piece in answer.split(", ")) is not self.unless


@dataclass(frozen=True, slots=True)
class UsualAnswers:
    """The usual answers to one experiment by stack, in the order of the report."""

    asks: Asks
    experiment: Experiment
    usual: Mapping[str, Asked]

    def holds(self) -> dict[str, bool | None]:
        """Yes where every version of Python says so, no where none does."""
        return {stack: self._of(asked) for stack, asked in self.usual.items()}

    def _of(self, asked: Asked) -> bool | None:
        holds = {self.asks.holds(answer) for answer in asked.answers.values()}
        return holds.pop() if len(holds) == 1 else None

    def on(self, *wanted: bool | None) -> list[str]:
        """The stacks whose usual answer is one of these."""
        return [stack for stack, holds in self.holds().items() if holds in wanted]


def _usual_answers(material: Material, *asks: Asks) -> list[UsualAnswers]:
    place = {stack: number for number, stack in enumerate(material.stacks)}
    findings = []
    for criterion in asks:
        for experiment in material.behaviour:
            if experiment.name != criterion.name:
                continue
            stacks = sorted(
                dict.fromkeys(asked.stack for asked in experiment.asked),
                key=lambda stack: (place.get(stack, len(place)), stack),
            )
            usual = {stack: _usual(experiment.of(stack)) for stack in stacks}
            findings.append(UsualAnswers(criterion, experiment, usual))
    return findings


def _usual(asked: Sequence[Asked]) -> Asked:
    """The answer by default; else the one that most of the settings have that qualify no other
    (`RST`, and not `handler_cancellation=True, RST`)."""
    for outcome in asked:
        if outcome.setting == DEFAULT:
            return outcome
    names = {outcome.setting for outcome in asked}
    plain = [outcome for outcome in asked if outcome.setting.rpartition(", ")[0] == ""]
    plain = plain or [
        outcome for outcome in asked if outcome.setting.rpartition(", ")[2] not in names
    ]
    counts = Counter(outcome.answer for outcome in plain or asked)
    return next(outcome for outcome in asked if outcome.answer == counts.most_common(1)[0][0])


def _clauses(finding: UsualAnswers) -> str:
    """What was seen, stack by stack, those that did the same together."""
    by: dict[str, list[str]] = {}
    for stack, asked in finding.usual.items():
        clauses = {answer: _clause(answer) for answer in asked.answers.values()}
        pythons = _pythons(asked, list(clauses.values()))
        by.setdefault(" or ".join(pythons), []).append(stack)
    return "; ".join(f"on {listed(stacks)} {what}" for what, stacks in by.items())


def _pythons(asked: Asked, clauses: Sequence[str]) -> list[str]:
    """Each of the answers, with the versions of Python that gave it where they differ."""
    if len(clauses) == 1:
        return list(clauses)
    by = grouped((_clause(answer), python) for python, answer in asked.answers.items())
    return [f"{clause} (Python {', '.join(pythons)})" for clause, pythons in by.items()]


def _clause(answer: str) -> str:
    """The handler first, since the question is about it."""
    pieces = sorted(answer.split(", "), key=lambda piece: not piece.startswith("handler"))
    return listed(PIECES.get(piece, piece) for piece in pieces)


def _stops(finding: UsualAnswers) -> str:
    """How the server stops, with the stacks that stop so, and their Python where it matters."""
    by: dict[str, list[str]] = {}
    for stack, asked in finding.usual.items():
        first = {python: answer.split(", ")[0] for python, answer in asked.answers.items()}
        alike = len(set(first.values())) == 1
        for python, piece in first.items():
            name = stack if alike else f"{stack} on Python {python}"
            of = by.setdefault(PIECES.get(piece, piece), [])
            of += [] if name in of else [name]
    *others, last = (f"{what} ({', '.join(names)})" for what, names in by.items())
    return " or ".join(filter(None, (", ".join(others), last)))


def _details(findings: Sequence[UsualAnswers]) -> tuple[str, ...]:
    """Every setting, those with the same answer together."""
    return tuple(
        detail for finding in findings for detail in _settings(finding, named=len(findings) > 1)
    )


def _settings(finding: UsualAnswers, *, named: bool) -> Iterator[str]:
    of = f"{finding.asks.of or finding.experiment.asks.replace('`', '')}, on " if named else ""
    for stack in finding.usual:
        by = grouped((asked.answer, asked.setting) for asked in finding.experiment.of(stack))
        for answer, settings in by.items():
            where = "" if settings == [DEFAULT] else f" ({_together(settings)})"
            yield f"{of}{stack}{where}: {answer}"


def _together(settings: Sequence[str]) -> str:
    """What several settings have in common is said once."""
    by = grouped(
        (common, own) for common, _, own in (setting.rpartition(", ") for setting in settings)
    )
    return "; ".join(
        f"{common}: {', '.join(own)}" if common else ", ".join(own) for common, own in by.items()
    )


Answer = Callable[[Material], Reply | None]


def _answering(reply: Callable[[Sequence[UsualAnswers]], Reply]) -> Callable[..., Answer]:
    """An answer from these experiments; None where not one of them was made, or not the one that
    decides."""

    def by(*asks: Asks) -> Answer:
        def answer(material: Material) -> Reply | None:
            findings = _usual_answers(material, *asks)
            made = {finding.asks for finding in findings}
            if not findings or any(
                criterion.decides and criterion not in made for criterion in asks
            ):
                return None
            return reply(findings)

        return answer

    return by


@_answering
def cancelled(findings: Sequence[UsualAnswers]) -> Reply:
    """Whether it happens, and what becomes of handler and save."""
    return Reply(f"{verdict(findings[0].holds())}: {_clauses(findings[0])}", _details(findings))


@_answering
def protected(findings: Sequence[UsualAnswers]) -> Reply:
    """Which of several means keep it, on which stacks: yes on a stack that one of them helps."""
    stacks = dict.fromkeys(stack for finding in findings for stack in finding.usual)
    holds = {stack: _any(finding.holds().get(stack) for finding in findings) for stack in stacks}
    return Reply(f"{verdict(holds)}: {'; '.join(map(_means, findings))}", _details(findings))


def _any(answers: Iterator[bool | None]) -> bool | None:
    every = list(answers)
    return True if True in every else (False if False in every else None)


def _means(finding: UsualAnswers) -> str:
    lacks = [stack for stack, asked in finding.usual.items() if asked.answer == NO_SUCH]
    fails = [stack for stack in finding.on(False) if stack not in lacks]
    clauses = [
        f"keeps it on {listed(finding.on(True))}" if finding.on(True) else "",
        f"does not on {listed(fails)}" if fails else "",
        f"cannot be told on {listed(finding.on(None))}" if finding.on(None) else "",
    ]
    without = f" ({listed(lacks)} {'has' if len(lacks) == 1 else 'have'} none)" if lacks else ""
    return f"{finding.asks.of} {listed(filter(None, clauses)) or 'keeps it nowhere'}{without}"


@_answering
def finished(findings: Sequence[UsualAnswers]) -> Reply:
    """Whether a request is answered that ends in time, and how long the stop takes otherwise."""
    stops = [
        f"where {finding.asks.of}{_lost(finding)} the server {_stops(finding)}"
        for finding in findings
    ]
    return Reply(f"{verdict(findings[0].holds())}: {'; '.join(stops)}", _details(findings))


def _lost(finding: UsualAnswers) -> str:
    return "," if finding.on(True, None) else ", it is not finished and"


@_answering
def causes(findings: Sequence[UsualAnswers]) -> Reply:
    """How many of several things hold up a stop, which do, and which do not."""
    holding = [_cause(finding) for finding in findings if finding.on(True)]
    never = [
        _harmless(finding) for finding in findings if finding.on(False) and not finding.on(True)
    ]
    unknown = [
        _untold(finding) for finding in findings if finding.on(None) and not finding.on(True)
    ]
    clauses = (
        f"{listed(holding)} can hold up a stop" if holding else "",
        f"{listed(never)} {'does' if len(never) == 1 else 'do'} not" if never else "",
        f"of {listed(unknown)} nothing can be told" if unknown else "",
    )
    count = f"{len(holding)} of {len(findings)} causes that were tried"
    return Reply(f"{count}: {'; '.join(filter(None, clauses))}", _details(findings))


def _harmless(finding: UsualAnswers) -> str:
    return finding.asks.of + ("" if not finding.on(None) else f" (on {listed(finding.on(False))})")


def _untold(finding: UsualAnswers) -> str:
    return finding.asks.of + ("" if not finding.on(False) else f" on {listed(finding.on(None))}")


def _cause(finding: UsualAnswers) -> str:
    """With the stacks where it is not so on all."""
    held, untold = finding.on(True), finding.on(None)
    if len(held) == len(finding.usual):
        return finding.asks.of
    rest = f", and of {listed(untold)} nothing can be told" if untold else ""
    return f"{finding.asks.of} (on {listed(held)}{rest})"
