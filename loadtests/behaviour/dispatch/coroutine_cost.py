"""What the ways to run a coroutine from plain code cost, against one another."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import ceil, floor, log2

from aiohttp import web
from quart import Quart

from loopbench.loadtests.behaviour.framework.question import (
    Agrees,
    Answer,
    Claim,
    Experiment,
    Question,
)
from loopbench.loadtests.behaviour.framework.raw_client import get
from loopbench.loadtests.behaviour.framework.servers import Live, aiohttp_server, hypercorn_server

ROUNDS = 15
CALLS = 50
APART = 1.4
"""Ways whose costs are not further apart than by this factor count as alike."""

KEPT, THREADSAFE = "a loop that the thread keeps", "run_coroutine_threadsafe"
OWN = (KEPT, "new_event_loop", "asyncio.run")

Way = Callable[[], object]


async def nothing() -> None:
    """The coroutine: all that it costs is the way to it."""


@contextmanager
def ways(loop: asyncio.AbstractEventLoop) -> Iterator[Mapping[str, Way]]:
    """Every way, for this thread. loop: the server's."""
    mine = asyncio.new_event_loop()

    def new_event_loop() -> None:
        fresh = asyncio.new_event_loop()
        try:
            fresh.run_until_complete(nothing())
        finally:
            fresh.close()

    try:
        yield {
            KEPT: lambda: mine.run_until_complete(nothing()),
            "new_event_loop": new_event_loop,
            "asyncio.run": lambda: asyncio.run(nothing()),
            THREADSAFE: lambda: asyncio.run_coroutine_threadsafe(nothing(), loop).result(),
        }
    finally:
        mine.close()


def measured(loop: asyncio.AbstractEventLoop) -> dict[str, list[float]]:
    """CPU time of a call of each way, in µs, all threads together; one value a round."""
    with ways(loop) as each:
        costs: dict[str, list[float]] = {name: [] for name in each}
        for _ in range(ROUNDS):
            for name, way in each.items():
                began = time.process_time()
                for _ in range(CALLS):
                    way()
                costs[name].append((time.process_time() - began) / CALLS * 1e6)
    return costs


def ordered(medians: Mapping[str, float]) -> str:
    """The ways from the cheapest to the dearest, those that are alike together."""
    groups: list[list[str]] = []
    dearest = 0.0
    for name, cost in sorted(medians.items(), key=lambda pair: pair[1]):
        if not groups or cost > dearest * APART:
            groups.append([])
        groups[-1].append(name)
        dearest = cost
    return ", then ".join(" and ".join(sorted(group)) for group in groups)


def on_aiohttp(costs: dict[str, list[float]]) -> AbstractContextManager[Live]:
    async def handler(_: web.Request) -> web.Response:
        costs.update(await asyncio.to_thread(measured, asyncio.get_running_loop()))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handler)
    return aiohttp_server(app)


def on_quart(costs: dict[str, list[float]]) -> AbstractContextManager[Live]:
    app = Quart(__name__)

    @app.before_serving
    async def start() -> None:
        app.extensions["loop"] = asyncio.get_running_loop()

    @app.get("/")
    def handler() -> str:
        costs.update(measured(app.extensions["loop"]))
        return ""

    return hypercorn_server(app)


def own_loops(costs: Mapping[str, list[float]]) -> Answer:
    """The ways that have a loop on the thread itself, in order."""
    medians = {name: statistics.median(costs[name]) for name in OWN}
    return Answer(ordered(medians), _told({name: costs[name] for name in OWN}))


def servers_loop(costs: Mapping[str, list[float]]) -> Answer:
    """The way to the server's loop, in multiples of the cheapest one. Two threads hand over to
    one another, which costs several times as much where they are on two processors."""
    cheapest = statistics.median(costs[KEPT])
    least, most = (bound(costs[THREADSAFE]) / cheapest for bound in (min, max))
    low, high = 2 ** floor(log2(least)), 2 ** ceil(log2(most))
    return Answer(
        f"{low:g} to {high:g} times {KEPT}",
        _told({name: costs[name] for name in (KEPT, THREADSAFE)}),
        varies=True,
    )


def _told(costs: Mapping[str, list[float]]) -> str:
    told = (
        f"{name} {statistics.median(values):.0f} µs ({min(values):.0f} to {max(values):.0f})"
        for name, values in costs.items()
    )
    return f"CPU time of a call, median of {ROUNDS} rounds of {CALLS} calls: {', '.join(told)}"


def ask(
    begin: Callable[[dict[str, list[float]]], AbstractContextManager[Live]],
    judge: Callable[[Mapping[str, list[float]]], Answer],
) -> Answer:
    costs: dict[str, list[float]] = {}
    with begin(costs) as server:
        get(server.port, "/")
    return judge(costs)


QUESTION = Question(
    asks="Which way to run a coroutine from plain code costs least?",
    experiments=tuple(
        Experiment(stack, f"{where}, {setting}", partial(ask, begin, judge), alone=True)
        for stack, where, begin in (
            ("aiohttp", "in a thread", on_aiohttp),
            ("quart-hypercorn", "in a sync route", on_quart),
        )
        for setting, judge in (
            ("on a loop of its own", own_loops),
            ("on the server's loop", servers_loop),
        )
    ),
    claims=(
        Claim(
            "asyncio.run is expensive, since it makes a loop for each call.",
            {"*then asyncio.run": Agrees.YES, "*": Agrees.NO},
            ("aiohttp", "quart-hypercorn"),
            ("in a thread, on a loop of its own", "in a sync route, on a loop of its own"),
        ),
    ),
    follows={
        "*": "All of it is a fraction of a millisecond: choose by what the coroutine needs, and "
        "by what can hang, before the cost.",
    },
)
