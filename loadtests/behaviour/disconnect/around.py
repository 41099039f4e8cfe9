"""Clean-ups and whatever else is around the work of a handler whose client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from quart import Quart, Response

from loopbench.loadtests.behaviour.applications import Adds, adding
from loopbench.loadtests.behaviour.asking import Answer
from loopbench.loadtests.behaviour.disconnect import leaving as scene
from loopbench.loadtests.behaviour.disconnect.leaving import (
    Begin,
    judged,
    leaves,
    serving,
    with_body,
)
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART
from loopbench.loadtests.behaviour.talking import Leaving, Seen, Wire


async def work(seen: Seen) -> None:
    """What the client leaves in the middle of."""
    seen("begun")
    await asyncio.sleep(0.3)
    seen("work finished")


async def clean_up(seen: Seen, where: str) -> None:
    """Takes its time: what cancels again would be met in the middle of it."""
    seen(f"{where} begun")
    await asyncio.sleep(0.05)
    seen(f"{where} ended")


async def with_finally(seen: Seen) -> None:
    try:
        await work(seen)
    finally:
        await clean_up(seen, "finally")


async def with_context_manager(seen: Seen) -> None:
    @asynccontextmanager
    async def held() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await clean_up(seen, "exit")

    async with held():
        await work(seen)


async def with_except_cancelled(seen: Seen) -> None:
    try:
        await work(seen)
    except asyncio.CancelledError:
        await clean_up(seen, "except")
        raise


async def with_except_exception(seen: Seen) -> None:
    """What many write: it does not catch a cancellation."""
    try:
        await work(seen)
    except Exception:
        await clean_up(seen, "except")


@judged("finally-runs", with_body(with_finally, "finally"), scene.FIN)
@judged("finally-runs", with_body(with_context_manager, "async with"), scene.FIN)
@judged("finally-runs", with_body(with_except_cancelled, "except CancelledError"), scene.FIN)
@judged("finally-runs", with_body(with_except_exception, "except Exception"), scene.FIN)
def clean_ups(seen: Seen) -> str:
    """Which parts of the clean-up are reached."""
    begun = any(event.endswith(" begun") for event in seen.events)
    ended = any(event.endswith(" ended") for event in seen.events)
    runs = {(True, True): "runs to its end", (True, False): "runs to its first await"}
    after = "after the work" if "work finished" in seen else "upon cancellation"
    return f"{runs.get((begun, ended), 'does not run')}, {after}"


async def noted(seen: Seen, inner: Awaitable[Any]) -> Any:
    """Wait for what is inside, and note how it comes back."""
    try:
        answer = await inner
    except BaseException as error:
        seen(f"around: sees {type(error).__name__}")
        raise
    seen("around: sees an ordinary end")
    return answer


def middleware(app: web.Application, seen: Seen) -> None:
    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer: web.StreamResponse = await noted(seen, handler(request))
        return answer

    app.middlewares.append(around)


def on_response_prepare(app: web.Application, seen: Seen) -> None:
    async def prepare(_: web.Request, __: web.StreamResponse) -> None:
        seen("around: runs")

    app.on_response_prepare.append(prepare)


def after_request(app: Quart, seen: Seen) -> None:
    @app.after_request
    async def after(response: Response) -> Response:
        seen("around: runs")
        return response


def teardown_request(app: Quart, seen: Seen) -> None:
    @app.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen("around: runs" if error is None else f"around: runs with {type(error).__name__}")


def asgi_middleware(app: Quart, seen: Seen) -> None:
    """It notes how the application comes back, and whether it answered."""
    inner = app.asgi_app

    async def around(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            seen(f"{message['type']} sent")
            await send(message)

        if scope["type"] == "http":
            await noted(seen, inner(scope, receive, sending))
        else:
            await inner(scope, receive, send)

    app.asgi_app = around  # type: ignore[method-assign]


AROUND: Adds = {
    AIOHTTP: {"@web.middleware": middleware, "on_response_prepare": on_response_prepare},
    QUART: {
        "@app.after_request": after_request,
        "@app.teardown_request": teardown_request,
        "ASGI middleware": asgi_middleware,
    },
}


async def handle(seen: Seen) -> None:
    """The inside of every handler."""
    seen("begun")
    with scene.handling(seen):
        await asyncio.sleep(0.3)


MADE = adding(AROUND, lambda seen: partial(handle, seen))
AROUND_ROWS = [
    *(row for name, make in MADE[AIOHTTP].items() for row in scene.on_aiohttp(make, name)),
    *((QUART, name, serving(make)) for name, make in MADE[QUART].items()),
]


@judged("middleware-cancelled", AROUND_ROWS, scene.FIN)
def around_it(seen: Seen) -> str:
    """What is told to what is around the handler. The server has stopped: all had their turn."""
    told = [event.partition(": ")[2] for event in seen.events if event.startswith("around: ")]
    handler = "handler cancelled" if "handler cancelled" in seen else "handler finished"
    return f"{' and '.join(told) or 'does not run'}, {handler}"


SWALLOWING = "swallowing-cancellation"
TIMES = ("never cancelled", "cancelled once", "cancelled twice")
STOP_BOUND_S = 10.0
"""Many times the grace times that are set."""


async def once(seen: Seen) -> None:
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


@judged(SWALLOWING, with_body(once, "once"), scene.FIN)
def rest(seen: Seen) -> str:
    """Whether the rest of the handler is left alone."""
    cancelled = sum(event.startswith("cancelled") for event in seen.events)
    end = "runs to its end" if "finished" in seen else "does not reach its end"
    return f"{end}, {TIMES[cancelled]}"


async def for_ever(seen: Seen) -> None:
    """The loop that takes a cancellation for one more thing that can go wrong."""
    seen("begun")
    for _ in range(2000):
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            seen("cancelled")


ENDLESS = "for ever, grace time 1 s"
ENDLESSLY = scene.awaiting(for_ever)


@leaves(SWALLOWING, scene.on_aiohttp(ENDLESSLY[AIOHTTP], ENDLESS, shutdown_timeout=1), scene.FIN)
@leaves(SWALLOWING, [(QUART, ENDLESS, serving(ENDLESSLY[QUART], graceful_timeout=1))], scene.FIN)
def ask_for_ever(begin: Begin, leaving: Leaving) -> Answer:
    """Leave, and see whether the server can still be stopped."""
    seen = Seen()
    with scene.console() as lines:
        with begin(seen) as server, Wire(server.port) as wire:
            wire.request("GET", "/")
            scene.leave(wire, seen, leaving)
            seen.wait("cancelled", 0.5)
            before = seen.events.count("cancelled")
            took_s = server.stop(STOP_BOUND_S)
        after = seen.events.count("cancelled")
        stopped = "the server stops" if took_s is not None else "the server does not stop"
        took = f"after {took_s:.1f} s" if took_s is not None else f"within {STOP_BOUND_S:g} s"
        return Answer(
            f"{stopped}, {TIMES[after]}",
            f"{TIMES[before]} when the client left, {TIMES[after]} when the stop was over; "
            f"{stopped} {took}; {scene.shown(lines())}",
        )
