"""Ask many Experiments: side by side where they mostly wait, alone where they compare times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loopbench.loadtests.behaviour.framework.catalogue import Asked
from loopbench.loadtests.behaviour.framework.messages import Outcome
from loopbench.loadtests.behaviour.framework.process import Nursery, nursery
from loopbench.loadtests.behaviour.framework.question import CANNOT_TELL, Answer

TOGETHER = 32
"""How many are under way at once. They wait far more than they compute."""

WAITED_S = 0.05
"""A process that waited for a CPU for longer than this may have answered of that, not of its
stack: several time slices of the kernel."""

MOST = 5
"""How often a sensitive Experiment is asked, at most."""


def ask_all(asked: Iterable[Asked]) -> Iterator[tuple[Asked, Outcome]]:
    """Ask each, and yield it as it is answered; the longest are begun first.

    Whatever ends the iteration early ends the experiments that are under way.
    """
    wanted = sorted(asked, key=lambda one: -one.experiment.bound_s)
    doubtful: list[tuple[Asked, Outcome]] = []
    with nursery() as asker:
        for one, outcome in _ask(
            asker, [one for one in wanted if not one.experiment.alone], TOGETHER
        ):
            if one.experiment.sensitive and _disturbed(outcome):
                doubtful.append((one, outcome))
            else:
                yield one, outcome
        for one, outcome in doubtful:
            yield one, settled(asker, one, outcome)
        for one, outcome in _ask(asker, [one for one in wanted if one.experiment.alone], 1):
            yield one, settled(asker, one, outcome) if _disturbed(outcome) else outcome


def _disturbed(outcome: Outcome) -> bool:
    """Whether load may have had a part in it; so it is, too, where that cannot be read.

    What varies by itself gives a range already, and is not asked for another one.
    """
    if outcome.answer is None or outcome.answer.varies:
        return False
    return outcome.waited_s is None or outcome.waited_s > WAITED_S


def settled(asker: Nursery, one: Asked, first: Outcome) -> Outcome:
    """Ask again, alone, until an answer was given twice in a row, or say that it was not.

    The answer is then a range: all that were given, in their order. One that is cut or fails
    ends the asking as it is.
    """
    outcomes = [first]
    while len(outcomes) < MOST:
        outcomes.append(asker.ask(one.key, one.experiment.bound_s))
        said = [outcome.answer for outcome in outcomes]
        if said[-1] is None or (said[-2] is not None and said[-1].answer == said[-2].answer):
            return outcomes[-1]
    answers = dict.fromkeys(outcome.answer.answer for outcome in outcomes if outcome.answer)
    words = f"{CANNOT_TELL}: {' or '.join(answers)}"
    evidence = f"asked {MOST} times on a busy machine; the last time: "
    last = outcomes[-1].answer
    return replace(
        outcomes[-1], answer=Answer(words, evidence + (last.evidence if last else ""), varies=True)
    )


def _ask(asker: Nursery, wanted: Sequence[Asked], together: int) -> Iterator[tuple[Asked, Outcome]]:
    waiting = iter(enumerate(wanted))
    under_way: dict[int, Asked] = {}
    while True:
        while len(under_way) < together and (following := next(waiting, None)) is not None:
            number, one = following
            under_way[number] = one
            asker.begin(number, one.key, one.experiment.bound_s)
        if not under_way:
            return
        number, outcome = asker.next(max(one.experiment.bound_s for one in under_way.values()))
        yield under_way.pop(number), outcome
