"""Clean-ups and whatever else is around the work of a handler whose client leaves."""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from loopbench.loadtests.behaviour.applications import AIOHTTP, QUART, Adds, adding, asgi
from loopbench.loadtests.behaviour.asking import Answer
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import FIN, begins, doing, judged, leaves
from loopbench.loadtests.behaviour.talking import Leaving, as_seen, noting, requesting, seen

SWALLOWING = "swallowing-cancellation"
TIMES = ("never cancelled", "cancelled once", "cancelled twice")
STOP_BOUND_S = 10.0
"""Many times the grace times that are set."""


async def work() -> None:
    """What the client leaves in the middle of."""
    seen("begun")
    await asyncio.sleep(0.3)
    seen("work finished")


async def clean_up(where: str) -> None:
    """Takes its time: what cancels again would be met in the middle of it."""
    seen(f"{where} begun")
    await asyncio.sleep(0.05)
    seen(f"{where} ended")


async def with_finally() -> None:
    try:
        await work()
    finally:
        await clean_up("finally")


async def with_context_manager() -> None:
    async with AsyncExitStack() as held:
        held.push_async_callback(clean_up, "exit")
        await work()


async def with_except_cancelled() -> None:
    try:
        await work()
    except asyncio.CancelledError:
        await clean_up("except")
        raise


async def with_except_exception() -> None:
    """What many write: it does not catch a cancellation."""
    try:
        await work()
    except Exception:
        await clean_up("except")


@judged("finally-runs", begins(doing(with_finally), "finally"), FIN)
@judged("finally-runs", begins(doing(with_context_manager), "async with"), FIN)
@judged("finally-runs", begins(doing(with_except_cancelled), "except CancelledError"), FIN)
@judged("finally-runs", begins(doing(with_except_exception), "except Exception"), FIN)
def clean_ups() -> str:
    begun = any(event.endswith(" begun") for event in seen.events)
    ended = any(event.endswith(" ended") for event in seen.events)
    runs = {(True, True): "runs to its end", (True, False): "runs to its first await"}
    after = "after the work" if "work finished" in seen else "upon cancellation"
    return f"{runs.get((begun, ended), 'does not run')}, {after}"


async def noted(inner: Awaitable[Any]) -> Any:
    """Wait for what is inside, and note how it comes back."""
    try:
        answer = await inner
    except BaseException as error:
        seen(f"around: sees {type(error).__name__}")
        raise
    seen("around: sees an ordinary end")
    return answer


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> Any:
    return await noted(handler(request))


runs = noting("around: runs")
runs_with = noting("around: runs{}", lambda error: f" with {type(error).__name__}" if error else "")


@asgi
async def asgi_middleware(inner: Any, scope: Any, receive: Any, send: Any) -> None:
    application = inner(scope, receive, send)
    await (noted(application) if scope["type"] == "http" else application)


AROUND: Adds = {
    AIOHTTP: {
        "@web.middleware": lambda app: app.middlewares.append(middleware),
        "on_response_prepare": lambda app: app.on_response_prepare.append(runs),
    },
    QUART: {
        "@app.after_request": lambda app: app.after_request(runs),
        "@app.teardown_request": lambda app: app.teardown_request(runs_with),
        "ASGI middleware": asgi_middleware,
    },
}


def around_it() -> str:
    """What is told to what is around the handler. The server has stopped: all had their turn."""
    events = [event.partition(": ")[2] for event in seen.events if event.startswith("around: ")]
    handler = "handler cancelled" if "handler cancelled" in seen else "handler finished"
    return f"{' and '.join(events) or 'does not run'}, {handler}"


for stack, makes in adding(AROUND, doing(work)).items():
    for name, make in makes.items():
        judged("middleware-cancelled", begins({stack: make}, name), FIN)(around_it)


async def once() -> None:
    """Swallows its cancellation, and goes on with the next thing."""
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


@judged(SWALLOWING, begins(doing(once), "once"), FIN)
def rest() -> str:
    cancelled = sum(event.startswith("cancelled") for event in seen.events)
    end = "runs to its end" if "finished" in seen else "does not reach its end"
    return f"{end}, {TIMES[cancelled]}"


async def for_ever() -> None:
    """The loop that takes a cancellation for one more thing that can go wrong."""
    seen("begun")
    for _ in range(2000):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            seen("cancelled")


ENDLESS = "for ever, grace time 1 s"
ENDLESSLY = doing(for_ever)


@leaves(SWALLOWING, begins({AIOHTTP: ENDLESSLY[AIOHTTP]}, ENDLESS, shutdown_timeout=1), FIN)
@leaves(SWALLOWING, begins({QUART: ENDLESSLY[QUART]}, ENDLESS, graceful_timeout=1), FIN)
def ask_for_ever(begin: scene.Begin, leaving: Leaving) -> Answer:
    with requesting(begin()) as (server, wire):
        scene.leave(wire, leaving)
        seen.wait("cancelled", 0.5)
        before = seen.events.count("cancelled")
        took_s = server.stop(STOP_BOUND_S)
    after = seen.events.count("cancelled")
    stopped = "the server does not stop" if took_s is None else "the server stops"
    took = f"within {STOP_BOUND_S:g} s" if took_s is None else f"after {took_s:.1f} s"
    evidence = f"{TIMES[before]} when the client left; {stopped} {took}"
    return as_seen(f"{stopped}, {TIMES[after]}", evidence, scene.shown(scene.console()))
