"""Work on both sides at the same time, that ends soon where a person or one side breaks it off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from loopbench.loadtests.observe.patience import BrokenOff, Patience
from loopbench.loadtests.regression.sides.sides import Side

T = TypeVar("T")


def side_by_side(
    sides: Sequence[Side], work: Callable[[Side, Patience], T], within: Patience | None = None
) -> list[T]:
    """`work` of each side, in a thread each, so that whatever the machine does meets both.

    within: of what both sides' work is a part of. The first failure breaks off the other side's
    work and is raised; so is an interrupt. Raises BrokenOff where the whole was given up.
    """
    patience = Patience(within)
    with ThreadPoolExecutor(len(sides), thread_name_prefix="side") as pool:
        futures = [pool.submit(work, side, patience) for side in sides]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            patience.end()
    for future in futures:
        error = future.exception()
        if error is not None and not isinstance(error, BrokenOff):
            raise error
    return [future.result() for future in futures]
