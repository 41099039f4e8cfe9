"""A situation, a stop, and what each side saw of it, which all questions about stopping share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, web
from quart import Quart, request, websocket

from loopbench.loadtests.behaviour.applications import aiohttp_answering, hello, quart_answering
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.talking import NoAnswer, Seen, Wire

SHORT_S = 1.5
"""A request that ends inside every grace time that is asked about, but one of 1 s."""

LONG_S = 600.0
"""A request that outlives every grace time."""

WATCHED_S = 140.0
"""How long a stop is watched before it counts as hanging: more than twice any default."""

BOUND_S = WATCHED_S + 15

GRACE_S = {AIOHTTP: 60.0, QUART: 3.0}
"""The defaults: shutdown_timeout of AppRunner, graceful_timeout of Hypercorn's Config. A test
holds them to the installed versions."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What handlers report, and how long the waiting ones wait."""

    wait_s: float = SHORT_S
    seen: Seen = field(default_factory=Seen)

    async def wait(self) -> None:
        """The work of a handler that waits."""
        self.seen("begun")
        with self.seen.ends():
            await asyncio.sleep(self.wait_s)

    def hold_thread(self) -> None:
        """The work of a handler that waits in a thread, in pieces that are seen."""
        self.seen("begun")
        until = time.monotonic() + self.wait_s
        while time.monotonic() < until:
            time.sleep(0.05)
        self.seen("finished")


def works(scene: Scene) -> dict[str, Work]:
    """What handlers of both stacks do."""

    async def wait() -> str:
        await scene.wait()
        return "done"

    async def stream() -> AsyncIterator[bytes]:
        yield b"first "
        await scene.wait()
        yield b"last"

    return {"/wait": wait, "/stream": stream, "/": hello}


def aiohttp_scene(scene: Scene, *, close_sockets: bool = False) -> web.Application:
    """Routes for every situation.

    close_sockets: close the open WebSockets as the stop begins, as aiohttp's documentation says.
    """
    sockets: set[web.WebSocketResponse] = set()

    async def thread(_: web.Request) -> web.Response:
        await asyncio.to_thread(scene.hold_thread)
        return web.Response(text="done")

    async def body(request: web.Request) -> web.Response:
        scene.seen("begun")
        return web.Response(text=f"{len(await request.read())} bytes")

    async def socket(request: web.Request) -> web.StreamResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        sockets.add(answer)
        scene.seen("begun")
        async for _ in answer:
            pass
        scene.seen("finished")
        return answer

    async def shutdown(_: web.Application) -> None:
        for one in sockets:
            await one.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")

    async def cleanup(_: web.Application) -> None:
        scene.seen("clean-up")

    app = aiohttp_answering(works(scene))
    app.add_routes(
        [web.get("/thread", thread), web.post("/body", body), web.get("/socket", socket)]
    )
    if close_sockets:
        app.on_shutdown.append(shutdown)
    app.on_cleanup.append(cleanup)
    return app


