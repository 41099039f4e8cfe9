"""Several servers in one event loop, of which one is stopped."""

from __future__ import annotations

import asyncio

from loopbench.loadtests.behaviour.framework.question import (
    DEFAULT,
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.starting.ports import STARTS, Start, get
from loopbench.loadtests.services.free_port import free_port

COUNT = 3


async def _several(start: Start) -> Answer:
    started = [await start(f"server {n}", free_port()) for n in range(COUNT)]
    together = [await asyncio.to_thread(get, one.port) for one in started]
    await started[0].stop()
    rest = [await asyncio.to_thread(get, one.port) for one in started[1:]]
    gone = await asyncio.to_thread(get, started[0].port, 0.0)
    for one in started[1:]:
        await one.stop()
    all_served = together == [f"server {n}" for n in range(COUNT)]
    rest_served = rest == [f"server {n}" for n in range(1, COUNT)]
    answer = (
        f"{'all serve' if all_served else 'not all serve'}, after stopping one "
        f"{'the rest serve' if rest_served else 'the rest are gone'}"
    )
    return Answer(answer, f"answers: {together}; after the first was stopped: {[gone, *rest]}")


QUESTION = Question(
    asks="Can several servers run in one event loop, and one of them be stopped?",
    experiments=tuple(
        Experiment(stack, DEFAULT, lambda start=start: asyncio.run(_several(start)))  # type: ignore[misc]
        for stack, start in STARTS.items()
    ),
    claims=(
        Claim(
            "A process runs one web application.",
            {"all serve*": Agrees.NO, "*": Agrees.YES},
            ("aiohttp", "quart-hypercorn"),
        ),
    ),
    follows={
        "all serve*the rest serve": "An internal port for metrics or administration needs no "
        "second process.",
    },
)
