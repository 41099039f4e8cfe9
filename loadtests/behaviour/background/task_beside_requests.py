"""A task that runs beside the requests, begun and ended with the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.background.tasks import AIOHTTP, QUART, Work
from loopbench.loadtests.behaviour.framework.events import Seen
from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import aiohttp_server, hypercorn_server


def work(seen: Seen) -> Work:
    """Ticks until it is cancelled."""

    async def tick() -> None:
        seen("began")
        try:
            while True:
                await asyncio.sleep(0.01)
                seen("tick")
        except asyncio.CancelledError:
            seen("cancelled")
            raise

    return tick


def _answer(seen: Seen, ticks_while_serving: int, answered: bool) -> Answer:
    began = "begun with the application" if "began" in seen else "never begun"
    ran = "runs beside requests" if ticks_while_serving and answered else "does not run"
    ended = "cancelled at the end" if seen.wait("cancelled", 1.0) else "not ended"
    return Answer(
        f"{began}, {ran}, {ended}",
        f"it ticked {'before and after a request' if ticks_while_serving else 'never'}; "
        f"its last events were {', '.join(seen.events[-2:])}",
    )


def _ask(port: int, seen: Seen) -> tuple[int, bool]:
    seen.wait("tick", 2.0)
    answered = get(port, "/").text == "hello"
    before = seen.events.count("tick")
    get(port, "/")
    return before, answered


def on_aiohttp(begin: Callable[[Work], web.Application]) -> Answer:
    seen = Seen()
    with aiohttp_server(begin(work(seen))) as server:
        ticks, answered = _ask(server.port, seen)
        server.stop()
    return _answer(seen, ticks, answered)


def on_quart(begin: Callable[[Work], Quart]) -> Answer:
    seen = Seen()
    with hypercorn_server(begin(work(seen))) as server:
        ticks, answered = _ask(server.port, seen)
        server.stop(15.0)
    return _answer(seen, ticks, answered)


QUESTION = Question(
    asks="How does a task run beside the requests, from the application's start to its end?",
    experiments=(
        *(
            Experiment("aiohttp", setting, partial(on_aiohttp, begin))
            for setting, begin in AIOHTTP.items()
        ),
        *(
            Experiment("quart-hypercorn", setting, partial(on_quart, begin), bound_s=30)
            for setting, begin in QUART.items()
        ),
    ),
    claims=(
        Claim(
            "A cleanup context is the way to run a task beside the requests.",
            {
                "begun with the application, runs beside requests, cancelled*": Agrees.YES,
                "*": Agrees.NO,
            },
            ("aiohttp",),
        ),
    ),
    follows={
        "*cancelled at the end": "Whichever of these you take, keep the task's reference, and let "
        "the task end when it is cancelled.",
        "*not ended": "This way the task outlives the application: end it yourself.",
    },
)