def quart_scene(scene: Scene) -> Quart:
    """The same routes."""
    app = quart_answering(works(scene))

    @app.get("/thread")
    def thread() -> str:
        scene.hold_thread()
        return "done"

    @app.post("/body")
    async def body() -> str:
        scene.seen("begun")
        return f"{len(await request.get_data())} bytes"

    @app.websocket("/socket")
    async def socket() -> None:
        scene.seen("begun")
        while True:
            await websocket.receive()

    @app.after_serving
    async def cleanup() -> None:
        scene.seen("clean-up")

    return app


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop went. took_s: None where it hung. client: what the client saw."""

    took_s: float | None
    client: str
    scene: Scene

    def when(self, grace_s: float) -> str:
        """When it ended, in terms of what it may have waited for."""
        if self.took_s is None:
            return f"does not stop within {WATCHED_S:g} s"
        near = {
            "stops at once": 0.0,
            "stops with the request": self.scene.wait_s,
            "stops after the grace time": grace_s,
            "stops after twice the grace time": 2 * grace_s,
        }
        words, expected = min(near.items(), key=lambda pair: abs(pair[1] - (self.took_s or 0.0)))
        if abs(expected - self.took_s) <= 0.3 + 0.1 * expected:
            return words
        return f"stops after {self.took_s:.0f} s"

    @property
    def told(self) -> str:
        """The readings."""
        took = "not stopped" if self.took_s is None else f"stopped after {self.took_s:.2f} s"
        return f"{took}; the client {self.client}; seen: {', '.join(self.scene.seen.events)}"


Situation = Callable[[Wire, Scene], None]
"""Brings a connection into the state that the stop then meets."""


def ask_wait(wire: Wire, scene: Scene, path: str = "/wait") -> None:
    """A request is under way."""
    wire.request("GET", path)
    scene.seen.wait("begun")


def stop_in(app: App, situation: Situation, scene: Scene, **options: float) -> Stopped:
    """Bring about the situation, stop the server, and read what the client gets.

    options: of the server.
    """
    with serve(app, **options) as server, Wire(server.port) as wire:
        situation(wire, scene)
        began = time.perf_counter()
        server.begin_stop()
        took_s = time.perf_counter() - began if server.stopped(WATCHED_S) else None
        return Stopped(took_s, _client(wire), scene)


def _client(wire: Wire) -> str:
    """What is there for the client to read after the stop."""
    if wire.left:
        return "had left"
    with suppress(NoAnswer, ConnectionError, ValueError):
        reply = wire.answer(1.0)
        return f"got {reply.status}" if reply.status != 200 else f"got 200 with {reply.text!r}"
    try:
        rest = wire.rest(0.5)
    except NoAnswer:
        return "still waits"
    except ConnectionError as error:
        return f"met {type(error).__name__}"
    return f"got {len(rest)} bytes and then the end" if rest else "got nothing but the end"


STACKS: dict[str, tuple[Build, str]] = {
    AIOHTTP: (aiohttp_scene, "shutdown_timeout"),
    QUART: (quart_scene, "graceful_timeout"),
}
"""The application of each, and what the grace time of its server is called."""

Judge = Callable[[Stopped, float], Answer]
"""The answer, given how the stop went and the grace time."""


Row = tuple[str, str, Build, float, dict[str, Any]]
"""Stack, setting, application, grace time, and options of the server."""


def judged(
    question: str, situation: Situation, wait_s: float, rows: Iterable[Row]
) -> Callable[[Judge], Judge]:
    """Ask each of these rows in that situation, and have the stop judged."""

    def register(judge: Judge) -> Judge:
        for stack, setting, *given, options in rows:
            ask = partial(experiment, question, stack, setting, judge, situation, wait_s, *given)
            ask(bound_s=BOUND_S, waits=True, **options)(ask_stop)
        return judge

    return register


def ask_stop(
    judge: Judge,
    situation: Situation,
    wait_s: float,
    application: Build,
    grace_s: float,
    **options: float,
) -> Answer:
    scene = Scene(wait_s)
    return judge(stop_in(application(scene), situation, scene, **options), grace_s)


def stops(
    question: str,
    situation: Situation,
    *,
    wait_s: float = SHORT_S,
    graces: tuple[float, ...] = (1.0,),
) -> Callable[[Judge], Judge]:
    """Ask of each stack in that situation, with its default grace time and with those named."""
    rows: list[Row] = []
    for stack, (app, name) in STACKS.items():
        rows.append((stack, DEFAULT, app, GRACE_S[stack], {}))
        rows += [(stack, f"{name}={grace:g}", app, grace, {name: grace}) for grace in graces]
    return judged(question, situation, wait_s, rows)


CLOSING = partial(aiohttp_scene, close_sockets=True)
CANCELLED = "the serving task cancelled 1 s after the trigger"
REMEDIES: dict[str, Row] = {
    AIOHTTP: (AIOHTTP, "WebSockets closed in on_shutdown", CLOSING, 1.0, {}),
    QUART: (QUART, CANCELLED, quart_scene, 1.0, {"cancel_after_s": 1.0}),
}
"""What helps where a stop takes too long, or never ends."""


def remedied(
    question: str, stack: str, situation: Situation, *, wait_s: float = SHORT_S
) -> Callable[[Judge], Judge]:
    """Ask of one stack with what helps there."""
    return judged(question, situation, wait_s, [REMEDIES[stack]])
