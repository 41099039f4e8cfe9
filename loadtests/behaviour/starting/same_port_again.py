"""A server stopped, and started at once on the same port."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.framework.question import DEFAULT, Answer, Experiment, Question
from loopbench.loadtests.behaviour.framework.raw_client import Wire
from loopbench.loadtests.behaviour.starting.ports import STARTS, Start, get
from loopbench.loadtests.services.free_port import free_port

TIMES = 3


async def _again(start: Start) -> Answer:
    """The client's connection is closed by the server, which leaves it in TIME_WAIT there."""
    port = free_port()
    answers = []
    for n in range(TIMES):
        try:
            started = await start(f"start {n}", port)
            answers.append(await asyncio.to_thread(get, port))
        except OSError as error:
            return Answer(f"{type(error).__name__} at start {n}", f"{error}")
        with Wire(port) as wire:
            await asyncio.to_thread(_ask, wire)
            await started.stop()
    served = answers == [f"start {n}" for n in range(TIMES)]
    return Answer(
        "serves again at once" if served else "does not serve again", f"the answers: {answers}"
    )


def _ask(wire: Wire) -> None:
    wire.request("GET", "/")
    wire.answer()


QUESTION = Question(
    asks="Can a server be started again at once on the port that it had?",
    experiments=tuple(
        Experiment(stack, DEFAULT, lambda start=start: asyncio.run(_again(start)))  # type: ignore[misc]
        for stack, start in STARTS.items()
    ),
    follows={"serves again at once": "A restart in place needs no wait and no other port."},
)
