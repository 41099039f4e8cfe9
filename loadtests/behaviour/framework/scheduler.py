"""Ask many Experiments: side by side where they mostly wait, alone where they compare times."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loopbench.loadtests.behaviour.framework.catalogue import Asked
from loopbench.loadtests.behaviour.framework.process import Nursery
from loopbench.loadtests.behaviour.framework.question import CANNOT_TELL, Answer, Key, Outcome

TOGETHER = 32
"""How many are under way at once, beside those that wait for minutes. They, too, wait far more than
they compute."""

WAITED_S = 0.05
"""A process that waited for a CPU for longer than this may have answered of that, not of its
stack: several time slices of the kernel."""

MOST = 5
"""How often a sensitive Experiment is asked, at most."""


def ask_all(asked: Iterable[Asked]) -> Iterator[tuple[Asked, Outcome]]:
    """Ask each, and yield it as it is answered.

    What waits for minutes and computes nothing is begun at once. Of the others the longest are
    begun first; what is to be alone, or is asked again, comes one after another when nothing else
    computes. Whatever ends the iteration early ends the experiments that are under way.
    """
    wanted = sorted(asked, key=lambda entry: -entry.experiment.bound_s)
    ready = [entry for entry in wanted if entry.experiment.waits]
    together = deque(
        entry for entry in wanted if not (entry.experiment.waits or entry.experiment.alone)
    )
    apart = deque(entry for entry in wanted if entry.experiment.alone)
    under_way: dict[Key, Asked] = {}
    given: dict[Key, list[Outcome]] = {}
    with Nursery() as asker:
        while ready or together or apart or under_way:
            computing = sum(not entry.experiment.waits for entry in under_way.values())
            if together:
                room = min(TOGETHER - computing, len(together))
                ready += [together.popleft() for _ in range(room)]
            elif apart and not computing:
                ready.append(apart.popleft())
            for entry in ready:
                under_way[entry.key] = entry
                asker.begin(entry.key, entry.experiment.bound_s)
            ready = []
            key, outcome = asker.next()
            entry = under_way.pop(key)
            outcomes = given.setdefault(key, [])
            outcomes.append(outcome)
            answered = settled(outcomes) if entry.experiment.sensitive else outcome
            if answered is None:
                apart.append(entry)
            else:
                yield entry, answered


def _disturbed(outcome: Outcome) -> bool:
    """Whether load may have had a part in it; so it is, too, where that cannot be read.

    What varies by itself gives a range already, and is not asked for another one.
    """
    if outcome.answer is None or outcome.answer.varies:
        return False
    return outcome.waited_s is None or outcome.waited_s > WAITED_S


def settled(outcomes: Sequence[Outcome]) -> Outcome | None:
    """What stands when an Experiment has been asked with these Outcomes; None: ask it again.

    What was disturbed is asked until an answer was given twice in a row. Where none was, the
    answer is a range: all that were given, in their order. One that is cut or fails ends the
    asking as it is.
    """
    last = outcomes[-1]
    if len(outcomes) == 1:
        return None if _disturbed(last) else last
    answers = [outcome.answer.answer for outcome in outcomes if outcome.answer]
    if last.answer is None or answers[-1] == answers[-2]:
        return last
    if len(outcomes) < MOST:
        return None
    words = f"{CANNOT_TELL}: {' or '.join(dict.fromkeys(answers))}"
    evidence = f"asked {MOST} times on a busy machine; the last time: {last.answer.evidence}"
    return replace(last, answer=Answer(words, evidence, varies=True))
