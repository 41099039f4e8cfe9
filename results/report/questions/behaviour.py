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
class Seen:
    """The usual answers to one experiment by stack, in the order of the report."""

    asks: Asks
    experiment: Experiment
    usual: Mapping[str, Asked]

    def holds(self) -> dict[str, bool | None]:
        """Yes where every version of Python says so, no where none does."""
        return {stack: self._of(asked) for stack, asked in self.usual.items()}

    def _of(self, asked: Asked) -> bool | None:
        found = {self.asks.holds(answer) for answer in asked.answers.values()}
        return found.pop() if len(found) == 1 else None

    def on(self, *wanted: bool | None) -> list[str]:
        """The stacks whose usual answer is one of these."""
        return [stack for stack, holds in self.holds().items() if holds in wanted]


def _seen(material: Material, *asks: Asks) -> list[Seen]:
    place = {stack: number for number, stack in enumerate(material.stacks)}
    found = []
    for one in asks:
        for experiment in material.behaviour:
            if experiment.name != one.name:
                continue
            stacks = sorted(
                dict.fromkeys(asked.stack for asked in experiment.asked),
                key=lambda stack: (place.get(stack, len(place)), stack),
            )
            usual = {stack: _usual(experiment.of(stack)) for stack in stacks}
            found.append(Seen(one, experiment, usual))
    return found


def _usual(asked: Sequence[Asked]) -> Asked:
    """The answer by default; else the one that most of the settings have that qualify no other
    (`RST`, and not `handler_cancellation=True, RST`)."""
    for one in asked:
        if one.setting == DEFAULT:
            return one
    names = {one.setting for one in asked}
    plain = [one for one in asked if one.setting.rpartition(", ")[0] == ""]
    plain = plain or [one for one in asked if one.setting.rpartition(", ")[2] not in names]
    counts = Counter(one.answer for one in plain or asked)
    return next(one for one in asked if one.answer == counts.most_common(1)[0][0])


def _clauses(seen: Seen) -> str:
    """What was seen, stack by stack, those that did the same together."""
    by: dict[str, list[str]] = {}
    for stack, asked in seen.usual.items():
        said = {answer: _clause(answer) for answer in asked.answers.values()}
        pythons = _pythons(asked, list(said.values()))
        by.setdefault(" or ".join(pythons), []).append(stack)
    return "; ".join(f"on {listed(stacks)} {what}" for what, stacks in by.items())


def _pythons(asked: Asked, said: Sequence[str]) -> list[str]:
    """Each of the answers, with the versions of Python that gave it where they differ."""
    if len(said) == 1:
        return list(said)
    by = grouped((_clause(answer), python) for python, answer in asked.answers.items())
    return [f"{clause} (Python {', '.join(pythons)})" for clause, pythons in by.items()]


def _clause(answer: str) -> str:
    """The handler first, since the question is about it."""
    pieces = sorted(answer.split(", "), key=lambda piece: not piece.startswith("handler"))
    return listed(PIECES.get(piece, piece) for piece in pieces)


def _stops(seen: Seen) -> str:
    """How the server stops, with the stacks that stop so, and their Python where it matters."""
    by: dict[str, list[str]] = {}
    for stack, asked in seen.usual.items():
        first = {python: answer.split(", ")[0] for python, answer in asked.answers.items()}
        alike = len(set(first.values())) == 1
        for python, piece in first.items():
            name = stack if alike else f"{stack} on Python {python}"
            of = by.setdefault(PIECES.get(piece, piece), [])
            of += [] if name in of else [name]
    *others, last = (f"{what} ({', '.join(names)})" for what, names in by.items())
    return " or ".join(filter(None, (", ".join(others), last)))


def _details(found: Sequence[Seen]) -> tuple[str, ...]:
    """Every setting, those with the same answer together."""
    return tuple(detail for seen in found for detail in _settings(seen, named=len(found) > 1))


def _settings(seen: Seen, *, named: bool) -> Iterator[str]:
    of = f"{seen.asks.of or seen.experiment.asks.replace('`', '')}, on " if named else ""
    for stack in seen.usual:
        by = grouped((asked.answer, asked.setting) for asked in seen.experiment.of(stack))
        for answer, settings in by.items():
            where = "" if settings == [DEFAULT] else f" ({_together(settings)})"
            yield f"{of}{stack}{where}: {answer}"


