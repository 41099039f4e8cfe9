"""What each worker gets of a load. Pure: a share is a function of its arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loopbench.loadtests.scenarios.models import (
    Broadcast,
    Closed,
    Echo,
    Idle,
    Load,
    Model,
    Open,
    Pushed,
    Slow,
)
from loopbench.loadtests.scenarios.table import load_from_json, load_to_json

Command = dict[str, Any]
"""A SessionSpec as JSON types."""


def divide(total: int, parts: int, first: int = 0) -> list[int]:
    """`total` in `parts` whole numbers that differ by one at most; the larger ones from `first`
    on, so that several small loads do not all fall on the same worker."""
    each, rest = divmod(total, parts)
    larger = {(first + n) % parts for n in range(rest)}
    return [each + (part in larger) for part in range(parts)]


def share_out(command: Command, workers: int) -> list[Command | None]:
    """The command of each worker; None for a worker that no user is left for.

    Users and connections are divided evenly. An arrival rate is divided evenly over the
    workers that have a connection for it, each with arrivals drawn from a seed of its
    own: independent Poisson processes add up to one (superposition). One worker gets
    the command as it is.
    """
    command = {**command, "whole": True}
    if workers == 1:
        return [command]
    loads = [load_from_json(load) for load in command["loads"]]
    shares: list[list[Load]] = [[] for _ in range(workers)]
    first = 0
    for load in loads:
        counts = _counts(load.model, workers, first)
        busy = sum(count > 0 for count in counts)
        for share, count in zip(shares, counts, strict=True):
            if count:
                share.append(replace(load, model=_smaller(load.model, count, busy)))
        first += load.model.population % workers
    return [
        {
            **command,
            "loads": [load_to_json(load) for load in share],
            "part": f"/{number} of {workers}",
            "phase": number / workers,
        }
        if share
        else None
        for number, share in enumerate(shares)
    ]


def _counts(model: Model, workers: int, first: int) -> list[int]:
    """How many of its users each worker has. A broadcast stays whole: its receivers hold the
    server to what its publisher has sent, by one clock and one table."""
    if isinstance(model, Broadcast):
        return [model.population if n == first % workers else 0 for n in range(workers)]
    return divide(model.population, workers, first)


def _smaller(model: Model, count: int, busy: int) -> Model:
    """The model with `count` users or connections, on one of `busy` workers."""
    match model:
        case Closed() | Echo():
            return replace(model, users=count)
        case Open():
            return replace(model, rate_rps=model.rate_rps / busy, connections=count)
        case Idle() | Pushed() | Slow():
            return replace(model, connections=count)
        case Broadcast():
            return model
