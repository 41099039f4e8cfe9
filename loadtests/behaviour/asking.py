"""Ask many Experiments: side by side where they mostly wait, alone where they compare times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from loadtests.behaviour.catalogue import Asked
from loadtests.behaviour.process import Asker, Outcome

TOGETHER = 12
"""How many are under way at once. They wait far more than they compute."""


def ask_all(asked: Iterable[Asked]) -> Iterator[tuple[Asked, Outcome]]:
    """Ask each, and yield it as it is answered; the longest are begun first.

    Whatever ends the iteration early ends the experiments that are under way.
    """
    asker = Asker()
    wanted = sorted(asked, key=lambda one: -one.experiment.bound_s)
    try:
        with ThreadPoolExecutor(TOGETHER) as pool:
            try:
                answering = {
                    pool.submit(asker.ask, one.key, one.experiment.bound_s): one
                    for one in wanted
                    if not one.experiment.alone
                }
                for done in as_completed(answering):
                    yield answering[done], done.result()
            except BaseException:
                asker.end()
                raise
        for one in wanted:
            if one.experiment.alone:
                yield one, asker.ask(one.key, one.experiment.bound_s)
    finally:
        asker.end()
