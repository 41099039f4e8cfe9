"""What each worker gets of a load. Pure: a share is a function of its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopbench.loadtests.messages.specs import SessionSpec
from loopbench.loadtests.scenarios.models import Load


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a load that one worker offers. users: of all its loads together."""

    spec: SessionSpec
    users: int


def share_out(spec: SessionSpec, workers: int) -> list[Share | None]:
    """What each worker offers, by the loads' own division; None: nothing.

    One worker gets all of it.
    """
    spec = replace(spec, whole=True)
    if workers == 1:
        return [Share(spec, _users(spec.loads))]
    shares: list[list[Load]] = [[] for _ in range(workers)]
    first = 0
    for load in spec.loads:
        for share, model in zip(shares, load.model.shares(workers, first), strict=True):
            if model is not None:
                share.append(replace(load, model=model))
        first += load.model.population % workers
    return [
        _share(spec, share, number, workers) if share else None
        for number, share in enumerate(shares)
    ]


def _share(spec: SessionSpec, loads: list[Load], number: int, workers: int) -> Share:
    part = f"/{number} of {workers}"
    share = replace(spec, loads=tuple(loads), part=part, phase=number / workers)
    return Share(share, _users(loads))


def _users(loads: Sequence[Load]) -> int:
    return sum(load.model.population for load in loads)
