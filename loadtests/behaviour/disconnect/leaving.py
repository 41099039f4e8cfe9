"""What all Questions about clients that leave share: their rows, and what is left to read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, TypeVar

from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Answer, Experiment
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, NoAnswer, Wire
from loopbench.loadtests.behaviour.framework.servers import Live

ENDED_S = 10.0
"""How long an end is waited for that has to come: many times what it takes."""

Noting = TypeVar("Noting")
"""What the application reports to."""

Begin = Callable[[Noting], AbstractContextManager[Live]]
"""Runs an application on its server; it reports to what it is given."""

CANCEL: dict[str, Any] = {"handler_cancellation": True}
"""The switch of aiohttp's AppRunner."""

LEAVINGS = tuple(leaving.value for leaving in Leaving)
CANCELLING = tuple(f"handler_cancellation=True, {leaving}" for leaving in LEAVINGS)
"""The settings of `begins` without more: a framework as it is, and aiohttp with its switch on."""

GONE = (
    "When a client has gone, reading or writing raises OSError or a more specific exception such "
    "as ConnectionResetError."
)
"""From aiohttp's documentation, of what it does without its switch."""

EMPTY_BODY = (("Content-Length", "0"),)


def rows(
    ask: Callable[[Any, Leaving], Answer],
    begins: Iterable[tuple[str, str, Begin[Any]]],
    leavings: Iterable[Leaving] = tuple(Leaving),
) -> tuple[Experiment, ...]:
    """An Experiment for each server and each way of leaving.

    begins: stack, setting without the way of leaving, and how it is run.
    """
    return tuple(
        Experiment(
            stack,
            f"{setting}, {leaving.value}" if setting else leaving.value,
            partial(ask, begin, leaving),
        )
        for stack, setting, begin in begins
        for leaving in leavings
    )


def begins(
    aiohttp: Callable[..., AbstractContextManager[Live]],
    quart: Callable[..., AbstractContextManager[Live]],
    setting: str = "",
) -> list[tuple[str, str, Begin[Any]]]:
    """For `rows`: aiohttp as it is, aiohttp with its cancellation setting on, and Quart."""
    on = "handler_cancellation=True"
    return [
        ("aiohttp", setting, aiohttp),
        ("aiohttp", ", ".join(filter(None, (on, setting))), partial(aiohttp, **CANCEL)),
        ("quart-hypercorn", setting, quart),
    ]


def leave(wire: Wire, seen: Seen, leaving: Leaving) -> None:
    """Go away once the handler has begun. Raises TimeoutError where it does not begin."""
    if not seen.wait("begun"):
        raise TimeoutError("the handler was never begun")
    wire.leave(leaving)


def eventually(condition: Callable[[], bool], bound_s: float = ENDED_S) -> bool:
    """Whether it becomes true within so long."""
    until = time.monotonic() + bound_s
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.005)
    return met


def received(wire: Wire, bound_s: float = 2.0) -> str:
    """What a client that has only half-closed gets to read."""
    with suppress(NoAnswer, ConnectionError):
        return f"gets {wire.answer(bound_s).status}"
    try:
        rest = wire.rest(bound_s)
    except NoAnswer:
        return "gets nothing, and the connection stays open"
    return f"gets {len(rest)} bytes and the end" if rest else "gets nothing but the end"
