"""What each worker gets of a load. Pure: a share is a function of its arguments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from loopbench.loadtests.scenarios.codec import load_from_json, load_to_json
from loopbench.loadtests.scenarios.models import Load

Command = dict[str, Any]
"""A SessionSpec as JSON types."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a load that one worker offers. users: of all its loads together."""

    command: Command
    users: int


def share_out(command: Command, workers: int) -> list[Share | None]:
    """What each worker offers, by the loads' own division; None: nothing.

    One worker gets the command as it is.
    """
    command = {**command, "whole": True}
    loads = [load_from_json(load) for load in command["loads"]]
    if workers == 1:
        return [Share(command, _users(loads))]
    shares: list[list[Load]] = [[] for _ in range(workers)]
    first = 0
    for load in loads:
        for share, model in zip(shares, load.model.shares(workers, first), strict=True):
            if model is not None:
                share.append(replace(load, model=model))
        first += load.model.population % workers
    return [
        _share(command, share, number, workers) if share else None
        for number, share in enumerate(shares)
    ]


def _share(command: Command, loads: list[Load], number: int, workers: int) -> Share:
    part = {
        **command,
        "loads": [load_to_json(load) for load in loads],
        "part": f"/{number} of {workers}",
        "phase": number / workers,
    }
    return Share(part, _users(loads))


def _users(loads: list[Load]) -> int:
    return sum(load.model.population for load in loads)
