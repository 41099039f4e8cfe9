"""A situation, a stop, and what each side saw of it: requests, streams, sockets and connections,
under way, half sent or idle."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, web
from quart import Quart, request, websocket

from loopbench.loadtests.behaviour.applications import aiohttp_answering, hello, quart_answering
from loopbench.loadtests.behaviour.asking import DEFAULT, Answer, experiment, experiments
from loopbench.loadtests.behaviour.framework.events import noting
from loopbench.loadtests.behaviour.serving import AIOHTTP, QUART, App, Build, Work, serve
from loopbench.loadtests.behaviour.talking import Leaving, NoAnswer, Seen, Wire, get, shake_hands

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

    def hold_thread(self) -> str:
        """The work of a handler that waits in a thread, in pieces that are seen."""
        self.seen("begun")
        until = time.monotonic() + self.wait_s
        while time.monotonic() < until:
            time.sleep(0.05)
        self.seen("finished")
        return "done"


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

    app = aiohttp_answering(works(scene), sync={"/thread": scene.hold_thread})
    app.add_routes([web.post("/body", body), web.get("/socket", socket)])
    if close_sockets:
        app.on_shutdown.append(shutdown)
    app.on_cleanup.append(noting(scene.seen, "clean-up"))
    return app


def quart_scene(scene: Scene) -> Quart:
    """The same routes."""
    app = quart_answering(works(scene), sync={"/thread": scene.hold_thread})
    app.after_serving(noting(scene.seen, "clean-up"))

    @app.post("/body")
    async def body() -> str:
        scene.seen("begun")
        return f"{len(await request.get_data())} bytes"

    @app.websocket("/socket")
    async def socket() -> None:
        scene.seen("begun")
        while True:
            await websocket.receive()

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


CLOSING = partial(aiohttp_scene, close_sockets=True)
CANCELLED = "the serving task cancelled 1 s after the trigger"
REMEDIES: dict[str, tuple[str, Build, dict[str, Any]]] = {
    AIOHTTP: ("WebSockets closed in on_shutdown", CLOSING, {}),
    QUART: (CANCELLED, quart_scene, {"cancel_after_s": 1.0}),
}
"""What helps where a stop takes too long, or never ends, within 1 s: setting, application, and
options of the server."""


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
    remedies: tuple[str, ...] = (),
) -> Callable[[Judge], Judge]:
    """Ask of each stack in that situation, with its default grace time and with those named; and
    of those stacks with what helps there."""

    def register(judge: Judge) -> Judge:
        def ask(stack: str, setting: str, app: Build, grace_s: float, options: Any) -> None:
            given = judge, situation, wait_s, app, grace_s
            row = partial(experiment, question, stack, setting, *given)
            row(bound_s=BOUND_S, waits=True, **options)(ask_stop)

        for stack in remedies:
            setting, app, options = REMEDIES[stack]
            ask(stack, setting, app, 1.0, options)
        for stack, (app, name) in STACKS.items():
            ask(stack, DEFAULT, app, GRACE_S[stack], {})
            for grace in graces:
                ask(stack, f"{name}={grace:g}", app, grace, {name: grace})
        return judge

    return register


def leave(wire: Wire, _: Scene) -> None:
    wire.ask("GET", "/")
    wire.leave(Leaving.FIN)


def open_socket(wire: Wire, scene: Scene) -> None:
    shake_hands(wire, "/socket")
    scene.seen.wait("begun")


@stops("nothing-in-flight", leave, graces=())
@stops("open-websocket", open_socket, remedies=(QUART, AIOHTTP))
def when(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(stopped.when(grace_s), stopped.told)


def half_a_body(wire: Wire, scene: Scene) -> None:
    wire.send(b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
    scene.seen.wait("begun")


def half_a_head(wire: Wire, _: Scene) -> None:
    wire.send(b"GET / HTTP/1.1\r\nHost: loc")
    time.sleep(0.2)  # so that the server has read it


def idle(wire: Wire, _: Scene) -> None:
    wire.ask("GET", "/")


@stops("half-sent-body", half_a_body)
@stops("half-sent-request", half_a_head)
@stops("idle-keep-alive", idle)
@stops("request-ends-inside-grace", ask_wait, graces=(5.0,))
def and_client(stopped: Stopped, grace_s: float) -> Answer:
    return Answer(f"{stopped.when(grace_s)}, client {stopped.client}", stopped.told)


@stops("request-outlives-grace", ask_wait, wait_s=LONG_S, remedies=(QUART,))
def and_handler(stopped: Stopped, grace_s: float) -> Answer:
    handler = "cancelled" if "cancelled" in stopped.scene.seen else "not cancelled"
    words = f"{stopped.when(grace_s)}, handler {handler}, client {stopped.client}"
    return Answer(words, stopped.told)


@stops("long-stream", partial(ask_wait, path="/stream"), wait_s=LONG_S)
def and_stream(stopped: Stopped, grace_s: float) -> Answer:
    handler = "cancelled" if "cancelled" in stopped.scene.seen else "not cancelled"
    return Answer(f"{stopped.when(grace_s)}, stream {handler}", stopped.told)


@stops("work-in-thread", partial(ask_wait, path="/thread"), wait_s=6.0)
def and_thread(stopped: Stopped, grace_s: float) -> Answer:
    thread = "thread done" if "finished" in stopped.scene.seen else "thread still runs"
    return Answer(f"{stopped.when(grace_s)}, {thread}", stopped.told)


@stops("cleanup-order", ask_wait, graces=(0.5,))
def and_clean_up(stopped: Stopped, _: float) -> Answer:
    events = [event for event in stopped.scene.seen.events if event != "begun"]
    if "clean-up" not in events:
        return Answer("the clean-up never ran", stopped.told)
    order = "before" if events.index("clean-up") == 0 else "after"
    return Answer(f"clean-up {order} the request has ended", stopped.told)


def _meanwhile(port: int) -> str:
    try:
        return f"answered with {get(port, '/', 1.0).status}"
    except ConnectionRefusedError:
        return "refused"
    except (NoAnswer, ConnectionError) as error:
        return f"accepted and then dropped ({type(error).__name__})"


@experiments("new-connections", {stack: application for stack, (application, _) in STACKS.items()})
def ask_meanwhile(application: Build) -> Answer:
    """Connect while a request of 1.5 s keeps the stop waiting, and bind the port afterwards."""
    scene = Scene()
    with serve(application(scene)) as server, Wire(server.port) as wire:
        ask_wait(wire, scene)
        server.begin_stop()
        scene.seen.wait("never", 0.3)  # a moment in the middle of the stop
        meanwhile = _meanwhile(server.port)
        under_way = "finished" not in scene.seen
        server.stopped(20.0)
        try:
            socket.create_server(("127.0.0.1", server.port)).close()
            port = "port free afterwards"
        except OSError as error:
            port = f"port not free ({error.strerror})"
    if not under_way:
        raise TimeoutError("the request had ended before the new connection came")
    return Answer(f"{meanwhile}, {port}", f"a connection during the stop was {meanwhile}; {port}")
