"""Ask many Experiments: side by side where they mostly wait, alone where they compare times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from loopbench.loadtests.behaviour.framework.catalogue import Asked
from loopbench.loadtests.behaviour.framework.process import Nursery, Outcome, nursery

TOGETHER = 32
"""How many are under way at once. They wait far more than they compute."""


def ask_all(asked: Iterable[Asked]) -> Iterator[tuple[Asked, Outcome]]:
    """Ask each, and yield it as it is answered; the longest are begun first.

    Whatever ends the iteration early ends the experiments that are under way.
    """
    wanted = sorted(asked, key=lambda one: -one.experiment.bound_s)
    with nursery() as asker:
        yield from _ask(asker, [one for one in wanted if not one.experiment.alone], TOGETHER)
        yield from _ask(asker, [one for one in wanted if one.experiment.alone], 1)


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