def _together(settings: Sequence[str]) -> str:
    """What several settings have in common is said once."""
    by = grouped((common, own) for common, _, own in (one.rpartition(", ") for one in settings))
    return "; ".join(
        f"{common}: {', '.join(own)}" if common else ", ".join(own) for common, own in by.items()
    )


Answer = Callable[[Material], Reply | None]


def _answering(reply: Callable[[Sequence[Seen]], Reply]) -> Callable[..., Answer]:
    """An answer from these experiments; None where not one of them was made, or not the one that
    decides."""

    def by(*asks: Asks) -> Answer:
        def answer(material: Material) -> Reply | None:
            found = _seen(material, *asks)
            made = {seen.asks for seen in found}
            if not found or any(one.decides and one not in made for one in asks):
                return None
            return reply(found)

        return answer

    return by


@_answering
def cancelled(found: Sequence[Seen]) -> Reply:
    """Whether it happens, and what becomes of handler and save."""
    return Reply(f"{verdict(found[0].holds())}: {_clauses(found[0])}", _details(found))


@_answering
def protected(found: Sequence[Seen]) -> Reply:
    """Which of several means keep it, on which stacks: yes on a stack that one of them helps."""
    stacks = dict.fromkeys(stack for seen in found for stack in seen.usual)
    holds = {stack: _any(seen.holds().get(stack) for seen in found) for stack in stacks}
    return Reply(f"{verdict(holds)}: {'; '.join(map(_means, found))}", _details(found))


def _any(answers: Iterator[bool | None]) -> bool | None:
    every = list(answers)
    return True if True in every else (False if False in every else None)


def _means(seen: Seen) -> str:
    lacks = [stack for stack, asked in seen.usual.items() if asked.answer == NO_SUCH]
    fails = [stack for stack in seen.on(False) if stack not in lacks]
    said = [
        f"keeps it on {listed(seen.on(True))}" if seen.on(True) else "",
        f"does not on {listed(fails)}" if fails else "",
        f"cannot be told on {listed(seen.on(None))}" if seen.on(None) else "",
    ]
    without = f" ({listed(lacks)} {'has' if len(lacks) == 1 else 'have'} none)" if lacks else ""
    return f"{seen.asks.of} {listed(filter(None, said)) or 'keeps it nowhere'}{without}"


@_answering
def finished(found: Sequence[Seen]) -> Reply:
    """Whether a request is answered that ends in time, and how long the stop takes otherwise."""
    stops = [f"where {seen.asks.of}{_lost(seen)} the server {_stops(seen)}" for seen in found]
    return Reply(f"{verdict(found[0].holds())}: {'; '.join(stops)}", _details(found))


def _lost(seen: Seen) -> str:
    return "," if seen.on(True, None) else ", it is not finished and"


@_answering
def causes(found: Sequence[Seen]) -> Reply:
    """How many of several things hold up a stop, which do, and which do not."""
    holding = [_cause(seen) for seen in found if seen.on(True)]
    never = [_harmless(seen) for seen in found if seen.on(False) and not seen.on(True)]
    unknown = [_untold(seen) for seen in found if seen.on(None) and not seen.on(True)]
    said = (
        f"{listed(holding)} can hold up a stop" if holding else "",
        f"{listed(never)} {'does' if len(never) == 1 else 'do'} not" if never else "",
        f"of {listed(unknown)} nothing can be told" if unknown else "",
    )
    count = f"{len(holding)} of {len(found)} causes that were tried"
    return Reply(f"{count}: {'; '.join(filter(None, said))}", _details(found))


def _harmless(seen: Seen) -> str:
    return seen.asks.of + ("" if not seen.on(None) else f" (on {listed(seen.on(False))})")


def _untold(seen: Seen) -> str:
    return seen.asks.of + ("" if not seen.on(False) else f" on {listed(seen.on(None))}")


def _cause(seen: Seen) -> str:
    """With the stacks where it is not so on all."""
    held, untold = seen.on(True), seen.on(None)
    if len(held) == len(seen.usual):
        return seen.asks.of
    rest = f", and of {listed(untold)} nothing can be told" if untold else ""
    return f"{seen.asks.of} (on {listed(held)}{rest})"
