"""A handler that catches its cancellation and goes on."""

from __future__ import annotations

import asyncio
from functools import partial

from loopbench.loadtests.behaviour.disconnect.console import console, shown
from loopbench.loadtests.behaviour.disconnect.handling import on_aiohttp, on_quart, with_body
from loopbench.loadtests.behaviour.disconnect.leaving import Begin, begins, leave, rows
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import Answer, Question
from loopbench.loadtests.behaviour.framework.raw_client import Leaving, Wire

TIMES = ("never cancelled", "cancelled once", "cancelled twice")
STOP_BOUND_S = 10.0
"""Many times the grace times that are set."""


async def once(seen: Seen) -> None:
    """Goes on with the next thing."""
    try:
        seen("begun")
        await asyncio.sleep(0.3)
    except asyncio.CancelledError:
        seen("cancelled")
    try:
        await asyncio.sleep(0.2)
    except asyncio.CancelledError:
        seen("cancelled again")
        raise
    seen("finished")


async def for_ever(seen: Seen) -> None:
    """The loop that takes a cancellation for one more thing that can go wrong."""
    seen("begun")
    for _ in range(2000):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            seen("cancelled")


def ask_once(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave, and see whether the rest of the handler is left alone."""
    seen = Seen()
    with console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            leave(wire, seen, leaving)
            finished = seen.wait("finished", 3.0)
        cancelled = sum(event.startswith("cancelled") for event in seen.events)
        return Answer(
            f"{'runs to its end' if finished else 'does not reach its end'}, {TIMES[cancelled]}",
            f"{', '.join(seen.events)}; {shown(lines())}",
        )


def ask_for_ever(begin: Begin[Seen], leaving: Leaving) -> Answer:
    """Leave, and see whether the server can still be stopped."""
    seen = Seen()
    with console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            leave(wire, seen, leaving)
            seen.wait("cancelled", 0.5)
            before = seen.events.count("cancelled")
            took_s = server.stop(STOP_BOUND_S)
        after = seen.events.count("cancelled")
        stopped = "the server stops" if took_s is not None else "the server does not stop"
        took = f"after {took_s:.1f} s" if took_s is not None else f"within {STOP_BOUND_S:g} s"
        return Answer(
            f"{stopped}, {TIMES[after]}",
            f"{TIMES[before]} when the client left, {TIMES[after]} when the stop was over; "
            f"{stopped} {took}; {shown(lines())}",
        )


ENDLESS = begins(
    partial(on_aiohttp, body=for_ever, shutdown_timeout=1),
    partial(on_quart, body=for_ever, graceful_timeout=1),
    "for ever, grace time 1 s",
)

QUESTION = Question(
    asks="What becomes of a handler that swallows its cancellation?",
    experiments=(
        *rows(ask_once, with_body(once, "once"), (Leaving.FIN,)),
        *rows(ask_for_ever, ENDLESS, (Leaving.FIN,)),
    ),
    follows={
        "runs to its end, cancelled once": "The cancellation is a single exception: caught, it "
        "is gone. To finish something, shield it; to go on without a client, say so in a comment.",
        "the server stops*": "The server leaves such a handler behind. Raise the "
        "cancellation again at the end of a loop's clean-up.",
        "the server does not stop*": "Never catch CancelledError in a loop without leaving it.",
    },
)
